"""OpenClaw's figures: connections, devices, runs, sessions, approvals, messages, jobs (docs/metrics.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from shared.metrics.figures import Catalogue, Figure, Sheet
from shared.metrics.parts import chat_figures, job_figures
from shared.metrics.serving import with_process_figures

if TYPE_CHECKING:
    from openclaw.services import Services

CATALOGUE: Final[Catalogue] = with_process_figures(
    "openclaw",
    {
        "openclaw_connections": Figure("gauge", "Open WebSocket connections after their handshake.", ("role",)),
        "openclaw_connects_total": Figure("counter", "Handshakes: ok, or the reason of the refusal.", ("outcome",)),
        "openclaw_http_requests_total": Figure("counter", "HTTP requests.", ("endpoint", "status")),
        "openclaw_devices": Figure("gauge", "Devices, paired and waiting for approval.", ("state",)),
        "openclaw_runs_active": Figure("gauge", "Runs of the agent that were accepted and have not ended."),
        "openclaw_runs_total": Figure("counter", "Runs that ended, by outcome.", ("outcome",)),
        "openclaw_run_seconds": Figure("histogram", "From a run's acceptance to its end.", ("outcome",)),
        "openclaw_sessions": Figure("gauge", "Sessions in the index."),
        "openclaw_approvals_waiting": Figure("gauge", "Commands of the agent that wait for a person."),
        "openclaw_channel_dropped_total": Figure("counter", "What a defect kept from being stored.", ("channel",)),
        "openclaw_channel_up": Figure("gauge", "1 while a chat channel is connected.", ("channel",)),
        **chat_figures("openclaw"),
        **job_figures("openclaw"),
    },
)
"""Every figure of OpenClaw; beside them the standard ``process_*`` ones."""


@dataclass(slots=True)
class Counts:
    """What is counted as it happens.

    Attributes:
        connects: handshakes by outcome.
        http: HTTP requests by endpoint and status.
    """

    connects: Counter[str] = field(default_factory=Counter)
    http: Counter[tuple[str, int]] = field(default_factory=Counter)


FillMore = Callable[[Sheet], Awaitable[None]]
"""Fills in figures of parts that the gateway itself does not know."""


async def nothing_more(_sheet: Sheet) -> None:
    """For a gateway without its tenant."""


class OpenClawFigures:
    """Reads the figures of one OpenClaw gateway.

    Args:
        services: asked.
        counts: what was counted.
        more: the tenant's messages and jobs.
    """

    catalogue = CATALOGUE

    def __init__(self, services: Services, counts: Counts, more: FillMore = nothing_more) -> None:
        self._services = services
        self._counts = counts
        self._more = more

    async def fill(self, sheet: Sheet) -> None:
        """Fill in what there is now."""
        services = self._services
        roles = Counter(connection.grant.role for connection in services.hub.connections if connection.grant)
        sheet.put_all("openclaw_connections", {role: roles[role] for role in ("operator", "node")})
        listing = services.devices.listing()
        sheet.put_all("openclaw_devices", {state: len(listing[state]) for state in ("paired", "pending")})
        sheet.put("openclaw_runs_active", services.runs.active_count)
        sheet.put_all("openclaw_runs_total", services.runs.outcomes)
        sheet.put_durations("openclaw_run_seconds", services.runs.took)
        sheet.put("openclaw_sessions", len(services.sessions.listing()))
        sheet.put("openclaw_approvals_waiting", len(await services.approvals.listing()))
        discord = services.discord().status
        sheet.put("openclaw_channel_up", discord.state == "online", "discord")
        sheet.put("openclaw_channel_dropped_total", discord.dropped, "discord")
        sheet.put_all("openclaw_connects_total", self._counts.connects)
        for (endpoint, status), count in self._counts.http.items():
            sheet.put("openclaw_http_requests_total", count, endpoint, str(status))
        await self._more(sheet)
