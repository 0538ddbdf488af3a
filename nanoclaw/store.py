"""What NanoClaw keeps besides its messages: groups, the conversation of each, and what became of runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select

from nanoclaw.groups import Group
from nanoclaw.models import Asking
from nanoclaw.schema import NanoclawTables
from nanoclaw.tasks.store import TaskRows
from shared.channels.store import inbox, marks
from shared.clock import SYSTEM_CLOCK, Clock
from shared.storage import Also, Database, upsert


@dataclass(frozen=True, slots=True)
class RunRecord:
    """How one try of a run ended.

    Attributes:
        tier: who answered, ``LIGHT`` or ``STANDARD``.
        fault: kind of failure, empty when it was answered.
        reason: why it ended as it did, for people; never message text.
    """

    run_id: str
    attempt: int
    folder: str
    chat: str
    tier: str
    ok: bool
    fault: str
    reason: str
    started_at: datetime
    ended_at: datetime
    worker_id: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a group used within a time."""

    runs: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0


def together(*parts: Also) -> Also:
    """Several pieces of work for one transaction."""

    def work(connection: Connection) -> None:
        for part in parts:
            part(connection)

    return work


class Store:
    """Groups, conversations and runs in the tenant's database."""

    def __init__(self, db: Database, tables: NanoclawTables, clock: Clock = SYSTEM_CLOCK) -> None:
        self._db = db
        self._tables = tables
        self._clock = clock
        self._sessions: dict[str, str] = {}
        self._specs: dict[str, str] = {}

    async def groups(self) -> list[Group]:
        """All registered groups."""
        return await self._db.read(lambda c: groups(c, self._tables))

    async def put_group(self, group: Group) -> Group:
        """Register a group, or replace the one of its folder; returns it as stored."""
        stored = group if group.added_at is not None else replace(group, added_at=self._clock.now())
        values: dict[str, Any] = {name: getattr(stored, name) for name in Group.__dataclass_fields__}
        await self._db.write(lambda c: upsert(c, self._tables.group, values, key=["folder"]))
        return stored

    async def write(self, work: Also) -> None:
        """Do what was made for another transaction in one of its own."""
        await self._db.write(work)

    async def remove_group(self, folder: str) -> None:
        """Forget a group and its conversation, and pause its tasks; its folder and what waits in its chats stay."""
        await self._db.write(lambda c: self._remove(c, folder))

    def removing(self, group: Group, *, reason: str) -> Also:
        """Forget a group, and settle what waits or is being answered in its chats; for another transaction."""
        now = self._clock.now()

        def work(c: Connection) -> None:
            self._remove(c, group.folder)
            chats = self._chats_of(c, group)
            inbox.stop(c, self._tables.channels, chats, states=["new", "claimed"], reason=reason, now=now)

        return work

    def _remove(self, c: Connection, folder: str) -> None:
        tables, now = self._tables, self._clock.now()
        chat = c.execute(select(tables.group.c.chat).where(tables.group.c.folder == folder)).scalar()
        for table in (tables.group, tables.session, tables.asking):
            c.execute(delete(table).where(table.c.folder == folder))
        TaskRows(c, tables).pause_group(folder, reason="its group was removed", now=now)
        if chat:
            marks.put(c, tables.channels, _removal_mark(chat), now.isoformat())
        self._sessions.pop(folder, None)

    def _chats_of(self, c: Connection, group: Group) -> list[str]:
        """A group's channel and those of its threads that are no groups of their own."""
        chat, registered = self._tables.channels.chat, select(self._tables.group.c.chat)
        threads = c.scalars(select(chat.c.id).where(chat.c.parent == group.chat, chat.c.id.not_in(registered)))
        return [group.chat, *threads]

    async def removed_at(self, chat: str) -> datetime | None:
        """When a chat's group was removed last; None when it never was."""
        found = await self._db.read(lambda c: marks.get(c, self._tables.channels, _removal_mark(chat)))
        return datetime.fromisoformat(found) if found else None

    async def session_of(self, folder: str) -> str:
        """The conversation a group continues; empty when it has none."""
        if (known := self._sessions.get(folder)) is not None:
            return known
        table = self._tables.session
        query = select(table.c.session_id).where(table.c.folder == folder)
        found = await self._db.read(lambda c: c.execute(query).scalar()) or ""
        return self._sessions.setdefault(folder, found)

    async def keep_session(self, folder: str, session_id: str) -> None:
        """Remember which conversation to continue; nothing is written when it is known already."""
        if await self.session_of(folder) == session_id:
            return
        values = {"folder": folder, "session_id": session_id, "updated_at": self._clock.now()}
        await self._db.write(lambda c: upsert(c, self._tables.session, values, key=["folder"]))
        self._sessions[folder] = session_id

    async def forget_session(self, folder: str) -> None:
        """Let the group's next run begin a new conversation."""
        session, asking = self._tables.session, self._tables.asking

        def work(c: Connection) -> None:
            c.execute(delete(session).where(session.c.folder == folder))
            c.execute(delete(asking).where(asking.c.folder == folder))

        await self._db.write(work)
        self._sessions[folder] = ""

    async def worker_spec_of(self, folder: str) -> str:
        """Fingerprint of what a group's last worker was started with; empty when there was none."""
        if (known := self._specs.get(folder)) is not None:
            return known
        found = await self._db.read(lambda c: marks.get(c, self._tables.channels, f"worker_spec.{folder}"))
        return self._specs.setdefault(folder, found)

    async def keep_worker_spec(self, folder: str, fingerprint: str) -> None:
        """Remember what a group's worker is started with; nothing is written when it is known already."""
        if await self.worker_spec_of(folder) == fingerprint:
            return
        await self._db.write(lambda c: marks.put(c, self._tables.channels, f"worker_spec.{folder}", fingerprint))
        self._specs[folder] = fingerprint

    async def keep_asking(self, asking: Asking) -> None:
        """Remember what a group's agent is about to be asked, in place of what it was asked before."""
        values: dict[str, Any] = {name: getattr(asking, name) for name in Asking.__dataclass_fields__}
        values |= {"asked": list(asking.asked), "context": list(asking.context)}
        await self._db.write(lambda c: upsert(c, self._tables.asking, values, key=["folder", "is_isolated"]))

    async def askings(self) -> list[Asking]:
        """What the agent of each group was asked last."""
        rows = await self._db.read(lambda c: c.execute(select(self._tables.asking)).all())
        values = [dict(row._mapping) for row in rows]  # noqa: SLF001 - as above
        return [Asking(**v | {"asked": tuple(v["asked"]), "context": tuple(v["context"])}) for v in values]

    def recording(self, record: RunRecord) -> Also:
        """Note a run's end as part of another transaction."""
        values = {name: getattr(record, name) for name in RunRecord.__dataclass_fields__}

        def work(c: Connection) -> None:
            c.execute(insert(self._tables.run).values(values))

        return work

    async def record(self, record: RunRecord) -> None:
        """Note a run's end."""
        await self._db.write(self.recording(record))

    async def prune_runs(self, *, before: datetime) -> int:
        """Forget runs that ended before a time, but for each folder's newest; returns how many."""
        run = self._tables.run
        newest = select(func.max(run.c.id)).group_by(run.c.folder)
        old = delete(run).where(run.c.ended_at < before, run.c.id.not_in(newest))
        return await self._db.write(lambda c: c.execute(old).rowcount)

    async def spent_since(self, folder: str, since: datetime) -> Spent:
        """What a group's runs that ended after a time used."""
        run = self._tables.run
        sums = [func.coalesce(func.sum(column), 0) for column in (run.c.input_tokens, run.c.output_tokens)]
        query = select(func.count(), *sums, func.coalesce(func.sum(run.c.cost_usd), 0.0)).where(
            run.c.folder == folder, run.c.ended_at >= since
        )
        row = await self._db.read(lambda c: c.execute(query).one())
        return Spent(int(row[0]), int(row[1]), int(row[2]), float(row[3]))

    async def last_active(self) -> dict[str, datetime]:
        """When a run of each group last ended, by folder."""
        table = self._tables.run
        query = select(table.c.folder, func.max(table.c.ended_at)).group_by(table.c.folder)
        rows = await self._db.read(lambda c: c.execute(query).all())
        return {row[0]: row[1] for row in rows}

    async def recent_runs(self, limit: int = 20, *, folder: str = "") -> list[RunRecord]:
        """The newest runs of all groups or of one, newest first."""
        return await self._db.read(lambda c: recent_runs(c, self._tables, limit, folder=folder))


def _removal_mark(chat: str) -> str:
    return f"group_removed.{chat}"


def groups(connection: Connection, tables: NanoclawTables) -> list[Group]:
    """All registered groups."""
    rows = connection.execute(select(tables.group)).all()
    return [Group(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping


def session_folders(connection: Connection, tables: NanoclawTables) -> frozenset[str]:
    """Folders of the groups that have a conversation to go on with."""
    return frozenset(connection.scalars(select(tables.session.c.folder).where(tables.session.c.session_id != "")))


def recent_runs(connection: Connection, tables: NanoclawTables, limit: int, *, folder: str = "") -> list[RunRecord]:
    """The newest runs of all groups or of one, newest first."""
    table = tables.run
    query = select(table).order_by(table.c.id.desc()).limit(limit)
    if folder:
        query = query.where(table.c.folder == folder)
    rows = connection.execute(query).all()
    return [RunRecord(**{k: v for k, v in row._mapping.items() if k != "id"}) for row in rows]  # noqa: SLF001 - as above
