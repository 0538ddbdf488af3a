"""``POST /v1/responses``. Source: OpenAI's API of that name, as far as the original serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, Literal
from uuid import uuid4

from pydantic import BaseModel

from openclaw.api.asking import MODEL, Asked, Turn, check_agent, prompt_of, session_key
from openclaw.api.chat_completions import Message
from openclaw.api.errors import ApiError
from openclaw.api.work import Work

MAX_BYTES: Final = 20 << 20
_USAGE: Final = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}


class InputMessage(Message):
    """One item of the input."""

    type: Literal["message"] = "message"


class ResponsesRequest(BaseModel):
    """What is read of a request; sampling settings are taken and do nothing, since the agent chooses its own.

    Attributes:
        user: requests of one user share a session.
        previous_response_id: refused: a session is continued by its key or its user.
    """

    model: str = MODEL
    input: str | list[InputMessage]
    instructions: str | None = None
    stream: bool = False
    user: str | None = None
    tools: list[Any] | None = None
    previous_response_id: str | None = None


def read(request: ResponsesRequest, headers: Mapping[str, str]) -> Work:
    """What is to be done.

    Raises:
        ApiError: 400.
        Invalid: the session key is none.
    """
    check_agent(request.model, headers)
    if request.tools:
        raise ApiError(400, "tools: the agent behind this endpoint uses its own tools")
    if request.previous_response_id:
        raise ApiError(400, "previous_response_id: continue with the header x-openclaw-session-key, or with `user`")
    given = request.input
    turns = [Turn("user", given)] if isinstance(given, str) else [Turn(item.role, item.text) for item in given]
    prompt = prompt_of(turns, request.instructions or "")
    return Work(
        session_key(headers, request.user, "openresponses"),
        prompt,
        f"resp_{uuid4()}",
        request.model,
        stream=request.stream,
    )


def whole(work: Work, text: str, created: int, status: str = "completed") -> dict[str, Any]:
    """The answer in one piece; usage is not counted here, as upstream."""
    return {
        "id": work.run_id,
        "object": "response",
        "created_at": created,
        "status": status,
        "model": work.model,
        "output": [_item(work, text)] if status == "completed" else [],
        "usage": _USAGE,
    }


def _item(work: Work, text: str, status: str = "completed") -> dict[str, Any]:
    content = [_part(text)] if status == "completed" else []
    name = f"msg_{work.run_id.removeprefix('resp_')}"
    return {"type": "message", "id": name, "role": "assistant", "status": status, "content": content}


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


async def events(work: Work, asked: Asked, created: int) -> AsyncIterator[tuple[str, dict[str, Any]] | None]:
    """The answer as it is written, in the order clients expect; None for a while without words."""
    count = 0
    text = ""
    item = _item(work, "", "in_progress")
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}

    def event(name: str, **fields: Any) -> tuple[str, dict[str, Any]]:  # noqa: ANN401 - free JSON
        nonlocal count
        count += 1
        return f"response.{name}", {"type": f"response.{name}", "sequence_number": count - 1, **fields}

    begun = whole(work, "", created, "in_progress")
    yield event("created", response=begun)
    yield event("in_progress", response=begun)
    yield event("output_item.added", output_index=0, item=item)
    yield event("content_part.added", **place, part=_part(""))
    async for piece in asked.pieces():
        text += piece
        yield event("output_text.delta", **place, delta=piece) if piece else None
    yield event("output_text.done", **place, text=text)
    yield event("content_part.done", **place, part=_part(text))
    yield event("output_item.done", output_index=0, item=_item(work, text))
    yield event("completed", response=whole(work, text, created))
