"""Methods about commands that wait for an approval, and the events that tell clients of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import Field

from openclaw.approvals.models import Answer, Approval, Press
from openclaw.config import OPERATOR
from openclaw.protocol import events
from openclaw.protocol.errors import invalid
from openclaw.protocol.frames import NonEmpty, Wire
from openclaw.protocol.registry import Call, Later, Method
from openclaw.protocol.scopes import APPROVALS, allows
from openclaw.sessions import AGENT_ID
from shared.clock import unix_ms
from shared.execpolicy.shell import read_command

_DECISIONS: Final[Mapping[str, Answer]] = {
    "allow-once": "allow_once",
    "allow-always": "allow_always",
    "deny": "deny",
}


class ResolveParams(Wire):
    """``exec.approval.resolve``."""

    id: NonEmpty
    decision: NonEmpty


def requested_payload(approval: Approval) -> dict[str, Any]:
    """What clients are told about a request; values of variables stay here. Source: protocol §13.

    Beyond the protocol: `reason` (why it asks), `words` (what "always" would store) and `alwaysRefused` (why "always"
    cannot be chosen; empty when it can), for the Control UI.
    """
    question = approval.question
    return {
        "id": approval.approval_id,
        "request": {
            "command": question.command,
            "commandArgv": list(question.argv),
            "envKeys": sorted(question.env),
            "systemRunBindingV1": None,
            "systemRunPlanV2": None,
            "cwd": question.cwd or None,
            "nodeId": None,
            "host": "gateway",
            "security": "allowlist",
            "ask": "on-miss",
            "agentId": AGENT_ID,
            "resolvedPath": question.program,
            "sessionKey": approval.session_key or None,
            "turnSourceChannel": "discord" if approval.chat else None,
            "turnSourceTo": approval.chat or None,
            "turnSourceAccountId": None,
            "turnSourceThreadId": None,
            "reason": question.reason,
            "words": [word.text for word in read_command(question.command).words],
            "alwaysRefused": question.always,
        },
        "createdAtMs": unix_ms(approval.requested_at),
        "expiresAtMs": unix_ms(approval.expires_at),
    }


def telling(emit: Callable[[str, dict[str, Any]], None]) -> Callable[[Approval], None]:
    """A listener that tells clients about requests and decisions; they see an expiry by its time."""

    def changed(approval: Approval) -> None:
        payload = requested_payload(approval)
        if approval.state == "requested":
            emit(events.APPROVAL_REQUESTED, payload)
        elif approval.decided_at is not None and approval.state != "expired":
            resolved = {"decision": approval.state.replace("_", "-"), "resolvedBy": approval.decided_by}
            told = {"id": approval.approval_id, **resolved, "ts": unix_ms(approval.decided_at)}
            emit(events.APPROVAL_RESOLVED, {**told, "request": payload["request"]})

    return changed


async def _list(call: Call, _params: object) -> object:
    waiting = await call.services.approvals.listing()
    return {"approvals": [requested_payload(approval) for approval in waiting]}


async def _resolve(call: Call, params: ResolveParams) -> object:
    answer = _DECISIONS.get(params.decision)
    if answer is None:
        raise invalid("invalid decision")
    client = call.grant.client
    ruling = await call.services.approvals.press(Press(params.id, answer, OPERATOR, client.display_name or client.id))
    if ruling.refusal == "unknown":
        raise invalid("unknown approval id")
    if not ruling.counts:
        raise invalid(ruling.reason)
    return {"ok": True}


class RequestParams(Wire):
    """``exec.approval.request``: what concerns nodes and bindings is taken and not needed here."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,40}$")] | None = None
    command: NonEmpty
    command_argv: list[str] | None = None
    system_run_plan_v2: Any = None
    env: dict[str, str] | None = None
    cwd: str | None = None
    node_id: str | None = None
    host: str | None = None
    security: str | None = None
    ask: str | None = None
    agent_id: str | None = None
    resolved_path: str | None = None
    session_key: str | None = None
    turn_source_channel: str | None = None
    turn_source_to: str | None = None
    turn_source_account_id: str | None = None
    turn_source_thread_id: str | int | None = None
    timeout_ms: Annotated[int, Field(ge=1)] | None = None
    two_phase: bool = False


_TIMEOUT_MS: Final = 120_000


def _someone_decides(call: Call) -> bool:
    """Whether anybody else is connected who may decide."""
    return any(
        other.grant is not None and allows(other.grant.scopes, APPROVALS)
        for other in call.services.hub.connections
        if other is not call.connection
    )


def _decision(approval: Approval) -> dict[str, Any]:
    """The final answer; nobody decided in time: null, which is not a failure of the request."""
    decided = approval.state not in ("requested", "expired")
    return {
        "id": approval.approval_id,
        "decision": approval.state.replace("_", "-") if decided else None,
        "createdAtMs": unix_ms(approval.requested_at),
        "expiresAtMs": unix_ms(approval.expires_at),
    }


async def _request(call: Call, params: RequestParams) -> object:
    services = call.services
    approval = await services.client_requests.file(
        params.command,
        params.command_argv or (),
        client=call.grant.client.display_name or call.grant.client.id,
        session_key=params.session_key or "",
        program=params.resolved_path or "",
        cwd=params.cwd or "",
        env=params.env or {},
        approval_id=params.id or "",
        expires_s=(params.timeout_ms or _TIMEOUT_MS) / 1000 if _someone_decides(call) else 0.001,
    )
    final = _decided(call, approval)
    if params.two_phase:
        first = {name: value for name, value in _decision(approval).items() if name != "decision"}
        return Later({"status": "accepted", **first}, final)
    return await final


async def _decided(call: Call, approval: Approval) -> object:
    return _decision(await call.services.client_requests.wait(approval))


class WaitParams(Wire):
    """``exec.approval.waitDecision``."""

    id: NonEmpty


async def _wait(call: Call, params: WaitParams) -> object:
    approval = await call.services.approvals.find(params.id)
    if approval is None:
        raise invalid("approval expired or not found")
    return await _decided(call, approval)


METHODS = (
    Method("exec.approval.list", APPROVALS, _list, advertised=False),
    Method("exec.approval.request", APPROVALS, _request, params=RequestParams),
    Method("exec.approval.waitDecision", APPROVALS, _wait, params=WaitParams),
    Method("exec.approval.resolve", APPROVALS, _resolve, params=ResolveParams),
)
