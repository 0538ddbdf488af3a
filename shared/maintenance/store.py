"""Jobs in a process's database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from shared.maintenance.models import JobState, Outcome
from shared.maintenance.schema import JOBS
from shared.storage import Database, upsert

_DETAIL_CHARS = 500


class JobStore:
    """Reads and writes of the job table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[JobState]:
        """Every job ever known, by name."""
        return await self._database.read(read_jobs)

    async def put(self, rows: Iterable[JobState]) -> None:
        """Store jobs as they are at a look; their runs are not touched."""
        values = [{"name": r.name, "times": r.times, "zone": r.zone, "next_at": r.next_at} for r in rows]
        blank = {"lease": "", "detail": "", "duration_ms": 0, "failures": 0}

        def work(connection: Connection) -> None:
            known = set(connection.scalars(select(JOBS.c.name)))
            for row in values:
                if row["name"] in known:
                    connection.execute(JOBS.update().where(JOBS.c.name == row["name"]).values(**row))
                else:
                    upsert(connection, JOBS, {**row, **blank}, key=["name"])

        await self._database.write(work)

    async def claim(self, name: str, lease: str, now: datetime) -> bool:
        """Take a job for one run, durable before it begins; false when another run has it."""
        free = (JOBS.c.name == name) & (JOBS.c.lease == "")
        statement = JOBS.update().where(free).values(lease=lease, started_at=now)
        return await self._database.write(lambda connection: connection.execute(statement).rowcount == 1)

    async def settle(
        self,
        lease: str,
        *,
        outcome: Outcome,
        detail: str,
        failures: int,
        duration_ms: int,
        now: datetime,
        next_at: datetime,
    ) -> None:
        """A run ended, or is known to have been interrupted."""
        values = {
            "lease": "",
            "outcome": outcome,
            "detail": detail[:_DETAIL_CHARS],
            "failures": failures,
            "duration_ms": duration_ms,
            "ended_at": now,
            "next_at": next_at,
        }
        statement = JOBS.update().where(JOBS.c.lease == lease).values(**values)
        await self._database.write(lambda connection: connection.execute(statement))

    async def forget_others(self, names: Iterable[str]) -> None:
        """Drop jobs this version does not have."""
        statement = JOBS.delete().where(JOBS.c.name.not_in(list(names)))
        await self._database.write(lambda connection: connection.execute(statement))


def read_jobs(connection: Connection) -> list[JobState]:
    """All rows, by name; also for a database at rest."""
    return [_state(row) for row in connection.execute(select(JOBS).order_by(JOBS.c.name))]


def _state(row: Row[Any]) -> JobState:
    return JobState(**{name: getattr(row, name) for name in JobState.__slots__})
