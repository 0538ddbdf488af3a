"""Methods of the chat: history, sending, stopping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field
from pydantic_core import to_json

from openclaw.agent.memory.flush import is_flush
from openclaw.protocol import events
from openclaw.protocol.errors import invalid
from openclaw.protocol.frames import NonEmpty, Wire, compact
from openclaw.protocol.methods.sessions import refuse_thinking, reset_session
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import ADMIN, READ, WRITE
from openclaw.runs import clean_message
from openclaw.sessions import canonical_key
from openclaw.transcript import COMPACTION, Entry, text_message

STOP_PHRASES: Final = frozenset({"/stop", "stop", "/abort", "abort"})
RESET_PHRASES: Final = frozenset({"/new", "/reset"})

_TEXT_CHARS: Final = 12_000
_MESSAGE_BYTES: Final = 131_072
_HISTORY_BYTES: Final = 6 * 1_048_576
_OVERSIZED: Final = "[chat.history omitted: message too large]"
_HIDDEN_FIELDS: Final = frozenset({"usage", "cost", "details", "outside"})


class HistoryParams(Wire):
    """``chat.history``."""

    session_key: NonEmpty
    limit: Annotated[int, Field(ge=1, le=1000)] = 200


def history_messages(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """Messages within the protocol's bounds; the newest win when all together are too large."""
    shown: list[dict[str, Any]] = []
    left = _HISTORY_BYTES
    for entry in reversed(entries):
        if entry.role == COMPACTION or is_flush(entry.message):
            continue
        message = _shown(entry.message)
        size = len(to_json(message))
        if size > _MESSAGE_BYTES:
            placeholder = {"role": entry.role, "content": [{"type": "text", "text": _OVERSIZED}]}
            mark = {"truncated": True, "reason": "oversized"}
            message = placeholder | {"timestamp": entry.message.get("timestamp"), "__openclaw": mark}
            size = len(to_json(message))
        left -= size
        if left < 0:
            break
        shown.append(message)
    shown.reverse()
    return shown


def _shown(message: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in message.items() if key not in _HIDDEN_FIELDS}
    kept["content"] = [_block(block) for block in message["content"]]
    return kept


def _block(block: dict[str, Any]) -> dict[str, Any]:
    text = block.get("text")
    if isinstance(text, str) and len(text) > _TEXT_CHARS:
        return {**block, "text": text[:_TEXT_CHARS] + "\n…(truncated)…"}
    return block


async def _history(call: Call, params: HistoryParams) -> object:
    row = call.services.sessions.get(canonical_key(params.session_key))
    entries = await call.services.transcripts.last(row.session_id, params.limit) if row else []
    return compact(
        sessionKey=params.session_key,
        sessionId=row.session_id if row else None,
        messages=history_messages(entries),
        thinkingLevel=str(row.settings.get("thinkingLevel", "off")) if row else "off",
        verboseLevel="off",
    )


class SendParams(Wire):
    """``chat.send``; `timeout_ms` makes the run's time shorter than the policy's, never longer; 0 is the policy's."""

    session_key: NonEmpty
    message: str
    idempotency_key: Annotated[str, Field(min_length=1, max_length=200)]
    thinking: str | None = None
    deliver: bool | None = None
    attachments: list[Any] | None = None
    timeout_ms: Annotated[int, Field(ge=0)] | None = None


async def _send(call: Call, params: SendParams) -> object:
    services = call.services
    key = canonical_key(params.session_key)
    text = clean_message(params.message)
    if params.attachments:
        raise invalid("attachments are not supported by this agent; send text")
    if params.deliver:
        raise invalid("deliver is not supported: the answer is in this session; say it elsewhere with `send`")
    refuse_thinking(services.sessions.get(key), params.thinking)
    if not text.strip():
        raise invalid("message or attachment required")
    word = text.strip().lower()
    if word in STOP_PHRASES:
        run_ids = await services.runs.abort(key, None, "stop")
        return {"ok": True, "aborted": bool(run_ids), "runIds": run_ids}
    if word in RESET_PHRASES:
        await reset_session(services, key)
        _reply(call, params, "A new session begins.")
        return {"runId": params.idempotency_key, "status": "started"}
    status = await services.runs.submit(
        key,
        params.session_key,
        text,
        params.idempotency_key,
        tool_target=call.connection.id,
        timeout_s=params.timeout_ms / 1000 if params.timeout_ms else None,
    )
    return {"runId": params.idempotency_key, "status": status}


def _reply(call: Call, params: SendParams, text: str) -> None:
    """Answer a command: no run of the agent, so the key is echoed as it was sent."""
    payload = {
        "runId": params.idempotency_key,
        "sessionKey": params.session_key,
        "seq": 1,
        "state": "final",
        "message": text_message("assistant", text, call.services.clock.now()),
    }
    call.after.append(lambda: call.services.hub.broadcast(events.CHAT, payload))


class AbortParams(Wire):
    """``chat.abort``."""

    session_key: NonEmpty
    run_id: NonEmpty | None = None


async def _abort(call: Call, params: AbortParams) -> object:
    runs = call.services.runs
    key = canonical_key(params.session_key)
    if params.run_id is not None:
        asked = runs.owner_key(params.run_id)
        if asked is not None and canonical_key(asked) != key:
            raise invalid("runId does not match sessionKey")
    run_ids = await runs.abort(key, params.run_id, "rpc")
    return {"ok": True, "aborted": bool(run_ids), "runIds": run_ids}


class InjectParams(Wire):
    """``chat.inject``: words the assistant is to have said."""

    session_key: NonEmpty
    message: NonEmpty
    label: Annotated[str, Field(max_length=100)] | None = None


async def _inject(call: Call, params: InjectParams) -> object:
    services = call.services
    row = services.sessions.get(canonical_key(params.session_key))
    if row is None:
        raise invalid("session not found")
    text = clean_message(params.message)
    shown = f"[{params.label}]\n\n{text}" if params.label else text
    message = text_message("assistant", shown, services.clock.now(), stopReason="injected")
    added = await services.transcripts.append(row.session_id, "", message)
    payload = {
        "runId": f"inject-{added.id}",
        "sessionKey": params.session_key,
        "seq": 0,
        "state": "final",
        "message": message,
    }
    call.after.append(lambda: services.hub.broadcast(events.CHAT, payload))
    return {"ok": True, "messageId": added.id}


METHODS = (
    Method("chat.history", READ, _history, params=HistoryParams),
    Method("chat.send", WRITE, _send, params=SendParams),
    Method("chat.abort", WRITE, _abort, params=AbortParams),
    Method("chat.inject", ADMIN, _inject, params=InjectParams, advertised=False),
)
