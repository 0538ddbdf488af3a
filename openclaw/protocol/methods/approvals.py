"""Methods about commands that wait for an approval, and the events that tell clients of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from openclaw.approvals.models import Answer, Approval, Press
from openclaw.config import OPERATOR
from openclaw.protocol import events
from openclaw.protocol.errors import invalid
from openclaw.protocol.frames import NonEmpty, Wire
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import APPROVALS
from openclaw.sessions import AGENT_ID
from shared.clock import unix_ms

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
    """What clients are told about a request; values of variables stay here. Source: protocol §13."""
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
            "sessionKey": approval.session_key,
            "turnSourceChannel": "discord" if approval.chat else None,
            "turnSourceTo": approval.chat or None,
            "turnSourceAccountId": None,
            "turnSourceThreadId": None,
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


METHODS = (
    Method("exec.approval.list", APPROVALS, _list, advertised=False),
    Method("exec.approval.resolve", APPROVALS, _resolve, params=ResolveParams),
)
