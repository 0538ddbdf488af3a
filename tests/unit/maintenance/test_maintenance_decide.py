"""When a job runs next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.maintenance.decide import RETRIES, RETRY_AFTER, decide_next, decide_row
from shared.maintenance.models import JobState
from shared.maintenance.policy import MaintenancePolicy
from shared.schedule import parse_cron

SEOUL = ZoneInfo("Asia/Seoul")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)  # a Sunday, 21:00 in Seoul
DAILY = parse_cron("0 3 * * *", zone=SEOUL, now=NOW)
REGULAR = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)  # 03:00 in Seoul


def test_times_are_on_the_owners_clock():
    assert decide_row(None, "logs.delete", DAILY, NOW).next_at == REGULAR
    sunday = parse_cron("0 4 * * 0", zone=SEOUL, now=NOW)
    assert decide_row(None, "docker.prune", sunday, NOW).next_at == datetime(2026, 3, 7, 19, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("outcome", "failures", "expected"),
    [
        ("ok", 0, REGULAR),
        ("failed", 1, NOW + RETRY_AFTER),
        ("failed", RETRIES, NOW + RETRY_AFTER),
        ("failed", RETRIES + 1, REGULAR),
        ("interrupted", 1, NOW),
        ("interrupted", 2, NOW + RETRY_AFTER),
        ("interrupted", RETRIES + 1, REGULAR),
    ],
)
def test_what_did_not_end_well_is_tried_again_but_not_in_a_circle(outcome, failures, expected):
    assert decide_next(DAILY, outcome, failures, NOW) == expected


def test_a_retry_never_displaces_the_regular_time():
    assert decide_next(DAILY, "failed", 1, REGULAR - timedelta(minutes=5)) == REGULAR


def test_what_came_due_while_nothing_ran_stays_due():
    missed = JobState("a", "0 3 * * *", "Asia/Seoul", NOW - timedelta(days=9))
    assert decide_row(missed, "a", DAILY, NOW).next_at == missed.next_at


def test_a_time_from_a_clock_that_was_wrong_is_pulled_back():
    far = JobState("a", "0 3 * * *", "Asia/Seoul", NOW + timedelta(days=4000))
    assert decide_row(far, "a", DAILY, NOW).next_at == REGULAR


@pytest.mark.parametrize(("times", "zone"), [("0 1 * * *", "Asia/Seoul"), ("0 3 * * *", "UTC")])
def test_changed_times_or_zone_replace_what_was_planned(times, zone):
    old = JobState("a", times, zone, NOW - timedelta(hours=1), failures=2)
    row = decide_row(old, "a", DAILY, NOW)
    assert (row.next_at, row.times, row.zone, row.failures) == (REGULAR, "0 3 * * *", "Asia/Seoul", 2)


def test_times_that_are_no_cron_are_refused_by_name():
    with pytest.raises(ValueError, match=r"logs\.delete: .*'daily' is not a usable cron schedule"):
        MaintenancePolicy(times={"logs.delete": "daily"})
