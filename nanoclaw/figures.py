"""NanoClaw's figures: messages, runs, groups, tasks, jobs (docs/metrics.md)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from nanoclaw.metrics import RoutingLine
from shared.metrics.figures import Catalogue, Durations, Figure, Sheet
from shared.metrics.parts import chat_figures, fill_chat, fill_jobs, job_figures
from shared.metrics.serving import with_process_figures

if TYPE_CHECKING:
    from nanoclaw.tenant import Tenant

CATALOGUE: Final[Catalogue] = with_process_figures(
    "nanoclaw",
    {
        "nanoclaw_channel_up": Figure("gauge", "1 while a chat platform is connected.", ("channel",)),
        "nanoclaw_channel_dropped_total": Figure("counter", "What a defect kept from being stored.", ("channel",)),
        "nanoclaw_groups": Figure("gauge", "Registered groups."),
        "nanoclaw_runs_active": Figure("gauge", "Runs under way."),
        "nanoclaw_runs_total": Figure("counter", "Runs that ended, by tier and outcome.", ("tier", "outcome")),
        "nanoclaw_run_seconds": Figure("histogram", "From a run's turn to its answer.", ("tier",)),
        "nanoclaw_run_queue_seconds": Figure("histogram", "How long a run waited for its turn.", ("tier",)),
        "nanoclaw_run_start_seconds": Figure("histogram", "How long a run waited for its worker.", ("tier",)),
        "nanoclaw_tasks": Figure("gauge", "Scheduled tasks, by state.", ("state",)),
        **chat_figures("nanoclaw"),
        **job_figures("nanoclaw"),
    },
)
"""Every figure of NanoClaw; beside them the standard ``process_*`` ones."""

_BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)


def _durations() -> Durations:
    return Durations(_BOUNDS)


@dataclass
class RunCounts:
    """Runs, counted as they are accounted for; tried again counts again."""

    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    took: Durations = field(default_factory=_durations)
    queued: Durations = field(default_factory=_durations)
    started: Durations = field(default_factory=_durations)

    def count(self, line: RoutingLine) -> None:
        """Count one."""
        self.ended[line.tier, "ok" if line.ok else "failed"] += 1
        self.took.observe(line.total_ms / 1000, line.tier)
        self.queued.observe(line.queue_ms / 1000, line.tier)
        self.started.observe(line.start_ms / 1000, line.tier)


class NanoclawFigures:
    """Reads the figures of one tenant."""

    catalogue = CATALOGUE

    def __init__(self, tenant: Tenant, counts: RunCounts) -> None:
        self._tenant = tenant
        self._counts = counts

    async def fill(self, sheet: Sheet) -> None:
        """Fill in what there is now."""
        tenant, counts = self._tenant, self._counts
        for name, status in tenant.channels.status().items():
            sheet.put("nanoclaw_channel_up", status.state == "online", name)
            sheet.put("nanoclaw_channel_dropped_total", status.dropped, name)
        sheet.put("nanoclaw_groups", len(tenant.registry))
        sheet.put("nanoclaw_runs_active", len(tenant.runs.current))
        for key, count in counts.ended.items():
            sheet.put("nanoclaw_runs_total", count, *key)
        sheet.put_durations("nanoclaw_run_seconds", counts.took)
        sheet.put_durations("nanoclaw_run_queue_seconds", counts.queued)
        sheet.put_durations("nanoclaw_run_start_seconds", counts.started)
        sheet.put_all("nanoclaw_tasks", await tenant.tasks.read(lambda rows: rows.counts()))
        await fill_chat(sheet, "nanoclaw", tenant.inbox, tenant.outbox, tenant.clock)
        fill_jobs(sheet, "nanoclaw", await tenant.maintenance.listing())
