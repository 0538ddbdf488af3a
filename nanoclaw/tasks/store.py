"""Rows of tasks and their runs, inside one transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from nanoclaw.groups import Group
from nanoclaw.schema import NanoclawTables
from nanoclaw.tasks.models import Task, TaskRun, TaskRunState, task_of_run
from shared.channels.base import ChatKind, InboundMessage
from shared.channels.store import inbox
from shared.channels.store.inbox import InboxItem
from shared.storage import insert_new

_OVER = ("completed", "cancelled")


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a run of a task ended; what it cost is added up from the tries of `run_id`.

    Attributes:
        reason: empty when there is nothing to add to why it was started.
    """

    state: TaskRunState
    reason: str
    fault: str = ""
    run_id: str = ""
    tries: int = 0
    started_at: datetime | None = None
    result: str = ""


class TaskRows:
    """Reads and writes what concerns tasks, over a connection whose transaction somebody else ends."""

    def __init__(self, connection: Connection, tables: NanoclawTables) -> None:
        self._connection = connection
        self._tables = tables

    # --- tasks -------------------------------------------------------------------------------------------------------

    def find(self, task_id: str) -> Task | None:
        """One task."""
        return self._one(self._tables.task.c.id == task_id)

    def by_key(self, creation_key: str) -> Task | None:
        """The task that a call made."""
        return self._one(self._tables.task.c.creation_key == creation_key)

    def _one(self, condition: ColumnElement[bool]) -> Task | None:
        row = self._connection.execute(select(self._tables.task).where(condition)).first()
        return None if row is None else _task(row)

    def tasks(self, folder: str = "", *, over: bool = False) -> list[Task]:
        """Tasks of all groups or of one, the soonest first; those that are over only when asked for."""
        task = self._tables.task
        query = select(task).order_by(task.c.next_at.is_(None), task.c.next_at, task.c.created_at, task.c.id)
        if folder:
            query = query.where(task.c.folder == folder)
        if not over:
            query = query.where(task.c.status.not_in(_OVER))
        return [_task(row) for row in self._connection.execute(query)]

    def creation_keys(self) -> frozenset[str]:
        """Keys of the calls that made tasks."""
        key = self._tables.task.c.creation_key
        return frozenset(self._connection.scalars(select(key).where(key.is_not(None))))

    def add(self, *tasks: Task) -> None:
        """Store new tasks."""
        for task in tasks:
            self._connection.execute(insert(self._tables.task).values(asdict(task)))

    def change(self, task_id: str, *, now: datetime, **values: object) -> Task:
        """Give columns new values; returns the task as it is now."""
        task = self._tables.task
        row = self._connection.execute(
            update(task).where(task.c.id == task_id).values(values | {"updated_at": now}).returning(*task.c)
        ).one()
        return _task(row)

    def pause_group(self, folder: str, *, reason: str, now: datetime) -> None:
        """Pause what is active of a group, and take back prompts that nobody has begun to answer."""
        for task in self.tasks(folder):
            self.withdraw(task.id, reason=reason, now=now)
            if task.status == "active":
                self.change(task.id, now=now, status="paused", next_at=None, reason=reason)

    def group(self, folder: str) -> tuple[Group, ChatKind] | None:
        """The registered group of a folder, and what kind of chat it has."""
        row = self._connection.execute(select(self._tables.group).where(self._tables.group.c.folder == folder)).first()
        if row is None:
            return None
        group = Group(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
        chat = self._tables.channels.chat
        kind = self._connection.execute(select(chat.c.kind).where(chat.c.id == group.chat)).scalar()
        return group, kind or "guild"

    def folder_of(self, name: str) -> str | None:
        """The folder of a registered group, by folder or chat."""
        group = self._tables.group
        query = select(group.c.folder).where((group.c.folder == name) | (group.c.chat == name))
        return self._connection.execute(query).scalar()

    # --- what is due -------------------------------------------------------------------------------------------------

    def due(self, now: datetime, limit: int) -> list[Task]:
        """Active tasks whose time has come and whose earlier run has ended, the most overdue first."""
        task = self._tables.task
        query = select(task).where(self._waiting(), task.c.next_at <= now).order_by(task.c.next_at, task.c.id)
        return [_task(row) for row in self._connection.execute(query.limit(limit))]

    def next_at(self) -> datetime | None:
        """When the next task is due; one whose run goes on is looked at when that ends."""
        return self._connection.execute(select(func.min(self._tables.task.c.next_at)).where(self._waiting())).scalar()

    def _waiting(self) -> ColumnElement[bool]:
        task, run = self._tables.task, self._tables.task_run
        is_open = select(run.c.id).where(run.c.task_id == task.c.id, run.c.state == "open").exists()
        return (task.c.status == "active") & task.c.next_at.is_not(None) & ~is_open

    # --- runs --------------------------------------------------------------------------------------------------------

    def add_run(self, run: TaskRun, prompt: InboundMessage | None, *, now: datetime) -> bool:
        """Store an occurrence together with its prompt; false when it was stored before, and then nothing happens."""
        if not insert_new(self._connection, self._tables.task_run, asdict(run)):
            return False
        if prompt is not None:
            inbox.append(self._connection, self._tables.channels, prompt, state="new", reason="scheduled", now=now)
        return True

    def run(self, run_id: str) -> TaskRun | None:
        """One run."""
        run = self._tables.task_run
        row = self._connection.execute(select(run).where(run.c.id == run_id)).first()
        return None if row is None else _run(row)

    def runs(self, *, task_id: str = "", folder: str = "", limit: int) -> list[TaskRun]:
        """The newest runs, newest first."""
        run = self._tables.task_run
        query = select(run).order_by(run.c.claimed_at.desc(), run.c.id.desc()).limit(limit)
        if task_id:
            query = query.where(run.c.task_id == task_id)
        if folder:
            query = query.where(run.c.folder == folder)
        return [_run(row) for row in self._connection.execute(query)]

    def open_runs(self, task_id: str = "") -> list[TaskRun]:
        """Runs whose prompt waits or is being answered."""
        run = self._tables.task_run
        query = select(run).where(run.c.state == "open").order_by(run.c.claimed_at)
        if task_id:
            query = query.where(run.c.task_id == task_id)
        return [_run(row) for row in self._connection.execute(query)]

    def prompt_of(self, run: TaskRun) -> InboxItem | None:
        """What became of a run's prompt."""
        return inbox.by_message(self._connection, self._tables.channels, run.chat, run.message_id)

    def withdraw(self, task_id: str, *, reason: str, now: datetime) -> None:
        """Take back prompts of a task that nobody has begun to answer, or that wait for another try."""
        for run in self.open_runs(task_id):
            item = self.prompt_of(run)
            if item is None or item.state == "new":
                if item is not None:
                    inbox.settle(
                        self._connection, self._tables.channels, [item.id], state="ignored", reason=reason, now=now
                    )
                self.settle(run.id, Settlement("withdrawn", reason), now=now)

    def settle(self, run_id: str, settlement: Settlement, *, now: datetime) -> None:
        """Note how a run ended; a single moment that has had its run is over."""
        run, tries = self._tables.task_run, self._tables.run
        values = asdict(settlement) | ({} if settlement.reason else {"reason": run.c.reason})
        if settlement.run_id:
            sums = self._connection.execute(
                select(
                    func.coalesce(func.sum(tries.c.input_tokens), 0),
                    func.coalesce(func.sum(tries.c.output_tokens), 0),
                    func.coalesce(func.sum(tries.c.cost_usd), 0.0),
                ).where(tries.c.run_id == settlement.run_id)
            ).one()
            values |= dict(zip(("input_tokens", "output_tokens", "cost_usd"), sums, strict=True))
        row = self._connection.execute(
            update(run).where(run.c.id == run_id).values(values | {"ended_at": now}).returning(run.c.scheduled_at)
        ).first()
        task = self.find(task_of_run(run_id))
        if row is None or task is None or task.kind != "once" or task.is_over or settlement.state == "withdrawn":
            return
        if datetime.fromisoformat(task.value) <= row.scheduled_at:
            reason = "it has run" if settlement.state in {"ok", "failed"} else settlement.reason
            self.change(task.id, now=now, status="completed", next_at=None, reason=reason)

    def last_try(self, run_id: str) -> Row[Any] | None:
        """The newest try of a run, as `nanoclaw.store` noted it."""
        tries = self._tables.run
        return self._connection.execute(
            select(tries).where(tries.c.run_id == run_id).order_by(tries.c.id.desc()).limit(1)
        ).first()

    def counts(self) -> dict[str, int]:
        """How many tasks are in each status."""
        task = self._tables.task
        rows = self._connection.execute(select(task.c.status, func.count()).group_by(task.c.status))
        return {status: count for status, count in rows}  # noqa: C416 - rows are not tuples to the type checker

    def prune(self, *, before: datetime, keep: int) -> int:
        """Forget runs that ended before a time, all but the newest `keep` of each task, and tasks long over."""
        run, task = self._tables.task_run, self._tables.task
        place = func.row_number().over(partition_by=run.c.task_id, order_by=run.c.claimed_at.desc())
        ended = select(run.c.id, place.label("place")).where(run.c.state != "open").subquery()
        surplus = select(ended.c.id).where(ended.c.place > keep)
        gone = self._connection.execute(
            delete(run).where((run.c.state != "open") & ((run.c.ended_at < before) | run.c.id.in_(surplus)))
        ).rowcount
        is_used = select(run.c.id).where(run.c.task_id == task.c.id).exists()
        self._connection.execute(delete(task).where(task.c.status.in_(_OVER), task.c.updated_at < before, ~is_used))
        return gone


def _task(row: Row[Any]) -> Task:
    return Task(**row._mapping)  # noqa: SLF001 - as above


def _run(row: Row[Any]) -> TaskRun:
    return TaskRun(**row._mapping)  # noqa: SLF001 - as above
