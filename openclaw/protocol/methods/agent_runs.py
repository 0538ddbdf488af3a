"""Methods that ask the agent and wait for it: ``agent`` answers twice, ``agent.wait`` when the run has ended."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from openclaw.protocol.errors import ProtocolError, invalid
from openclaw.protocol.frames import NonEmpty, Wire, compact
from openclaw.protocol.methods.sessions import refuse_thinking
from openclaw.protocol.registry import Call, Later, Method
from openclaw.protocol.scopes import WRITE
from openclaw.runs import Finished, clean_message
from openclaw.sessions import AGENT_ID, MAIN_SESSION, canonical_key
from shared.clock import unix_ms

_STATUS: Final = {"ok": "ok", "error": "error", "aborted": "error"}


class AgentParams(Wire):
    """``agent``.

    Where the answer would go on other channels is taken and means nothing here; what would change the answer and does
    not is refused.
    """

    message: NonEmpty
    idempotency_key: Annotated[str, Field(min_length=1, max_length=200)]
    agent_id: NonEmpty | None = None
    to: str | None = None
    reply_to: str | None = None
    session_id: str | None = None
    session_key: str | None = None
    thinking: str | None = None
    deliver: bool | None = None
    attachments: list[Any] | None = None
    channel: str | None = None
    reply_channel: str | None = None
    account_id: str | None = None
    reply_account_id: str | None = None
    thread_id: str | None = None
    timeout: Annotated[int, Field(ge=0)] | None = None
    lane: str | None = None
    extra_system_prompt: str | None = None
    label: str | None = None
    spawned_by: str | None = None


def _key(call: Call, params: AgentParams) -> str:
    """The session asked for; an id that no session has begins one of that name."""
    if params.agent_id not in (None, AGENT_ID):
        raise invalid(f'unknown agent id "{params.agent_id}"')
    if params.session_key:
        return canonical_key(params.session_key)
    if params.session_id:
        row = call.services.sessions.find(params.session_id)
        return row.key if row else canonical_key(params.session_id)
    return MAIN_SESSION


async def _agent(call: Call, params: AgentParams) -> object:
    services = call.services
    key = _key(call, params)
    if params.attachments:
        raise invalid("attachments are not supported by this agent; send text")
    if params.deliver:
        raise invalid("deliver is not supported: answer in the chat itself, or send the result with `send`")
    if params.extra_system_prompt and params.extra_system_prompt.strip():
        raise invalid(
            "extraSystemPrompt is not supported: what the agent is told is the operator's; say it in the message"
        )
    refuse_thinking(services.sessions.get(key), params.thinking)
    text = clean_message(params.message)
    run_id = params.idempotency_key
    await services.runs.submit(key, params.session_key or key, text, run_id, tool_target=call.connection.id)
    first = {"runId": run_id, "status": "accepted", "acceptedAt": unix_ms(services.clock.now())}
    return Later(first, _final(call, run_id, params.timeout))


async def _final(call: Call, run_id: str, timeout_s: int | None) -> object:
    ended = await call.services.runs.wait(run_id, timeout_s or None)
    if ended is None:
        raise ProtocolError(
            "AGENT_TIMEOUT",
            "the run goes on: wait for it with agent.wait",
            payload={"runId": run_id, "status": "timeout", "summary": "timeout"},
        )
    if ended.row.state != "ok":
        why = ended.row.error or "aborted"
        raise ProtocolError("UNAVAILABLE", why, payload={"runId": run_id, "status": "error", "summary": why})
    return {"runId": run_id, "status": "ok", "summary": "completed", "result": _result(call, ended)}


def _result(call: Call, ended: Finished) -> dict[str, Any]:
    row = ended.row
    session = call.services.sessions.get(row.session_key)
    duration = int((ended_at - row.created_at).total_seconds() * 1000) if (ended_at := row.ended_at) else 0
    about = compact(
        sessionId=session.session_id if session else None,
        provider=ended.message.get("provider"),
        model=ended.message.get("model"),
        usage=ended.message.get("usage"),
    )
    payloads = [{"text": ended.text, "mediaUrl": None}] if ended.text else []
    return {"payloads": payloads, "meta": {"durationMs": duration, "agentMeta": about, "aborted": False}}


class WaitParams(Wire):
    """``agent.wait``."""

    run_id: NonEmpty
    timeout_ms: Annotated[int, Field(ge=0, le=3_600_000)] = 30_000


async def _wait(call: Call, params: WaitParams) -> object:
    ended = await call.services.runs.wait(params.run_id, params.timeout_ms / 1000)
    if ended is None:
        return {"runId": params.run_id, "status": "timeout"}
    row = ended.row
    return compact(
        runId=params.run_id,
        status=_STATUS.get(row.state, "ok"),
        startedAt=unix_ms(row.created_at),
        endedAt=unix_ms(row.ended_at) if row.ended_at else None,
        error=row.error or ("aborted" if row.state == "aborted" else None),
    )


METHODS = (
    Method("agent", WRITE, _agent, params=AgentParams),
    Method("agent.wait", WRITE, _wait, params=WaitParams),
)
