"""The operator's socket: what ``openclaw approvals`` asks a running tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openclaw.approvals.models import Answer, Press, Ruling
from openclaw.approvals.service import Approvals
from openclaw.config import OPERATOR
from shared.errors import Conflict, Denied, Invalid, NotFound
from shared.execpolicy.grants import Hole
from shared.lifecycle.control import Operation, required_text

_ANSWERS: Mapping[str, Answer] = {"allow": "allow_once", "always": "allow_always", "deny": "deny"}


def approval_operations(approvals: Approvals) -> Mapping[str, Operation]:
    """The table of operations."""

    async def listing(params: dict[str, Any]) -> list[dict[str, Any]]:
        found = await approvals.listing(waiting_only=not params.get("all"))
        return [approval.as_json() for approval in found]

    async def show(params: dict[str, Any]) -> dict[str, Any]:
        return (await approvals.get(required_text(params, "id"))).as_json()

    async def decide(params: dict[str, Any]) -> dict[str, Any]:
        approval_id = required_text(params, "id")
        answer = _ANSWERS.get(required_text(params, "answer"))
        if answer is None:
            raise Invalid("the answer is allow, always or deny", code="approvals.answer")
        ruling = await approvals.press(Press(approval_id, answer, OPERATOR, OPERATOR), _holes(params))
        _require(ruling)
        return (await approvals.get(approval_id)).as_json()

    async def grants(_params: dict[str, Any]) -> list[dict[str, Any]]:
        return [grant.as_json() for grant in await approvals.grants()]

    async def revoke(params: dict[str, Any]) -> dict[str, Any]:
        grant_id = required_text(params, "id")
        await approvals.revoke(grant_id)
        return {"revoked": grant_id}

    return {
        "approvals.list": listing,
        "approvals.show": show,
        "approvals.decide": decide,
        "approvals.grants": grants,
        "approvals.revoke": revoke,
    }


def _require(ruling: Ruling) -> None:
    """Raise what a refused answer means to a command."""
    if ruling.refusal == "foreign":
        raise Denied(f"{ruling.reason} Add {OPERATOR!r} to approvers.", code="approvals.foreign")
    if ruling.refusal == "unknown":
        raise NotFound(ruling.reason, code="approvals.unknown")
    if not ruling.counts:
        raise Conflict(ruling.reason, code="approvals.late")


def _holes(params: dict[str, Any]) -> list[tuple[int, Hole]]:
    given = params.get("holes", [])
    try:
        return [(int(position), Hole(name=f"value{position}", prefix=str(prefix))) for position, prefix in given]
    except (TypeError, ValueError):
        raise Invalid("holes are pairs of a position and a prefix", code="approvals.holes") from None
