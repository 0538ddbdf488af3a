"""Occurrences on days on which clocks are changed, and intervals that do not drift."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.schedule import Cron, Interval, Once, decide_due, next_after, smallest_gap

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def fires(expression, zone, start, count):
    """The next occurrences on the zone's clock, each asked for anew as a due loop does."""
    cron = Cron(expression, ZoneInfo(zone))
    moment = datetime.fromisoformat(start).replace(tzinfo=cron.zone)
    found = []
    for _ in range(count):
        moment = next_after(cron, moment)
        found.append(f"{moment.astimezone(cron.zone):%d %H:%M%z}")
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "start", "expected"),
    [
        # skipped hour, fixed time: once, at the first minute after it
        ("30 2 * * *", "America/New_York", "2026-03-07 12:00", ["08 03:00-0400", "09 02:30-0400"]),
        ("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", ["29 03:00+0200", "30 02:30+0200"]),
        ("10 0 * * *", "Africa/Cairo", "2026-04-23 12:00", ["24 01:00+0300", "25 00:10+0300"]),
        # several fixed times in the gap are one occurrence, not several at the same moment
        ("0,30 2,3 * * *", "America/New_York", "2026-03-08 01:00", ["08 03:00-0400", "08 03:30-0400", "09 02:00-0400"]),
        # repeated hour, fixed time: once, the first time; also when asked in the middle of the second pass
        ("30 1 * * *", "America/New_York", "2026-10-31 12:00", ["01 01:30-0400", "02 01:30-0500"]),
        ("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", ["25 02:30+0200", "26 02:30+0100"]),
        # wildcard: real time, both passes of the repeated hour and nothing in the skipped one
        ("0 * * * *", "America/New_York", "2026-11-01 00:30", ["01 01:00-0400", "01 01:00-0500", "01 02:00-0500"]),
        ("*/30 * * * *", "Europe/Berlin", "2026-03-29 01:20", ["29 01:30+0100", "29 03:00+0200", "29 03:30+0200"]),
        # no changes of the clock at all
        ("0 9 * * 1", "Asia/Seoul", "2026-03-01 12:00", ["02 09:00+0900", "09 09:00+0900"]),
    ],
)  # fmt: skip
def test_cron_on_days_on_which_clocks_are_changed(expression, zone, start, expected):
    assert fires(expression, zone, start, len(expected)) == expected


def test_a_fixed_time_does_not_run_again_in_the_second_pass_of_a_repeated_hour():
    cron = Cron("30 1 * * *", ZoneInfo("America/New_York"))
    in_second_pass = datetime(2026, 11, 1, 1, 10, tzinfo=cron.zone, fold=1)
    assert next_after(cron, in_second_pass).astimezone(cron.zone).day == 2


ZONES = ("Asia/Seoul", "America/New_York", "Europe/Berlin", "Africa/Cairo", "America/Santiago", "Australia/Sydney")
EXPRESSIONS = ("30 2 * * *", "0 * * * *", "*/20 * * * *", "15,45 0-3 * * *", "0 0 * * 0", "5 1 * * *", "0 */2 * * *")


@given(
    st.sampled_from(EXPRESSIONS),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
)
def test_occurrences_rise_and_none_lies_between(expression, zone, start):
    """Asked from any moment before an occurrence, the answer is that occurrence."""
    cron = Cron(expression, ZoneInfo(zone))
    moment = start.replace(tzinfo=UTC)
    first = next_after(cron, moment)
    assert first > moment
    assert next_after(cron, first) > first
    assert next_after(cron, moment + (first - moment) / 2) == first
    assert next_after(cron, first - timedelta(seconds=1)) == first


@given(
    st.timedeltas(timedelta(seconds=1), timedelta(days=400)), st.timedeltas(timedelta(days=-30), timedelta(days=900))
)
def test_an_interval_stays_on_its_grid_however_late_one_asks(every, since):
    interval = Interval(every, NOW)
    found = next_after(interval, NOW + since)
    assert (found - NOW) % every == timedelta()
    assert found > NOW + since
    assert found - every <= max(NOW + since, NOW)


def test_one_moment_comes_once():
    once = Once(NOW)
    assert next_after(once, NOW - timedelta(seconds=1)) == NOW
    assert next_after(once, NOW) is None
    assert smallest_gap(once, NOW - timedelta(days=1)) is None


@pytest.mark.parametrize(
    ("expression", "minutes"), [("* * * * *", 1), ("0 9 * * *", 1440), ("59,0 9,10 * * *", 1), ("*/5 3 1 1 *", 5)]
)
def test_the_smallest_gap_is_found(expression, minutes):
    assert smallest_gap(Cron(expression, ZoneInfo("Asia/Seoul")), NOW) == timedelta(minutes=minutes)


# --- what to do about a due occurrence -------------------------------------------------------------------------------

HOURLY = Interval(timedelta(hours=1), NOW - timedelta(hours=1))
GRACE = timedelta(seconds=60)


def due(at, now, missed="run_once"):
    return decide_due(HOURLY, at, now, missed=missed, grace=GRACE)


def test_nothing_is_due_before_its_time_also_after_the_clock_went_back():
    decision = due(NOW, NOW - timedelta(days=3))
    assert (decision.action, decision.next_at) == ("wait", NOW)


@pytest.mark.parametrize("missed", ["run_once", "skip"])
def test_a_start_within_the_grace_is_on_time(missed):
    decision = due(NOW, NOW + timedelta(seconds=59), missed)
    assert (decision.action, decision.occurrence, decision.reason) == ("run", NOW, "due")
    assert decision.next_at == NOW + timedelta(hours=1)


@pytest.mark.parametrize("hours", [1, 5, 5000])
def test_any_number_of_missed_occurrences_is_one_run_or_none(hours):
    late = NOW + timedelta(hours=hours, minutes=30)
    once, skipped = due(NOW, late), due(NOW, late, "skip")
    assert (once.action, once.occurrence) == ("run", NOW)
    assert skipped.action == "skip"
    assert once.next_at == skipped.next_at == NOW + timedelta(hours=hours + 1)
    assert "late" in once.reason
    assert "policy" in skipped.reason


def test_skip_leaves_out_what_was_missed_but_not_what_is_due_just_now():
    decision = due(NOW, NOW + timedelta(hours=5, seconds=20), "skip")
    assert (decision.action, decision.occurrence) == ("run", NOW + timedelta(hours=5))


def test_a_missed_single_moment_is_over_afterwards():
    for missed, action in (("run_once", "run"), ("skip", "skip")):
        decision = decide_due(Once(NOW), NOW, NOW + timedelta(days=1), missed=missed, grace=GRACE)
        assert (decision.action, decision.next_at) == (action, None)


@given(st.sampled_from(EXPRESSIONS), st.sampled_from(ZONES), st.timedeltas(timedelta(), timedelta(days=3)))
def test_made_up_runs_and_following_ones_cover_every_occurrence(expression, zone, down):
    cron = Cron(expression, ZoneInfo(zone))
    first = next_after(cron, NOW)
    decision = decide_due(cron, first, first + down, missed="run_once", grace=GRACE)
    assert decision.action == "run"
    assert decision.occurrence == first
    assert decision.next_at > first + down
    assert next_after(cron, first + down) == decision.next_at
    rising = [first, decision.next_at, next_after(cron, decision.next_at)]
    assert all(a < b for a, b in pairwise(rising))
