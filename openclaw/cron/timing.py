"""When a job is due: its schedule as `shared.schedule` knows it, moved by its stagger. Pure."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from openclaw.cron.models import At, CronExpression, Every, JobSpec
from shared.errors import Invalid
from shared.schedule import Due, Interval, MissedPolicy, Once, Schedule, decide_due, next_after, smallest_gap
from shared.schedule.parse import parse_cron

TOP_OF_HOUR_STAGGER: Final = timedelta(minutes=5)
"""How far jobs at the full hour are spread when they say nothing. Source: OpenClaw 2026.2.26."""
_PAST: Final = timedelta(minutes=1)
_FUTURE: Final = timedelta(days=3653)


def schedule_of(spec: JobSpec, zone: str, made_at: datetime) -> Schedule:
    """The schedule of a job.

    Args:
        spec: the job's.
        zone: IANA name, for cron expressions without their own.
        made_at: what an interval without an anchor counts from.

    Raises:
        Invalid: it cannot be read, or never comes.
    """
    match spec.schedule:
        case At(at=text):
            return Once(_moment(text))
        case Every(every_ms=every_ms, anchor_ms=anchor_ms):
            every = timedelta(milliseconds=every_ms)
            # An anchor is an occurrence itself, while an interval begins one step after what it is counted from.
            anchor = made_at if anchor_ms is None else datetime.fromtimestamp(anchor_ms / 1000, UTC) - every
            return Interval(every, anchor)
        case CronExpression(expr=expr, tz=tz):
            return parse_cron(expr, zone=_zone(tz or zone), now=made_at)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        example = "2030-05-01T09:00:00Z or 2030-05-01T09:00:00+09:00"
        raise Invalid(f"schedule.at {text!r} is not a time: write {example}", code="cron.at") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Invalid(f"there is no time zone {name!r}: use a name such as Europe/Berlin", code="cron.zone") from None


def stagger_of(job_id: str, spec: JobSpec) -> timedelta:
    """How much later than its expression a job begins: stable, and different for different jobs."""
    if not isinstance(spec.schedule, CronExpression):
        return timedelta()
    window = TOP_OF_HOUR_STAGGER if _is_top_of_hour(spec.schedule.expr) else timedelta()
    if spec.schedule.stagger_ms is not None:
        window = timedelta(milliseconds=spec.schedule.stagger_ms)
    window_ms = window // timedelta(milliseconds=1)
    if window_ms == 0:
        return timedelta()
    digest = hashlib.sha256(job_id.encode()).digest()
    return timedelta(milliseconds=int.from_bytes(digest[:8], "big") % window_ms)


def _is_top_of_hour(expression: str) -> bool:
    fields = expression.split()
    return expression.strip() == "@hourly" or (fields[:1] == ["0"] and "*" in "".join(fields[1:2]))


def check_new(spec: JobSpec, zone: str, now: datetime, *, least_gap_s: float) -> None:
    """Refuse a schedule that nobody can mean.

    Raises:
        Invalid: a single moment that is over or too far away, or occurrences too close to each other.
    """
    schedule = schedule_of(spec, zone, now)
    if isinstance(schedule, Once):
        if schedule.at < now - _PAST:
            raise Invalid(
                f"schedule.at is in the past: {schedule.at.isoformat()} (now is {now.isoformat(timespec='seconds')})",
                code="cron.past",
            )
        if schedule.at > now + _FUTURE:
            raise Invalid("schedule.at is more than ten years away", code="cron.far")
        return
    gap = smallest_gap(schedule, now)
    if gap is not None and gap.total_seconds() < least_gap_s:
        raise Invalid(
            f"the job would run every {gap.total_seconds():g} s; the shortest allowed is {least_gap_s:g} s",
            code="cron.too_often",
        )


def first_after(schedule: Schedule, moment: datetime, stagger: timedelta) -> datetime | None:
    """The first occurrence after a moment; a single moment that has just passed is due at once."""
    if isinstance(schedule, Once):
        return schedule.at
    found = next_after(schedule, moment - stagger)
    return None if found is None else found + stagger


def decide_job(
    schedule: Schedule, due_at: datetime, now: datetime, stagger: timedelta, *, missed: MissedPolicy, grace_s: float
) -> Due:
    """Decide about the occurrence a job waits for; however many were missed, at most one run comes of them."""
    grace = timedelta(seconds=grace_s)
    due = decide_due(schedule, due_at - stagger, now - stagger, missed=missed, grace=grace)
    following = None if due.next_at is None else due.next_at + stagger
    return Due(due.action, due.occurrence + stagger, following, due.reason)
