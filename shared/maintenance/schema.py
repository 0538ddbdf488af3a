"""The table of jobs, which every process's database has."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, Text

from shared.storage import UtcTime


def job_table(metadata: MetaData) -> Table:
    """The table as SQLAlchemy knows it."""
    return Table(
        "maintenance_job",
        metadata,
        Column("name", String(40), primary_key=True),
        Column("times", String(200), nullable=False),
        Column("zone", String(64), nullable=False),
        Column("next_at", UtcTime, nullable=False),
        Column("lease", String(40), nullable=False),
        Column("started_at", UtcTime, nullable=True),
        Column("ended_at", UtcTime, nullable=True),
        Column("outcome", String(12), nullable=True),
        Column("detail", Text, nullable=False),
        Column("duration_ms", Integer, nullable=False),
        Column("failures", Integer, nullable=False),
    )


JOBS = job_table(MetaData())


def create_job_table(op: Any) -> None:  # noqa: ANN401 - alembic's operations proxy has no public type
    """Create it; called by one revision of each process's history."""
    job_table(MetaData()).create(op.get_bind())
