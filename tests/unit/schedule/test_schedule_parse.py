"""Schedules as people write them: what is read, and what is refused with a reason and an example."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.errors import Invalid
from shared.schedule import parse_schedule, stored_schedule

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SEOUL = ZoneInfo("Asia/Seoul")
NEW_YORK = ZoneInfo("America/New_York")


def read(kind, text, zone=SEOUL):
    return parse_schedule(kind, text, zone=zone, now=NOW)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("2 hours", 7200), ("1h30m", 5400), ("90s", 90), ("1 day, 6 h", 108_000), ("3600000", 3600),
     ("2 Weeks", 1_209_600), ("1 minute", 60), ("500ms", 0.5), ("  45 min ", 2700)],
)  # fmt: skip
def test_an_interval_is_read_with_units_or_as_milliseconds(text, seconds):
    interval = read("interval", text)
    assert interval.every == timedelta(seconds=seconds)
    assert stored_schedule("interval", interval.text, zone=SEOUL, anchor=NOW) == interval


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("interval", "", "empty"),
        ("interval", "often", "not a number with a unit"),
        ("interval", "5 parsecs", "'parsecs' is not a unit"),
        ("interval", "0", "more than nothing"),
        ("interval", "-5m", "not a number with a unit"),
        ("interval", "999999999999999d", "at most ten years"),
        ("interval", "٣m", "not a number with a unit"),
        ("cron", "every day", "it has 2 fields"),
        ("cron", "0 0 9 * * *", "it has 6 fields"),
        ("cron", "61 9 * * *", "bad minute"),
        ("cron", "0 9 * * FUNDAY", "bad day-of-week"),
        ("cron", "0 0 30 2 *", "bad day-of-month"),
        ("cron", "0 0 31 4,6 *", "bad day-of-month"),
        ("cron", "@reboot", "the names are @annually, @daily"),
        ("cron", "* " * 200, "too long"),
        ("once", "2026-03-02", "a time of day"),
        ("once", "tomorrow at nine", "time of day"),
        ("once", "2026-13-02 09:00", "not a date"),
        ("once", "2026-03-01 21:00", "in the past (now is 2026-03-01 21:00:00 KST)"),
        ("once", "2026-03-01T12:59+01:00", "in the past"),
        ("once", "0001-01-01 00:00", "not a date"),
        ("hourly", "1", "use cron, interval or once"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(kind, text, words):
    with pytest.raises(Invalid) as refused:
        read(kind, text)
    assert words in refused.value.detail
    assert "example" in refused.value.detail or kind == "hourly"


@pytest.mark.parametrize("text", ["@hourly", "@Daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"])
def test_the_names_of_cron_stand_for_five_fields(text):
    cron = read("cron", text)
    assert len(cron.expression.split()) == 5
    assert stored_schedule("cron", cron.text, zone=SEOUL, anchor=NOW) == cron


def test_a_local_time_is_on_the_owners_clock_and_an_offset_is_exact():
    assert read("once", "2026-03-02 09:00").at.astimezone(UTC) == datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
    exact = read("once", "2026-03-02T09:00:00Z")
    assert exact.at == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    assert stored_schedule("once", exact.text, zone=SEOUL, anchor=NOW) == exact
    assert exact.describe() == "once, at 2026-03-02 18:00:00 KST"


def test_a_local_time_that_the_clock_skips_is_the_first_after_the_gap():
    assert read("once", "2026-03-08 02:30", NEW_YORK).at.astimezone(UTC) == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
    assert read("once", "2026-03-08 02:59:59", NEW_YORK).text == "2026-03-08T03:00:00-04:00"
    assert read("once", "2026-04-24 00:10", ZoneInfo("Africa/Cairo")).text == "2026-04-24T01:00:00+03:00"


def test_a_local_time_that_the_clock_shows_twice_is_the_first_of_both():
    assert read("once", "2026-11-01 01:30", NEW_YORK).text == "2026-11-01T01:30:00-04:00"
    assert read("once", "2026-11-01 01:30-05:00", NEW_YORK).text == "2026-11-01T01:30:00-05:00"


def test_schedules_describe_themselves_to_people():
    assert read("cron", "0 9 * * 1-5").describe() == "0 9 * * 1-5 (At 09:00 on Monday through Friday, Asia/Seoul)"
    assert read("interval", "5400s").describe() == "every 1h30m"
