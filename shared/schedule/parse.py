"""Schedules as people and agents write them. What cannot be used is `Invalid`, with the reason and an example."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from shared.errors import Invalid
from shared.schedule.models import Cron, Interval, Once, Schedule, ScheduleKind
from shared.schedule.occurrences import next_after

CRON_NAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""What the names of cron stand for; ``@reboot`` is no time."""

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "sec": timedelta(seconds=1),
    "second": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "minute": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "hour": timedelta(hours=1),
    "d": timedelta(days=1),
    "day": timedelta(days=1),
    "w": timedelta(weeks=1),
    "week": timedelta(weeks=1),
}
_SPAN = re.compile(r"([0-9]{1,15})\s*([a-z]+)")
_SPANS = re.compile(rf"{_SPAN.pattern}(?:[\s,]*{_SPAN.pattern})*")
_LONGEST = timedelta(days=3660)
_TEXT_LIMIT = 200
_CRON_FIELDS = 5

_CRON_EXAMPLE = "for example '0 9 * * 1-5' for weekdays at 09:00, or @daily"
_INTERVAL_EXAMPLE = "for example '30m', '2 hours' or '1h30m'; a bare number is milliseconds"
_ONCE_EXAMPLE = "for example '2030-05-01 09:00', or with an offset '2030-05-01T09:00:00+09:00'"


def parse_schedule(kind: str, text: str, *, zone: ZoneInfo, now: datetime) -> Schedule:
    """Read a schedule of any kind.

    Args:
        kind: ``cron``, ``interval`` or ``once``.
        text: its value.
        zone: for what has no offset of its own.
        now: intervals count from here, and a single moment must lie after it.

    Raises:
        Invalid: there is no such kind, or the text is not of it.
    """
    match kind:
        case "cron":
            return parse_cron(text, zone=zone, now=now)
        case "interval":
            return parse_interval(text, anchor=now)
        case "once":
            return parse_once(text, zone=zone, now=now)
        case _:
            raise Invalid(f"{kind!r} is not a kind of schedule: use cron, interval or once", code="schedule.kind")


def parse_cron(text: str, *, zone: ZoneInfo, now: datetime) -> Cron:
    """Read five fields (minute, hour, day of month, month, day of week) or a name such as ``@daily``.

    Raises:
        Invalid: it is malformed, or there is no such day.
    """
    text = _checked(text, "cron", _CRON_EXAMPLE)
    if text.startswith("@"):
        expression = CRON_NAMES.get(text.lower())
        if expression is None:
            raise _refused("cron", text, f"the names are {', '.join(sorted(CRON_NAMES))}", _CRON_EXAMPLE)
        return Cron(expression, zone)
    fields = text.split()
    if len(fields) != _CRON_FIELDS:
        reason = f"it has {len(fields)} fields, not the five minute, hour, day of month, month and day of week"
        raise _refused("cron", text, reason, _CRON_EXAMPLE)
    cron = Cron(" ".join(fields), zone)
    try:
        CronSim(cron.expression, now.astimezone(zone))
        is_possible = next_after(cron, now) is not None
    except CronSimError as error:
        raise _refused("cron", text, str(error).lower(), _CRON_EXAMPLE) from None
    if not is_possible:
        raise _refused("cron", text, "there never is such a day", _CRON_EXAMPLE)
    return cron


def parse_interval(text: str, *, anchor: datetime) -> Interval:
    """Read a duration: numbers with units (``1h30m``, ``2 hours``), or a bare number of milliseconds.

    Raises:
        Invalid: it is malformed, nothing, or longer than ten years.
    """
    text = _checked(text, "interval", _INTERVAL_EXAMPLE)
    spelled = f"{text}ms" if text.isascii() and text.isdigit() else text.lower()
    if not _SPANS.fullmatch(spelled):
        raise _refused("interval", text, "it is not a number with a unit", _INTERVAL_EXAMPLE)
    every = timedelta()
    for number, unit in _SPAN.findall(spelled):
        size = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
        if size is None:
            raise _refused("interval", text, f"{unit!r} is not a unit", _INTERVAL_EXAMPLE)
        every += min(int(number), _LONGEST // size + 1) * size
    if not timedelta() < every <= _LONGEST:
        raise _refused("interval", text, "it must be more than nothing and at most ten years", _INTERVAL_EXAMPLE)
    return Interval(every, anchor)


def parse_once(text: str, *, zone: ZoneInfo, now: datetime) -> Once:
    """Read a date and time: with an offset it is exact, without it is on the clock of `zone`.

    A local time that the clock skips becomes the first moment after the gap, one that it shows twice the first of both:
    the same that cron does.

    Raises:
        Invalid: it is malformed, has no time of day, or is not in the future.
    """
    text = _checked(text, "once", _ONCE_EXAMPLE)
    if not re.search(r"\d[T ]\d", text, re.IGNORECASE):
        raise _refused("once", text, "a date and a time of day are needed", _ONCE_EXAMPLE)
    try:
        moment = datetime.fromisoformat(text)
        exact = (moment if moment.tzinfo else _on_the_clock(moment, zone)).astimezone(UTC)
        at = exact.astimezone(zone)
    except (ValueError, OverflowError):
        raise _refused("once", text, "it is not a date and time", _ONCE_EXAMPLE) from None
    if exact <= now:
        at_now = f"{now.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"
        raise _refused("once", text, f"it is in the past (now is {at_now})", _ONCE_EXAMPLE)
    return Once(at)


def stored_schedule(kind: ScheduleKind, text: str, *, zone: ZoneInfo, anchor: datetime) -> Schedule:
    """Read back what was stored: `Schedule.text` with the zone and moment (`anchor`) it was made with.

    Raises:
        Invalid: it was not written by us.
    """
    match kind:
        case "cron":
            return parse_cron(text, zone=zone, now=anchor)
        case "interval":
            return parse_interval(text, anchor=anchor)
        case "once":
            try:
                return Once(datetime.fromisoformat(text).astimezone(zone))
            except ValueError:
                raise Invalid(f"the stored time {text!r} cannot be read", code="schedule.invalid") from None


def _on_the_clock(naive: datetime, zone: ZoneInfo) -> datetime:
    """A wall-clock time of a zone as a moment; see `parse_once` for the days on which clocks are changed."""
    while (moment := naive.replace(tzinfo=zone, fold=0)).astimezone(UTC).astimezone(zone).replace(tzinfo=None) != naive:
        naive = naive.replace(second=0, microsecond=0) + timedelta(minutes=1)  # gaps begin and end on a minute
    return moment


def _checked(text: str, kind: str, example: str) -> str:
    text = text.strip()
    if not text:
        raise Invalid(f"the {kind} schedule is empty; {example}", code="schedule.invalid")
    if len(text) > _TEXT_LIMIT:
        raise Invalid(f"the {kind} schedule is too long; {example}", code="schedule.invalid")
    return text


def _refused(kind: str, text: str, reason: str, example: str) -> Invalid:
    return Invalid(f"{text!r} is not a usable {kind} schedule: {reason}; {example}", code="schedule.invalid")
