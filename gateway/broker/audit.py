"""What a tenant may do about the audit: report its own events, and read the report in the old script's words."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import JSONBody
from litestar.types import ControllerRouterHandler

from shared.errors import Denied, Invalid
from shared.gatewayclient.events import AuditEvent, EventKind

_MOST: Final = 100
TENANTS_OWN: Final[frozenset[EventKind]] = frozenset(
    {
        "device.approved",
        "device.rejected",
        "device.revoked",
        "pairing.approved",
        "approval.decided",
        "grant.revoked",
        "config.written",
    }
)
"""What happens inside a tenant. It is believed about nothing else."""


@post("/v1/audit/events", status_code=204)
async def report_events(request: Request[Any, Any, Any], state: State, data: JSONBody[list[AuditEvent]]) -> None:
    """Keep what happened in a tenant; who reports it is known by the socket."""
    if len(data) > _MOST:
        raise Invalid(f"at most {_MOST} events at once")
    tenant = request.scope["state"]["caller"].tenant
    for event in data:
        if event.kind not in TENANTS_OWN:
            raise Denied(f"{event.kind} is not for a tenant to report", code="audit.kind")
        await asyncio.to_thread(state["services"].audit.chain.append, tenant, event)


@get("/v1/audit/report")
async def read_report(request: Request[Any, Any, Any], state: State) -> dict[str, Any]:
    """The newest report in the old script's grammar, and its exit code; what is another's is named without evidence."""
    report: dict[str, Any] = await state["services"].audit.told(request.scope["state"]["caller"].tenant)
    return report


def audit_routes() -> list[ControllerRouterHandler]:
    """All of them."""
    return [report_events, read_report]
