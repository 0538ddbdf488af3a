"""When jobs are due: kinds, zones, clock changes, stagger, missed occurrences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from openclaw.cron.models import JobSpec
from openclaw.cron.timing import check_new, decide_job, first_after, schedule_of, stagger_of
from shared.errors import Invalid

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TURN = {"kind": "agentTurn", "message": "look"}


def spec(**schedule) -> JobSpec:
    return JobSpec.model_validate({"name": "n", "schedule": schedule, "payload": TURN})


def fires(job: JobSpec, start: datetime, count: int, *, zone: str = "UTC", stagger=timedelta()) -> list[datetime]:
    schedule = schedule_of(job, zone, start)
    found, moment = [], start
    for _ in range(count):
        moment = first_after(schedule, moment, stagger)
        found.append(moment)
    return found


def test_a_time_without_an_offset_is_utc_and_one_with_it_is_exact():
    assert schedule_of(spec(kind="at", at="2026-03-02T09:00:00"), "Asia/Seoul", NOW).at.hour == 9
    assert schedule_of(spec(kind="at", at="2026-03-02T09:00:00+09:00"), "UTC", NOW).at.hour == 0


def test_an_interval_counts_from_its_making_and_an_anchor_is_an_occurrence_itself():
    hourly = fires(spec(kind="every", everyMs=3_600_000), NOW, 2)
    assert hourly == [NOW + timedelta(hours=1), NOW + timedelta(hours=2)]
    anchor = NOW + timedelta(minutes=10)
    anchored = spec(kind="every", everyMs=3_600_000, anchorMs=int(anchor.timestamp() * 1000))
    assert fires(anchored, NOW, 2) == [anchor, anchor + timedelta(hours=1)]


def test_a_fixed_time_in_the_skipped_hour_runs_once_after_it_and_a_doubled_one_once():
    job = spec(kind="cron", expr="30 2 * * *", tz="Europe/Berlin")
    spring = fires(job, datetime(2026, 3, 28, 12, tzinfo=UTC), 2)
    assert spring == [datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 3, 30, 0, 30, tzinfo=UTC)]
    autumn = fires(job, datetime(2026, 10, 24, 12, tzinfo=UTC), 2)
    assert autumn == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 26, 1, 30, tzinfo=UTC)]


def test_an_expression_without_a_zone_is_read_in_the_policy_s():
    (first,) = fires(spec(kind="cron", expr="0 9 * * *"), NOW, 1, zone="Asia/Seoul")
    assert first == datetime(2026, 3, 2, 0, 0, tzinfo=UTC)


def test_jobs_at_the_full_hour_are_spread_stably_and_exact_ones_are_not():
    hourly = spec(kind="cron", expr="0 * * * *")
    offsets = {stagger_of(f"job-{n}", hourly) for n in range(40)}
    assert len(offsets) > 30
    assert all(timedelta() <= offset < timedelta(minutes=5) for offset in offsets)
    assert stagger_of("job-1", hourly) == stagger_of("job-1", hourly)
    assert stagger_of("job-1", spec(kind="cron", expr="0 * * * *", staggerMs=0)) == timedelta()
    assert stagger_of("job-1", spec(kind="cron", expr="0 9 * * *")) == timedelta()


def test_a_staggered_job_keeps_its_distance_and_loses_no_occurrence():
    job, stagger = spec(kind="cron", expr="0 * * * *"), timedelta(minutes=4)
    found = fires(job, NOW + timedelta(minutes=2), 4, stagger=stagger)
    assert found[0] == NOW + stagger  # the hour has begun, this job's turn has not
    assert all(later - earlier == timedelta(hours=1) for earlier, later in pairwise(found))


@pytest.mark.parametrize(
    ("missed", "late_s", "action"),
    [
        ("run_once", 7200, "run"),
        ("skip", 7200, "run"),
        ("skip", 600, "skip"),
        ("skip", 60, "run"),
        ("skip", -1, "wait"),
    ],
)
def test_what_was_missed_is_made_up_for_once_or_left_out(missed, late_s, action):
    job = spec(kind="cron", expr="*/20 * * * *")
    schedule = schedule_of(job, "UTC", NOW)
    now = NOW + timedelta(seconds=late_s)
    due = decide_job(schedule, NOW, now, timedelta(), missed=missed, grace_s=120)
    assert due.action == action
    assert due.next_at == (NOW if action == "wait" else first_after(schedule, now, timedelta()))


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ({"kind": "at", "at": "2026-03-01T11:58:00Z"}, "in the past"),
        ({"kind": "at", "at": "2036-03-05T00:00:00Z"}, "ten years"),
        ({"kind": "at", "at": "tomorrow"}, "is not a time"),
        ({"kind": "every", "everyMs": 500}, "shortest allowed"),
        ({"kind": "cron", "expr": "* * *"}, "3 fields"),
        ({"kind": "cron", "expr": "0 0 31 2 *"}, "bad day-of-month"),
        ({"kind": "cron", "expr": "0 9 * * *", "tz": "Mars/Olympus"}, "no time zone"),
        ({"kind": "cron", "expr": "0 9 * * *", "tz": "../../etc/passwd"}, "no time zone"),
    ],
)
def test_a_schedule_that_nobody_can_mean_is_refused_with_the_reason(schedule, says):
    with pytest.raises(Invalid, match=says):
        check_new(spec(**schedule), "UTC", NOW, least_gap_s=1)


def test_a_moment_that_passed_seconds_ago_is_still_taken_and_due_at_once():
    job = spec(kind="at", at="2026-03-01T11:59:30Z")
    check_new(job, "UTC", NOW, least_gap_s=1)
    assert first_after(schedule_of(job, "UTC", NOW), NOW, timedelta()) < NOW
