"""NanoClaw's tables: the channel tables every tenant has, and its groups, conversations and runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, MetaData, String, Table, Text

from shared.channels.schema import ChannelTables, channel_tables
from shared.storage import BigId, JsonValue, UtcTime

MIGRATIONS = "nanoclaw.migrations"


@dataclass(frozen=True, slots=True)
class NanoclawTables:
    """All tables of the tenant's database.

    Attributes:
        group: one registered chat each; the folder is its name everywhere.
        session: the Claude conversation a group continues.
        run: one row a finished run, for people who ask what happened; never a message's text.
        task: one row a scheduled task.
        task_run: one row an occurrence of a task, written together with its prompt in the inbox.
        asking: what each group's agent was asked last, so that a later process can hear the answer out.
    """

    channels: ChannelTables
    group: Table
    session: Table
    run: Table
    task: Table
    task_run: Table
    asking: Table


def declare() -> NanoclawTables:
    """The tables as SQLAlchemy knows them."""
    metadata = MetaData()
    tables = (*_revision_1(metadata), *_revision_2(metadata), _asking(metadata))
    return NanoclawTables(channel_tables(metadata), *tables)


def create_own_tables(op: Any) -> None:  # noqa: ANN401 - alembic's operations proxy has no public type
    """Create the tables beside the channel tables; frozen, called by revision 0001 only."""
    bind = op.get_bind()
    for table in _revision_1(MetaData()):
        table.create(bind)


def create_task_tables(op: Any) -> None:  # noqa: ANN401 - as above
    """Create the tables of scheduled tasks; frozen, called by revision 0002 only."""
    bind = op.get_bind()
    for table in _revision_2(MetaData()):
        table.create(bind)


def create_asking_table(op: Any) -> None:  # noqa: ANN401 - as above
    """Create the table of what agents were asked; frozen, called by revision 0005 only."""
    _asking(MetaData()).create(op.get_bind())


def _revision_1(metadata: MetaData) -> tuple[Table, Table, Table]:
    group = Table(
        "group",
        metadata,
        Column("folder", String(31), primary_key=True),
        Column("chat", String(64), nullable=False, unique=True),
        Column("name", Text, nullable=False),
        Column("is_main", Boolean, nullable=False),
        Column("requires_trigger", Boolean, nullable=False),
        Column("trigger_pattern", Text, nullable=False),
        Column("route", String(8), nullable=False),
        Column("model", String(80), nullable=False),
        Column("added_at", UtcTime, nullable=False),
        Column("added_by", Text, nullable=False),
    )
    session = Table(
        "session",
        metadata,
        Column("folder", String(31), primary_key=True),
        Column("session_id", String(36), nullable=False),
        Column("updated_at", UtcTime, nullable=False),
    )
    run = Table(
        "run",
        metadata,
        Column("id", BigId, primary_key=True, autoincrement=True),
        Column("run_id", String(64), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("folder", String(31), nullable=False),
        Column("chat", String(64), nullable=False),
        Column("tier", String(8), nullable=False),
        Column("ok", Boolean, nullable=False),
        Column("fault", String(16), nullable=False),
        Column("reason", Text, nullable=False),
        Column("worker_id", String(64), nullable=False),
        Column("started_at", UtcTime, nullable=False),
        Column("ended_at", UtcTime, nullable=False),
        Column("input_tokens", Integer, nullable=False),
        Column("output_tokens", Integer, nullable=False),
        Column("cost_usd", Float, nullable=False),
        Index("run_folder", "folder", "id"),
        Index("run_run_id", "run_id"),
    )
    return group, session, run


def _revision_2(metadata: MetaData) -> tuple[Table, Table]:
    task = Table(
        "task",
        metadata,
        Column("id", String(32), primary_key=True),
        Column("folder", String(31), nullable=False),
        Column("made_by", String(31), nullable=False),
        Column("prompt", Text, nullable=False),
        Column("kind", String(8), nullable=False),
        Column("value", Text, nullable=False),
        Column("zone", String(64), nullable=False),
        Column("anchor_at", UtcTime, nullable=False),
        Column("missed", String(8), nullable=False),
        Column("context", String(8), nullable=False),
        Column("status", String(9), nullable=False),
        Column("reason", Text, nullable=False),
        Column("next_at", UtcTime),
        Column("created_at", UtcTime, nullable=False),
        Column("updated_at", UtcTime, nullable=False),
        Column("creation_key", String(128), unique=True),
        Index("task_status_next", "status", "next_at"),
        Index("task_folder", "folder", "status"),
    )
    task_run = Table(
        "task_run",
        metadata,
        Column("id", String(58), primary_key=True),
        Column("task_id", String(32), nullable=False),
        Column("folder", String(31), nullable=False),
        Column("chat", String(64), nullable=False),
        Column("context", String(8), nullable=False),
        Column("scheduled_at", UtcTime, nullable=False),
        Column("claimed_at", UtcTime, nullable=False),
        Column("state", String(9), nullable=False),
        Column("reason", Text, nullable=False),
        Column("fault", String(16), nullable=False, server_default=""),
        Column("run_id", String(64), nullable=False, server_default=""),
        Column("tries", Integer, nullable=False, server_default="0"),
        Column("started_at", UtcTime),
        Column("ended_at", UtcTime),
        Column("input_tokens", Integer, nullable=False, server_default="0"),
        Column("output_tokens", Integer, nullable=False, server_default="0"),
        Column("cost_usd", Float, nullable=False, server_default="0"),
        Column("result", Text, nullable=False, server_default=""),
        Index("task_run_task", "task_id", "claimed_at"),
        Index("task_run_state", "state", "ended_at"),
    )
    return task, task_run


def _asking(metadata: MetaData) -> Table:
    """See `nanoclaw.models.Asking` for the columns."""
    return Table(
        "asking",
        metadata,
        Column("folder", String(31), primary_key=True),
        Column("is_isolated", Boolean, primary_key=True),
        Column("run_id", String(64), nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("chat", String(64), nullable=False),
        Column("asked", JsonValue, nullable=False),
        Column("context", JsonValue, nullable=False),
        Column("claims", Integer, nullable=False),
        Column("worker_id", String(64), nullable=False),
        Column("prompt_id", String(36), nullable=False),
        Column("line", BigInteger, nullable=False),
        Column("spent_usd", Float, nullable=True),
        Column("began_at", UtcTime, nullable=False),
        Column("resumes", Integer, nullable=False),
    )
