"""Values of maintenance: what a job is, and what is known of its runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Outcome = Literal["ok", "failed", "interrupted"]
"""``interrupted``: the process ended in the middle of it."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something a process does by itself from time to time.

    Attributes:
        name: unique in its process, such as ``logs.rotate``.
        about: one line for people.
        times: five cron fields on the owner's clock; ``[times]`` of policies/maintenance.toml overrides it.
        work: does it and says in one line what came of it; whatever it raises makes the run a failed one.
        timeout_s: after this the run is failed. Work on a thread goes on to its end and is not waited for.
    """

    name: str
    about: str
    times: str
    work: Callable[[], Awaitable[str]]
    timeout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class JobState:
    """A job's row.

    Attributes:
        times: the cron fields that `next_at` was computed from.
        zone: and the zone they were read in.
        next_at: when it runs next, aware UTC.
        lease: the run that has it; empty when none does.
        started_at: of the newest run.
        ended_at: of the newest run that ended or was found interrupted.
        outcome: of that run; None before the first.
        detail: what came of it, for people.
        duration_ms: of that run; 0 for an interrupted one, whose end nobody saw.
        failures: runs in a row that did not end well.
    """

    name: str
    times: str
    zone: str
    next_at: datetime
    lease: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    detail: str = ""
    duration_ms: int = 0
    failures: int = 0

    def as_json(self) -> dict[str, Any]:
        """For ``--json``; times in the owner's zone are left to whoever shows them."""
        moments = {"next_at": self.next_at, "started_at": self.started_at, "ended_at": self.ended_at}
        return {
            "name": self.name,
            "times": self.times,
            "zone": self.zone,
            **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
            "running": bool(self.lease),
            "outcome": self.outcome,
            "detail": self.detail,
            "duration_ms": self.duration_ms,
            "failures": self.failures,
        }
