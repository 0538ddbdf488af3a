"""When a job runs next; pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from shared.maintenance.models import JobState, Outcome
from shared.schedule import Cron, next_after

RETRY_AFTER = timedelta(hours=1)
"""A job that failed is tried again so much later, unless its regular time comes first."""
RETRIES = 3
"""So often in a row; then it waits for its regular time."""


def decide_next(cron: Cron, outcome: Outcome, failures: int, now: datetime) -> datetime:
    """When a job runs next after a run.

    A job that died with its process is caught up at once, but only the first time: one that kills the process must not
    do so in a circle.

    Args:
        cron: its regular times.
        outcome: of the run that ended.
        failures: runs in a row that did not end well, this one included.
        now: aware.
    """
    regular = regular_time(cron, now)
    if outcome == "ok" or failures > RETRIES:
        return regular
    at_once = outcome == "interrupted" and failures == 1
    return min(regular, now if at_once else now + RETRY_AFTER)


def decide_row(known: JobState | None, name: str, cron: Cron, now: datetime) -> JobState:
    """The row a job has at a look: new, as it was, or with a new time.

    What came due while nothing ran stays due, and is made up for by one run. A time that lies later than the
    regular next one is pulled back: the wall clock was wrong, or the times were changed.
    """
    times, zone, regular = cron.expression, cron.zone.key, regular_time(cron, now)
    if known is None:
        return JobState(name, times, zone, regular)
    if (known.times, known.zone) != (times, zone):
        return replace(known, times=times, zone=zone, next_at=regular)
    return replace(known, next_at=min(known.next_at, regular))


def regular_time(cron: Cron, now: datetime) -> datetime:
    """The next occurrence of a schedule that was checked to have one."""
    following = next_after(cron, now)
    if following is None:
        raise ValueError(f"{cron.expression} never comes")
    return following
