"""``POST /v1/chat/completions``. Source: OpenAI's API of that name, as far as the original serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final, Literal
from uuid import uuid4

from pydantic import BaseModel, Field

from openclaw.api.asking import MODEL, Asked, Turn, check_agent, prompt_of, session_key
from openclaw.api.errors import ApiError
from openclaw.api.work import Work

MAX_BYTES: Final = 1 << 20
_USAGE: Final = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


class TextPart(BaseModel):
    """A piece of a message."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class Message(BaseModel):
    """One message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] = ""

    @property
    def text(self) -> str:
        """Its words."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)


class ChatRequest(BaseModel):
    """What is read of a request; sampling settings are taken and do nothing, since the agent chooses its own.

    Attributes:
        user: requests of one user share a session.
        tools: refused when there are any: the agent has its own.
    """

    model: str = MODEL
    messages: Annotated[list[Message], Field(min_length=1)]
    stream: bool = False
    user: str | None = None
    tools: list[Any] | None = None


def read(request: ChatRequest, headers: Mapping[str, str]) -> Work:
    """What is to be done.

    Raises:
        ApiError: 400.
        Invalid: the session key is none.
    """
    check_agent(request.model, headers)
    if request.tools:
        raise ApiError(400, "tools: the agent behind this endpoint uses its own tools")
    prompt = prompt_of([Turn(message.role, message.text) for message in request.messages])
    return Work(
        session_key(headers, request.user, "openai"),
        prompt,
        f"chatcmpl_{uuid4()}",
        request.model,
        stream=request.stream,
    )


def whole(work: Work, text: str, created: int) -> dict[str, Any]:
    """The answer in one piece; usage is not counted here, as upstream."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    head = {"id": work.run_id, "object": "chat.completion", "created": created, "model": work.model}
    return {**head, "choices": [choice], "usage": _USAGE}


async def events(work: Work, asked: Asked, created: int) -> AsyncIterator[tuple[str, dict[str, Any]] | None]:
    """The answer as it is written: role, words, end; None for a while without any."""
    head = {"id": work.run_id, "object": "chat.completion.chunk", "created": created, "model": work.model}

    def chunk(delta: dict[str, str], finish: str | None = None) -> tuple[str, dict[str, Any]]:
        return "", {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant"})
    async for piece in asked.pieces():
        yield chunk({"content": piece}) if piece else None
    yield chunk({}, "stop")
