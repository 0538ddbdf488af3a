"""Jobs as rows of a real database: claimed first, one at a time, caught up, and seen as failed when killed."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.maintenance.jobs import BUILD_CACHE_TIMES
from shared.clock import FakeClock
from shared.errors import Busy, Internal, NotFound, Unavailable
from shared.maintenance.models import Job
from shared.maintenance.policy import MaintenancePolicy
from shared.maintenance.service import Maintenance
from shared.maintenance.store import read_jobs
from shared.storage import Database
from shared.testing.waiting import until

UTC_ZONE = ZoneInfo("UTC")
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
AT_THREE = datetime(2026, 3, 2, 3, 0, tzinfo=UTC)


class Bed:
    """A database, a clock that is set by hand, and jobs that do as they are told."""

    def __init__(self, folder):
        self.database = Database(folder / "g.db", migrations="gateway.migrations")
        self.clock = FakeClock(START)
        self.ran: list[str] = []
        self.failed: list[str] = []
        self.problem: Exception | None = None
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def work(self) -> str:
        self.ran.append("begun")
        await self.go_on.wait()
        if self.problem:
            raise self.problem
        self.ran[-1] = "done"
        return "all fine"

    def maintenance(self, policy: MaintenancePolicy | None = None) -> Maintenance:
        jobs = [Job("one", "does one thing", "0 3 * * *", self.work, timeout_s=5.0)]
        told = lambda state: self.failed.append(f"{state.name} {state.outcome}: {state.detail}")  # noqa: E731
        return Maintenance(
            self.database, jobs, policy or MaintenancePolicy(), UTC_ZONE, on_failure=told, clock=self.clock
        )

    async def row(self):
        return next(iter(await self.database.read(read_jobs)))

    async def until_ok(self) -> None:
        async with asyncio.timeout(5):
            while (await self.row()).outcome != "ok":
                await asyncio.sleep(0.005)

    @asynccontextmanager
    async def running(self, maintenance: Maintenance):
        await maintenance.start()
        task = asyncio.get_running_loop().create_task(maintenance.run())
        await asyncio.sleep(0)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def bed(tmp_path):
    made = Bed(tmp_path)
    await made.database.open()
    yield made
    await made.database.close()


async def test_a_job_waits_for_its_time_and_then_runs_once(bed):
    await bed.maintenance().start()
    assert (await bed.row()).next_at == AT_THREE
    bed.clock.advance(15 * 3600 + 60)
    async with bed.running(bed.maintenance()):  # as after a downtime
        await bed.until_ok()
    row = await bed.row()
    assert (row.outcome, row.detail, row.lease, row.failures) == ("ok", "all fine", "", 0)
    assert row.next_at == AT_THREE + timedelta(days=1)


async def test_the_build_cache_is_emptied_on_sunday_at_four_on_the_owners_clock_and_a_week_later_again(bed):
    bed.clock = FakeClock(datetime(2026, 11, 27, 12, 0, tzinfo=UTC))  # a Friday
    jobs = [Job("docker.prune", "empties the build cache", BUILD_CACHE_TIMES, bed.work)]
    maintenance = Maintenance(
        bed.database, jobs, MaintenancePolicy(), ZoneInfo("Asia/Seoul"), on_failure=bed.failed.append, clock=bed.clock
    )
    await maintenance.start()
    sunday = datetime(2026, 11, 29, 4, 0, tzinfo=ZoneInfo("Asia/Seoul"))
    assert (await bed.row()).next_at == sunday
    bed.clock.advance((sunday - bed.clock.now()).total_seconds())
    async with bed.running(maintenance):
        await bed.until_ok()
    assert bed.ran == ["done"]
    assert (await bed.row()).next_at == sunday + timedelta(days=7)


async def test_many_missed_days_are_made_up_for_by_one_run(bed):
    await bed.maintenance().start()
    bed.clock.advance(9 * 86_400)
    async with bed.running(bed.maintenance()):
        await bed.until_ok()
    assert bed.ran == ["done"]


async def test_a_first_start_runs_nothing(bed):
    async with bed.running(bed.maintenance()):
        pass
    assert bed.ran == []


async def test_a_job_that_was_killed_is_seen_as_failed_and_caught_up_once(bed):
    bed.go_on.clear()
    first = bed.maintenance()
    await first.start()
    run = asyncio.get_running_loop().create_task(first.run_now("one"))
    await until(lambda: bed.ran == ["begun"])
    run.cancel()  # the process ends: nothing is settled
    await asyncio.gather(run, return_exceptions=True)
    assert (await bed.row()).lease

    second = bed.maintenance()
    await second.start()
    row = await bed.row()
    assert (row.outcome, row.lease, row.failures, row.next_at) == ("interrupted", "", 1, START)
    assert "the process ended while it ran (started 2026-03-01 12:00:00 UTC)" in row.detail
    assert bed.failed == [f"one interrupted: {row.detail}"]
    bed.go_on.set()
    async with bed.running(second):
        await bed.until_ok()
    assert bed.ran == ["begun", "done"]
    assert (await bed.row()).failures == 0


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (Unavailable("the engine is down"), "the engine is down"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ValueError("a defect"), "internal error (ValueError)"),
    ],
)
async def test_a_failure_is_kept_in_words_and_told(bed, problem, said):
    maintenance = bed.maintenance()
    await maintenance.start()
    bed.problem = problem
    state = await maintenance.run_now("one")
    assert state.outcome == "failed"
    assert said in state.detail
    assert bed.failed
    assert state.next_at == START + timedelta(hours=1)


async def test_two_do_not_run_the_same_job_at_once(bed):
    bed.go_on.clear()
    maintenance = bed.maintenance()
    await maintenance.start()
    run = asyncio.get_running_loop().create_task(maintenance.run_now("one"))
    await until(lambda: bed.ran == ["begun"])
    with pytest.raises(Busy, match="one runs already, since 12:00:00 UTC"):
        await maintenance.run_now("one")
    bed.go_on.set()
    assert (await run).outcome == "ok"


async def test_an_unknown_job_is_refused_with_what_there_is(bed):
    maintenance = bed.maintenance()
    await maintenance.start()
    with pytest.raises(NotFound, match="there is no job 'two'; there are: one"):
        await maintenance.run_now("two")


async def test_the_operators_times_count(bed):
    await bed.maintenance().start()
    await bed.maintenance(MaintenancePolicy(times={"one": "30 1 * * *"})).start()
    assert (await bed.row()).next_at == datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


async def test_a_job_of_an_older_version_is_forgotten(bed):
    await bed.maintenance().start()
    await Maintenance(bed.database, [Job("new", "", "@daily", bed.work)], MaintenancePolicy(), UTC_ZONE).start()
    assert [row.name for row in await bed.database.read(read_jobs)] == ["new"]


async def test_the_database_is_checked_and_its_log_emptied(bed, tmp_path):
    await bed.maintenance().start()
    assert (tmp_path / "g.db-wal").stat().st_size > 0
    assert (await bed.database.maintain()).startswith("no damage; write-ahead log emptied")
    assert (tmp_path / "g.db-wal").stat().st_size == 0


async def test_damage_is_found(tmp_path):
    path = tmp_path / "g.db"
    database = Database(path, migrations="gateway.migrations")
    await database.open()
    await database.maintain()
    await database.close()
    with sqlite3.connect(path) as raw:
        page_size, root = (
            raw.execute("PRAGMA page_size").fetchone()[0],
            raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'owner_notice'").fetchone()[0],
        )
    raw.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * page_size)
        file.write(b"\xff" * 64)
    database = Database(path, migrations="gateway.migrations")
    await database.open()
    try:
        with pytest.raises(Internal, match=r"damaged|cannot be checked"):
            await database.maintain()
    finally:
        await database.close()
