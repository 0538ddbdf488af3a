"""Methods that change sessions: settings, a new beginning, fewer lines, an end."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from openclaw.agent.models import model_id, provider_of
from openclaw.protocol.errors import ProtocolError, invalid
from openclaw.protocol.frames import CONTROL_UI, NonEmpty, Wire
from openclaw.protocol.methods.sessions import entry, reset_session
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import ADMIN
from openclaw.services import Services
from openclaw.sessions import MAIN_SESSION, canonical_key
from shared.errors import Invalid

_BY_POLICY: Final = {
    "execHost": "gateway",
    "execSecurity": "allowlist",
    "execAsk": "on-miss",
    "elevatedLevel": "off",
}
"""What holds for commands in every session. It is the operator's policy (policies/exec.toml), not a client's."""


_NOT_HERE: Final = {
    "verboseLevel": "tool calls are told to whoever sent the message and wants them (capability tool-events)",
    "reasoningLevel": "a model's reasoning is not shown",
    "responseUsage": "what an answer used is on the page Usage, and in sessions.usage",
}
"""Levels that would change nothing here, and what there is instead: only ``off`` is true of them."""


class PatchParams(Wire):
    """``sessions.patch``: null clears a setting, what is left out stays. What would have no effect is refused."""

    key: NonEmpty
    label: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    thinking_level: Literal["off", "minimal", "low", "medium", "high", "xhigh"] | None = None
    verbose_level: Literal["off", "on", "full"] | None = None
    reasoning_level: Literal["off", "on", "stream"] | None = None
    response_usage: Literal["off", "tokens", "full", "on"] | None = None
    elevated_level: Literal["off", "on", "ask", "full"] | None = None
    exec_host: Literal["sandbox", "gateway", "node"] | None = None
    exec_security: Literal["deny", "allowlist", "full"] | None = None
    exec_ask: Literal["off", "on-miss", "always"] | None = None
    model: NonEmpty | None = None


def _refuse_webchat(call: Call, verb: str) -> None:
    """Chat widgets do not administer sessions; the Control UI, which says it is one, may (protocol §10)."""
    client = call.grant.client
    if client.mode == "webchat" and client.id != CONTROL_UI:
        raise invalid(f"webchat clients cannot {verb} sessions; use chat.send for session-scoped updates")


async def _patch(call: Call, params: PatchParams) -> object:
    _refuse_webchat(call, "patch")
    services = call.services
    given = params.model_dump(by_alias=True, include=params.model_fields_set - {"key"})
    for name, value in _BY_POLICY.items():
        if given.pop(name, None) not in (None, value):
            raise invalid(f"{name} is set for all sessions by policies/exec.toml ({value}) and not by clients")
    for name, instead in _NOT_HERE.items():
        if given.pop(name, None) not in (None, "off"):
            raise invalid(f"{name} can only be off: {instead}")
    if given.get("model") is not None:
        given["model"] = _known_model(services, given["model"])
    row = await services.sessions.patch(canonical_key(params.key), given)
    ref = row.settings.get("model") or services.policy.agent.model
    return {
        "ok": True,
        "path": str(services.folder / f"{services.name}.db"),
        "key": row.key,
        "entry": entry(services, row),
        "resolved": {"modelProvider": provider_of(ref), "model": model_id(ref)},
    }


def _known_model(services: Services, asked: str) -> str:
    """The full name of a model of the catalogue.

    Raises:
        ProtocolError: there is none of this name.
    """
    models = services.runs.loop.models
    known = {ref: ref for ref in (*models.refs, *(model.ref for model in models.catalog.listed()))}
    short = {model_id(ref): ref for ref in reversed(known)}
    if found := known.get(asked) or short.get(asked):
        return found
    try:
        return models.catalog.find(asked).ref
    except Invalid as error:
        raise invalid(error.detail) from None


class ResetParams(Wire):
    """``sessions.reset``."""

    key: NonEmpty
    reason: Literal["new", "reset"] | None = None


async def _reset(call: Call, params: ResetParams) -> object:
    row = await reset_session(call.services, canonical_key(params.key))
    return {"ok": True, "key": row.key, "entry": entry(call.services, row)}


class DeleteParams(Wire):
    """``sessions.delete``: the transcript is set aside, or left where it is."""

    key: NonEmpty
    delete_transcript: bool = True
    emit_lifecycle_hooks: bool | None = None


async def _delete(call: Call, params: DeleteParams) -> object:
    _refuse_webchat(call, "delete")
    services = call.services
    key = canonical_key(params.key)
    if key == MAIN_SESSION:
        raise invalid(f"Cannot delete the main session ({MAIN_SESSION}).")
    await services.runs.abort(key, None, "rpc")
    row = await services.sessions.remove(key)
    archived = (
        await services.transcripts.archive(row.session_id, "deleted") if row and params.delete_transcript else None
    )
    return {"ok": True, "key": key, "deleted": row is not None, "archived": [str(archived)] if archived else []}


class CompactParams(Wire):
    """``sessions.compact``."""

    key: NonEmpty
    max_lines: Annotated[int, Field(ge=1)] = 400


async def _compact(call: Call, params: CompactParams) -> object:
    services = call.services
    key = canonical_key(params.key)
    row = services.sessions.get(key)
    if row is None:
        return {"ok": True, "key": key, "compacted": False, "reason": "no sessionId"}
    if services.runs.is_busy(key):
        raise ProtocolError("UNAVAILABLE", f"{key} is being answered; try again when it is done", retryable=True)
    kept, archived = await services.transcripts.keep_last(row.session_id, params.max_lines)
    result: dict[str, Any] = {"ok": True, "key": key, "compacted": archived is not None, "kept": kept}
    return result | ({"archived": str(archived)} if archived else {})


METHODS = (
    Method("sessions.patch", ADMIN, _patch, params=PatchParams),
    Method("sessions.reset", ADMIN, _reset, params=ResetParams),
    Method("sessions.delete", ADMIN, _delete, params=DeleteParams),
    Method("sessions.compact", ADMIN, _compact, params=CompactParams),
)
