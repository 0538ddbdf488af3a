"""What to do about an occurrence that is due: run it, leave it out, or go on waiting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.schedule.models import Schedule
from shared.schedule.occurrences import next_after

MissedPolicy = Literal["run_once", "skip"]
"""For occurrences nobody was there for: make up for all of them with one run, or leave them out."""


@dataclass(frozen=True, slots=True)
class Due:
    """The decision.

    Attributes:
        action: ``wait`` nothing is due · ``run`` · ``skip``.
        occurrence: the one that is run, the first one that is left out, or the one waited for.
        next_at: what to wait for afterwards; None when nothing comes any more.
        reason: for people.
    """

    action: Literal["wait", "run", "skip"]
    occurrence: datetime
    next_at: datetime | None
    reason: str


def decide_due(schedule: Schedule, due_at: datetime, now: datetime, *, missed: MissedPolicy, grace: timedelta) -> Due:
    """Decide about the occurrence a schedule waits for.

    However many occurrences have passed, at most one run comes of them, and the next one lies after `now`.

    Args:
        schedule: of the job.
        due_at: the occurrence it waits for.
        now: the wall clock; it may have jumped in either direction since the last look.
        missed: what to do when the occurrence is later than `grace`.
        grace: a start this late still counts as on time.
    """
    if due_at > now:
        return Due("wait", due_at, due_at, "not due yet")
    following = next_after(schedule, now)
    if now - due_at <= grace:
        return Due("run", due_at, following, "due")
    if missed == "run_once":
        return Due("run", due_at, following, f"missed; it runs {_late(now - due_at)} late")
    recent = next_after(schedule, now - grace)
    if recent is not None and recent <= now:
        return Due("run", recent, following, "due; earlier ones were missed and left out")
    return Due("skip", due_at, following, f"missed {_late(now - due_at)} ago and left out, as policy says")


def _late(late: timedelta) -> str:
    minutes = int(late.total_seconds() // 60)
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    parts = [
        f"{n} {unit}{'s' if n > 1 else ''}" for n, unit in ((days, "day"), (hours, "hour"), (minutes, "minute")) if n
    ]
    return " ".join(parts[:2]) or "less than a minute"
