"""Runs a process's jobs: claimed in the database first, one at a time, and settled with what came of them.

A process holds the lock of its state for its whole life, so a lease found at a start is one of a process that died:
that run is recorded as interrupted and caught up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Busy, GatewayError, NotFound
from shared.ids import new_id
from shared.lifecycle.control import Operation, required_text
from shared.maintenance.decide import decide_next, decide_row
from shared.maintenance.models import Job, JobState, Outcome
from shared.maintenance.policy import MaintenancePolicy
from shared.maintenance.store import JobStore
from shared.obs.log import get_logger
from shared.schedule import parse_cron
from shared.storage import Database

_log = get_logger(__name__)
_LONGEST_SLEEP_S = 30.0
"""No sleep is trusted for longer: the wall clock may be set meanwhile, or the machine may have slept."""


class Maintenance:
    """One process's jobs.

    Args:
        database: holds their rows; open before `start`.
        jobs: what there is to do.
        policy: their times, where the operator changed them.
        zone: the owner's.
        on_failure: told of each run that did not end well.
        clock: wall clock for times, monotonic for durations.
    """

    def __init__(
        self,
        database: Database,
        jobs: Iterable[Job],
        policy: MaintenancePolicy,
        zone: ZoneInfo,
        *,
        on_failure: Callable[[JobState], None] = lambda _state: None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._store = JobStore(database)
        self._jobs = {job.name: job for job in jobs}
        self._crons = {
            name: parse_cron(policy.times.get(name, job.times), zone=zone, now=clock.now())
            for name, job in self._jobs.items()
        }
        self._on_failure = on_failure
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        """Find out what a dead process left behind, and when everything is due."""
        await self._store.forget_others(self._jobs)
        for row in await self._store.all():
            if row.lease:
                now = self._clock.now()
                detail = f"the process ended while it ran (started {row.started_at:%Y-%m-%d %H:%M:%S} UTC)"
                await self._settle(row, row.lease, "interrupted", detail, 0, now)
        await self._look()

    async def run(self) -> None:
        """Run what is due, until cancelled. A database that refuses is tried again."""
        while True:
            try:
                sleep_s = await self._run_due()
            except GatewayError as error:
                _log.warning("maintenance.look_failed", reason=error.detail)
                sleep_s = _LONGEST_SLEEP_S
            await asyncio.sleep(sleep_s)

    async def run_now(self, name: str) -> JobState:
        """Run a job at once and wait for it.

        Raises:
            NotFound: this process has no such job.
            Busy: it runs already.
        """
        if name not in self._jobs:
            raise NotFound(f"there is no job {name!r}; there are: {', '.join(sorted(self._jobs))}", code="job.unknown")
        if (row := await self._row(name)).lease:
            raise Busy(f"{name} runs already, since {row.started_at:%H:%M:%S} UTC", code="job.running")
        async with self._one_at_a_time:
            return await self._run(await self._row(name))

    async def listing(self) -> list[dict[str, Any]]:
        """Every job with its row, for people and programs."""
        return [{**row.as_json(), "about": self._jobs[row.name].about} for row in await self._look()]

    def operations(self) -> Mapping[str, Operation]:
        """What the control socket offers."""

        async def list_(_params: dict[str, Any]) -> list[dict[str, Any]]:
            return await self.listing()

        async def run(params: dict[str, Any]) -> dict[str, Any]:
            return (await self.run_now(required_text(params, "name"))).as_json()

        return {"maintenance.list": list_, "maintenance.run": run}

    async def _run_due(self) -> float:
        """Run what is due; returns for how many seconds nothing will be."""
        for name in self._jobs:
            async with self._one_at_a_time:
                row = await self._row(name)
                if row.next_at <= self._clock.now():
                    await self._run(row)
        soonest_s = min((row.next_at - self._clock.now()).total_seconds() for row in await self._look())
        return min(_LONGEST_SLEEP_S, max(0.0, soonest_s))

    async def _look(self) -> list[JobState]:
        now = self._clock.now()
        known = {row.name: row for row in await self._store.all()}
        rows = [decide_row(known.get(name), name, cron, now) for name, cron in sorted(self._crons.items())]
        if changed := [row for row in rows if row != known.get(row.name)]:
            await self._store.put(changed)
        return rows

    async def _row(self, name: str) -> JobState:
        return next(row for row in await self._look() if row.name == name)

    async def _run(self, row: JobState) -> JobState:
        """Claim a job and run it; the caller holds the lock."""
        lease = new_id("job")
        if not await self._store.claim(row.name, lease, self._clock.now()):
            raise Busy(f"{row.name} runs already", code="job.running")
        began_s = self._clock.monotonic()
        outcome, detail = await self._work(self._jobs[row.name])
        duration_ms = round((self._clock.monotonic() - began_s) * 1000)
        return await self._settle(row, lease, outcome, detail, duration_ms, self._clock.now())

    @staticmethod
    async def _work(job: Job) -> tuple[Outcome, str]:
        try:
            async with asyncio.timeout(job.timeout_s):
                return "ok", await job.work()
        except TimeoutError:
            return "failed", f"it took longer than {job.timeout_s:.0f} s"
        except GatewayError as error:
            return "failed", error.detail
        except OSError as error:
            return "failed", str(error)
        except Exception as error:  # noqa: BLE001 - a defect of one job must not end the others
            _log.exception("maintenance.defect", job=job.name)
            return "failed", f"internal error ({type(error).__name__})"

    async def _settle(
        self, row: JobState, lease: str, outcome: Outcome, detail: str, duration_ms: int, now: datetime
    ) -> JobState:
        failures = 0 if outcome == "ok" else row.failures + 1
        next_at = decide_next(self._crons[row.name], outcome, failures, now)
        await self._store.settle(
            lease,
            outcome=outcome,
            detail=detail,
            failures=failures,
            duration_ms=duration_ms,
            now=now,
            next_at=next_at,
        )
        settled = next(found for found in await self._store.all() if found.name == row.name)
        if outcome == "ok":
            _log.info("maintenance.done", job=row.name, ms=duration_ms, detail=detail)
        else:
            _log.error("maintenance.failed", job=row.name, outcome=outcome, detail=detail, next_at=next_at.isoformat())
            self._on_failure(settled)
        return settled
