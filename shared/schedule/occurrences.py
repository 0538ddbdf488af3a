"""Occurrences of a schedule.

Days on which clocks are changed, for cron (as Debian's cron does it, through cronsim):

- A job at a fixed time that falls into the skipped hour runs once, at the first minute after it (02:30 becomes 03:00).
- A job at a fixed time that the clock shows twice runs once, the first time.
- A job whose hour or minute is a wildcard follows real time: nothing in a skipped hour, both passes of a repeated one.

Known limit: where clocks move by half an hour (Lord Howe Island alone), an hourly wildcard may pass over one occurrence
in such a night.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

from cronsim import CronSim

from shared.schedule.models import Cron, Interval, Once, Schedule

_SAMPLE = 61
"""Occurrences looked at to find the smallest gap: an hour of a job that runs every minute, and its neighbours."""


def next_after(schedule: Schedule, moment: datetime) -> datetime | None:
    """The first occurrence strictly after a moment, in UTC; None when there is none any more.

    Args:
        schedule: whose.
        moment: aware.
    """
    match schedule:
        case Once(at=at):
            return at.astimezone(UTC) if at > moment else None
        case Interval(every=every, anchor=anchor):
            count = max(1, (moment - anchor) // every + 1)
            return (anchor + count * every).astimezone(UTC)
        case Cron():
            return next(_fires(schedule, moment), None)


def smallest_gap(schedule: Schedule, moment: datetime) -> timedelta | None:
    """How close the coming occurrences get to each other; None when at most one is left."""
    match schedule:
        case Once():
            return None
        case Interval(every=every):
            return every
        case Cron():
            fires = islice(_fires(schedule, moment), _SAMPLE)
            return min((later - earlier for earlier, later in pairwise(fires)), default=None)


def _fires(cron: Cron, moment: datetime) -> Iterator[datetime]:
    """Occurrences after a moment, rising; cronsim repeats or goes back around a change of the clocks, this does not."""
    latest = moment.astimezone(UTC)
    for local in CronSim(cron.expression, moment.astimezone(cron.zone)):
        fire = local.astimezone(UTC)
        if fire > latest:
            latest = fire
            yield fire
