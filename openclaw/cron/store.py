"""Rows of jobs and their runs, inside one transaction."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from openclaw import schema
from openclaw.cron.models import CronRun, Ended, Job, JobSpec, JobState
from shared.storage import insert_new

_jobs = schema.cron_jobs
_runs = schema.cron_runs


class CronRows:
    """Reads and writes what concerns cron, over a connection whose transaction somebody else ends."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    # --- jobs --------------------------------------------------------------------------------------------------------

    def job(self, job_id: str) -> Job | None:
        """One job."""
        row = self._c.execute(select(_jobs).where(_jobs.c.job_id == job_id)).first()
        return None if row is None else _job(row)

    def job_of_key(self, creation_key: str) -> Job | None:
        """The job that a call made."""
        row = self._c.execute(select(_jobs).where(_jobs.c.creation_key == creation_key)).first()
        return None if row is None else _job(row)

    def jobs(self) -> list[Job]:
        """All jobs, the oldest first."""
        return [_job(row) for row in self._c.execute(select(_jobs).order_by(_jobs.c.created_at, _jobs.c.job_id))]

    def add(self, job: Job, creation_key: str | None = None) -> None:
        """Store a new job."""
        key = {"job_id": job.job_id, "created_at": job.created_at, "creation_key": creation_key}
        self._c.execute(insert(_jobs).values(key | _job_values(job)))

    def save(self, job: Job) -> None:
        """Store what changed of a job."""
        self._c.execute(update(_jobs).where(_jobs.c.job_id == job.job_id).values(_job_values(job)))

    def remove(self, job_id: str) -> bool:
        """Forget a job; its history stays. False when there is none."""
        return self._c.execute(delete(_jobs).where(_jobs.c.job_id == job_id)).rowcount == 1

    # --- what is due -------------------------------------------------------------------------------------------------

    def due(self, now: datetime, limit: int) -> list[Job]:
        """Jobs whose time has come and whose earlier run has ended, the most overdue first."""
        query = select(_jobs).where(self._waiting(), _jobs.c.next_at <= now).order_by(_jobs.c.next_at, _jobs.c.job_id)
        return [_job(row) for row in self._c.execute(query.limit(limit))]

    def next_at(self) -> datetime | None:
        """When the next job is due; one whose run goes on is looked at when that ends."""
        return self._c.execute(select(func.min(_jobs.c.next_at)).where(self._waiting())).scalar()

    def _waiting(self) -> Any:  # noqa: ANN401 - an SQL condition
        is_open = select(_runs.c.run_id).where(_runs.c.job_id == _jobs.c.job_id, _runs.c.state == "open").exists()
        return (_jobs.c.enabled == 1) & _jobs.c.next_at.is_not(None) & ~is_open

    # --- runs --------------------------------------------------------------------------------------------------------

    def add_run(self, run: CronRun) -> bool:
        """Store an occurrence; false when it was stored before, and then nothing happens."""
        return insert_new(self._c, _runs, _run_values(run))

    def run(self, run_id: str) -> CronRun | None:
        """One run."""
        row = self._c.execute(select(_runs).where(_runs.c.run_id == run_id)).first()
        return None if row is None else _run(row)

    def runs(self, job_id: str = "") -> list[CronRun]:
        """Runs that have ended, the newest first."""
        query = select(_runs).where(_runs.c.state != "open").order_by(_runs.c.claimed_at.desc(), _runs.c.run_id.desc())
        if job_id:
            query = query.where(_runs.c.job_id == job_id)
        return [_run(row) for row in self._c.execute(query)]

    def open_runs(self, job_id: str = "") -> list[CronRun]:
        """Runs that wait or go on, the oldest first."""
        query = select(_runs).where(_runs.c.state == "open").order_by(_runs.c.claimed_at, _runs.c.run_id)
        if job_id:
            query = query.where(_runs.c.job_id == job_id)
        return [_run(row) for row in self._c.execute(query)]

    def note_start(self, run_id: str, now: datetime) -> None:
        """A run begins; the first try counts."""
        begins = (_runs.c.run_id == run_id, _runs.c.started_at.is_(None))
        self._c.execute(update(_runs).where(*begins).values(started_at=now))

    def hurry(self, now: datetime) -> int:
        """Let what waits for a heartbeat begin; says how many did."""
        waits = (_runs.c.state == "open", _runs.c.start_at > now)
        return self._c.execute(update(_runs).where(*waits).values(start_at=now)).rowcount

    def settle(self, run_id: str, ended: Ended, now: datetime) -> CronRun | None:
        """Note how a run ended; None when it had ended before."""
        is_open = (_runs.c.run_id == run_id, _runs.c.state == "open")
        values = asdict(ended.cut()) | {"ended_at": now}
        row = self._c.execute(update(_runs).where(*is_open).values(values).returning(*_runs.c)).first()
        return None if row is None else _run(row)

    def prune(self, *, before: datetime, keep: int) -> int:
        """Forget runs that ended before a moment, and all but the newest `keep` of each job."""
        place = func.row_number().over(partition_by=_runs.c.job_id, order_by=_runs.c.claimed_at.desc())
        ended = select(_runs.c.run_id, place.label("place")).where(_runs.c.state != "open").subquery()
        surplus = select(ended.c.run_id).where(ended.c.place > keep)
        is_old = (_runs.c.ended_at < before) | _runs.c.run_id.in_(surplus)
        return self._c.execute(delete(_runs).where((_runs.c.state != "open") & is_old)).rowcount


def _job_values(job: Job) -> dict[str, Any]:
    return {
        "spec": job.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        "state": job.state.model_dump(mode="json", by_alias=True, exclude_none=True),
        "enabled": int(job.spec.enabled),
        "next_at": job.next_at,
        "made_by": job.made_by,
        "updated_at": job.updated_at,
    }


def _job(row: Row[Any]) -> Job:
    return Job(
        row.job_id,
        JobSpec.model_validate(row.spec),
        JobState.model_validate(row.state),
        row.next_at,
        row.made_by,
        row.created_at,
        row.updated_at,
    )


def _run_values(run: CronRun) -> dict[str, Any]:
    values = {field.name: getattr(run, field.name) for field in fields(run)}
    spec = run.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return values | {"spec": spec, "by_hand": int(run.by_hand)}


def _run(row: Row[Any]) -> CronRun:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return CronRun(**{**values, "spec": JobSpec.model_validate(values["spec"]), "by_hand": bool(values["by_hand"])})
