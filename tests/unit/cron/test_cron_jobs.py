"""The book of jobs over a real database: what is taken, what runs once, what errors lead to."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from openclaw.config import CronPolicy
from openclaw.cron.decide import BACKOFF_S
from openclaw.cron.models import Ended, JobSpec
from openclaw.cron.queries import JobQuery, RunQuery
from openclaw.cron.service import CronJobs
from openclaw.cron.store import CronRows
from openclaw.gateway import MIGRATIONS
from shared.clock import FakeClock
from shared.errors import Conflict, Invalid, NotFound
from shared.storage import Database

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TURN = {"kind": "agentTurn", "message": "look around"}
EVERY = {"kind": "every", "everyMs": 600_000}


@asynccontextmanager
async def a_book(tmp_path, **policy):
    db = Database(tmp_path / "openclaw.db", migrations=MIGRATIONS)
    await db.open()
    jobs = CronJobs(db, CronPolicy(**policy), FakeClock(START))
    jobs.events = []
    jobs.emit = lambda name, payload: jobs.events.append((name, payload))
    yield jobs
    await db.close()


async def end(jobs: CronJobs, run, state="ok", **more) -> None:
    await jobs.write(jobs.settling(run, Ended(state, **more), []))


async def history(jobs: CronJobs, job_id="") -> list[dict]:
    return (await jobs.history(RunQuery(job_id=job_id)))["entries"]


def job(**more) -> dict:
    return {"name": "look", "schedule": EVERY, "payload": TURN, **more}


async def test_a_job_comes_back_as_it_was_written_with_its_next_time(tmp_path):
    async with a_book(tmp_path) as jobs:
        made = await jobs.add(job(description="often", delivery={"mode": "announce", "to": "channel:7"}))
        wire = await jobs.wire(made)
    assert wire == {
        "id": made.job_id, "name": "look", "description": "often", "enabled": True, "schedule": EVERY,
        "sessionTarget": "isolated", "wakeMode": "now", "payload": TURN,
        "delivery": {"mode": "announce", "to": "channel:7"},
        "createdAtMs": int(START.timestamp() * 1000), "updatedAtMs": int(START.timestamp() * 1000),
        "state": {"nextRunAtMs": int(START.timestamp() * 1000) + 600_000},
    }  # fmt: skip
    assert [(name, payload["action"]) for name, payload in jobs.events] == [("cron", "added")]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": ""}, "at /name"),
        ({"surprise": 1}, "unexpected property 'surprise'"),
        ({"payload": {"kind": "agentTurn", "message": ""}}, "/payload"),
        ({"payload": {"kind": "shell", "command": "rm"}}, "/payload"),
        ({"sessionTarget": "main"}, 'require payload.kind="systemEvent"'),
        ({"schedule": {"kind": "at"}}, "at"),
        ({"delivery": {"mode": "webhook", "to": "http://example.org/"}}, "https"),
        ({"delivery": {"mode": "webhook"}}, "https"),
        ({"delivery": {"mode": "announce", "to": "200"}}, "channel:<id> or user:<id>"),
        ({"delivery": {"mode": "announce", "channel": "telegram"}}, "not known"),
        ({"sessionKey": "no such\nkey"}, "invalid session key"),
        ({"payload": {"kind": "agentTurn", "message": "x", "model": "no model"}}, "/payload"),
    ],
)
async def test_what_is_no_job_is_refused_with_the_place(tmp_path, change, says):
    async with a_book(tmp_path) as jobs:
        with pytest.raises(Invalid, match=says):
            await jobs.add(job(**change))
        assert (await jobs.listing(JobQuery(enabled="all")))["total"] == 0


async def test_there_is_a_most_and_a_repeated_call_makes_one_job(tmp_path):
    async with a_book(tmp_path, max_jobs=1) as jobs:
        first = await jobs.add(job(), key="run_1:x")
        assert (await jobs.add(job(), key="run_1:x")).job_id == first.job_id
        with pytest.raises(Conflict, match="max_jobs"):
            await jobs.add(job())


async def test_a_due_job_is_claimed_once_and_not_again_while_it_runs(tmp_path):
    async with a_book(tmp_path) as jobs:
        made = await jobs.add(job())
        jobs.clock.advance(600)
        claims = await jobs.claim()
        (run,) = claims.runs
        assert claims.ready == (run,)
        jobs.clock.advance(1200)
        again = await jobs.claim()
        assert again.runs == ()
        assert again.ready == (run,)  # for the process that finds it open
        await end(jobs, run, summary="done")
        (late,) = (await jobs.claim()).runs
        assert late.run_id != run.run_id
        (entry,) = await history(jobs)
        assert entry["status"] == "ok"
        assert entry["summary"] == "done"
        assert (await jobs.find(made.job_id)).next_at > jobs.clock.now()


async def test_a_run_is_settled_once(tmp_path):
    async with a_book(tmp_path) as jobs:
        await jobs.add(job())
        jobs.clock.advance(600)
        (run,) = (await jobs.claim()).runs
        await end(jobs, run)
        found = []
        await jobs.write(jobs.settling(run, Ended("error", error="late"), found))
        assert found == []
        assert [entry["status"] for entry in await history(jobs)] == ["ok"]


async def test_the_same_occurrence_never_runs_again_after_the_clock_was_set_back(tmp_path):
    async with a_book(tmp_path) as jobs:
        made = await jobs.add(job())
        jobs.clock.advance(600)
        (run,) = (await jobs.claim()).runs
        await end(jobs, run)
        jobs.clock.jump(-3600)
        await jobs.update(made.job_id, {"enabled": False})
        await jobs.update(made.job_id, {"enabled": True})  # its next time is worked out anew
        jobs.clock.jump(3600)
        claims = await jobs.claim()
        assert run.run_id not in {found.run_id for found in claims.runs}
        assert len(await history(jobs)) == 1


async def test_one_moment_runs_once_and_goes_and_stays_when_asked_or_when_it_failed(tmp_path):
    at = {"kind": "at", "at": (START + timedelta(minutes=5)).isoformat()}
    async with a_book(tmp_path) as jobs:
        goes, stays, fails = [
            await jobs.add(job(name=name, schedule=at, **more))
            for name, more in (("goes", {}), ("stays", {"deleteAfterRun": False}), ("fails", {}))
        ]
        jobs.clock.advance(300)
        for run in (await jobs.claim()).runs:
            await end(jobs, run, "error" if run.job_id == fails.job_id else "ok")
        assert await jobs.find(goes.job_id) is None
        for kept in (stays, fails):
            found = await jobs.find(kept.job_id)
            assert (found.spec.enabled, found.next_at) == (False, None)
        jobs.clock.advance(86_400)
        assert (await jobs.claim()).runs == ()
        with pytest.raises(Invalid, match="in the past"):
            await jobs.update(stays.job_id, {"enabled": True})
        assert len(await history(jobs)) == 3  # the history outlives the job


async def test_a_moment_that_is_moved_while_it_runs_still_comes(tmp_path):
    at = {"kind": "at", "at": (START + timedelta(minutes=5)).isoformat()}
    later = {"kind": "at", "at": (START + timedelta(minutes=50)).isoformat()}
    async with a_book(tmp_path) as jobs:
        made = await jobs.add(job(schedule=at))
        jobs.clock.advance(300)
        (run,) = (await jobs.claim()).runs
        await jobs.update(made.job_id, {"schedule": later})
        await end(jobs, run)
        assert (await jobs.find(made.job_id)).next_at == START + timedelta(minutes=50)


async def test_errors_rest_ever_longer_and_then_disable_and_enabling_forgets_them(tmp_path):
    async with a_book(tmp_path, max_errors=4) as jobs:
        made = await jobs.add(job(schedule={"kind": "every", "everyMs": 10_000}))
        rests = []
        for count in range(1, 5):
            jobs.clock.advance(3600)
            (run,) = (await jobs.claim()).runs
            await end(jobs, run, "error", error="no luck")
            found = await jobs.find(made.job_id)
            assert found.state.consecutive_errors == count
            if found.next_at is not None:
                rests.append((found.next_at - jobs.clock.now()).total_seconds())
        assert rests == list(BACKOFF_S[:3])
        assert (found.spec.enabled, found.next_at, found.state.last_error) == (False, None, "no luck")
        again = await jobs.update(made.job_id, {"enabled": True})
        assert again.state.consecutive_errors == 0
        assert again.next_at is not None


async def test_a_success_forgets_errors(tmp_path):
    async with a_book(tmp_path) as jobs:
        made = await jobs.add(job())
        for state, errors in (("error", 1), ("error", 2), ("ok", 0), ("error", 1)):
            jobs.clock.advance(3600)
            (run,) = (await jobs.claim()).runs
            await end(jobs, run, state)
            assert (await jobs.find(made.job_id)).state.consecutive_errors == errors


async def test_missed_runs_follow_the_policy_and_are_written_down(tmp_path):
    hourly = {"kind": "cron", "expr": "30 * * * *"}
    async with a_book(tmp_path, missed="skip", grace_s=60) as jobs:
        await jobs.add(job(schedule=hourly))
        jobs.clock.advance(3 * 3600)
        (run,) = (await jobs.claim()).runs
        assert run.state == "skipped"
        (entry,) = await history(jobs)
        assert entry["status"] == "skipped"
        assert "missed" in entry["error"]
    async with a_book(tmp_path / "other", missed="run_once") as jobs:
        await jobs.add(job(schedule=hourly))
        jobs.clock.advance(3 * 3600)
        (run,) = (await jobs.claim()).runs
        assert run.state == "open"
        await end(jobs, run)
        assert (await jobs.claim()).runs == ()  # three were missed, one run makes up for them


async def test_by_hand_runs_beside_the_schedule_and_not_twice_at_once(tmp_path):
    async with a_book(tmp_path) as jobs:
        made = await jobs.add(job())
        assert await jobs.run(made.job_id, "due") == "not-due"
        assert await jobs.run(made.job_id) == ""
        assert await jobs.run(made.job_id) == "already-running"
        (run,) = (await jobs.claim()).ready
        await end(jobs, run)
        assert (await jobs.find(made.job_id)).next_at == made.next_at
        with pytest.raises(NotFound):
            await jobs.run("nothing")


async def test_a_disabled_job_can_be_run_by_hand_only(tmp_path):
    async with a_book(tmp_path) as jobs:
        made = await jobs.add(job(enabled=False))
        jobs.clock.advance(86_400)
        assert (await jobs.claim()).runs == ()
        assert await jobs.run(made.job_id) == ""
        assert len((await jobs.claim()).ready) == 1


async def test_a_switched_off_schedule_runs_what_people_start(tmp_path):
    async with a_book(tmp_path, enabled=False) as jobs:
        made = await jobs.add(job())
        jobs.clock.advance(86_400)
        assert (await jobs.claim()).ready == ()
        await jobs.run(made.job_id)
        assert len((await jobs.claim()).ready) == 1
        assert (await jobs.status("x"))["nextWakeAtMs"] is None


async def test_a_system_event_waits_for_the_heartbeat_but_not_for_ever(tmp_path):
    event = {"kind": "systemEvent", "text": "stand up"}
    async with a_book(tmp_path) as jobs:
        await jobs.add(job(payload=event, wakeMode="next-heartbeat"))
        jobs.clock.advance(600)
        claims = await jobs.claim()
        assert len(claims.runs) == 1
        assert claims.ready == ()
        assert claims.next_at == jobs.clock.now() + timedelta(minutes=30)
        await jobs.hurry()
        (run,) = (await jobs.claim()).ready
        await end(jobs, run)
        jobs.clock.advance(600)
        await jobs.claim()
        jobs.clock.advance(1800)
        assert len((await jobs.claim()).ready) == 1


async def test_a_change_keeps_what_it_does_not_name(tmp_path):
    async with a_book(tmp_path) as jobs:
        delivery = {"mode": "announce", "channel": "discord", "to": "channel:7"}
        made = await jobs.add(job(description="d", delivery=delivery, payload={**TURN, "timeoutSeconds": 5}))
        changed = await jobs.update(
            made.job_id, {"payload": {"kind": "agentTurn", "message": "new"}, "delivery": {"bestEffort": True}}
        )
        wire = changed.as_wire()
        assert wire["payload"] == {"kind": "agentTurn", "message": "new", "timeoutSeconds": 5}
        assert wire["delivery"] == {**delivery, "bestEffort": True}
        assert changed.next_at == made.next_at
        wire = (await jobs.update(made.job_id, {"description": None, "delivery": None})).as_wire()
        assert "description" not in wire
        assert "delivery" not in wire
        event = {"payload": {"kind": "systemEvent", "text": "hello"}}
        assert (await jobs.update(made.job_id, event)).spec.session_target == "main"
        for bad in ({}, {"nonsense": 1}, {"schedule": None}, {"payload": {"kind": "x"}}):
            with pytest.raises(Invalid):
                await jobs.update(made.job_id, bad)


async def test_a_schedule_that_cannot_be_read_any_more_disables_its_job_only(tmp_path):
    async with a_book(tmp_path) as jobs:
        good = await jobs.add(job(name="good"))
        bad = await jobs.add(job(name="bad"))

        def break_it(c):
            broken = CronRows(c).job(bad.job_id)
            spec = broken.spec.model_dump(by_alias=True) | {
                "schedule": {"kind": "cron", "expr": "0 0 * * *", "tz": "No/Where"}
            }
            CronRows(c).save(replace(broken, spec=JobSpec.model_validate(spec)))

        await jobs.write(break_it)
        jobs.clock.advance(600)
        claims = await jobs.claim()
        assert [run.job_id for run in claims.runs] == [good.job_id]
        found = await jobs.find(bad.job_id)
        assert not found.spec.enabled
        assert "No/Where" in found.state.last_error


async def test_pages_are_sorted_filtered_and_bounded(tmp_path):
    async with a_book(tmp_path) as jobs:
        for n in range(5):
            await jobs.add(
                job(name=f"job {n}", enabled=n != 3, schedule={"kind": "every", "everyMs": (9 - n) * 60_000})
            )
        page = await jobs.listing(JobQuery(limit=2))
        assert [found["name"] for found in page["jobs"]] == ["job 4", "job 2"]
        assert (page["total"], page["hasMore"], page["nextOffset"]) == (4, True, 2)
        last = await jobs.listing(JobQuery(limit=2, offset=2))
        assert (last["hasMore"], last["nextOffset"]) == (False, None)
        assert (await jobs.listing(JobQuery(enabled="disabled")))["jobs"][0]["name"] == "job 3"
        assert (await jobs.listing(JobQuery(query="JOB 2")))["total"] == 1
        names = [found["name"] for found in (await jobs.listing(JobQuery(sort_by="name", descending=True)))["jobs"]]
        assert names == ["job 4", "job 2", "job 1", "job 0"]


async def test_old_history_is_forgotten_but_never_what_runs(tmp_path):
    async with a_book(tmp_path, keep_runs=2, keep_days=1) as jobs:
        made = await jobs.add(job())
        for _ in range(4):
            jobs.clock.advance(600)
            (run,) = (await jobs.claim()).runs
            await end(jobs, run)
        await jobs.prune()
        assert len(await history(jobs)) == 2
        jobs.clock.advance(600)
        (run,) = (await jobs.claim()).runs
        jobs.clock.advance(3 * 86_400)
        await jobs.prune()
        assert await history(jobs) == []
        assert (await jobs.claim()).ready == (run,)
        assert await jobs.find(made.job_id) is not None
