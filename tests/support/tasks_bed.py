"""Tasks on a real database, with a clock that moves when told to; no channel, no agent."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from nanoclaw.config import TasksPolicy
from nanoclaw.groups import Group, GroupRegistry
from nanoclaw.schema import MIGRATIONS, NanoclawTables, declare
from nanoclaw.store import Store
from nanoclaw.tasks.models import OPERATOR, Task, TaskRun, TaskWish
from nanoclaw.tasks.schedule import TaskSchedule
from nanoclaw.tasks.service import Tasks
from shared.channels.inbox import Inbox
from shared.clock import FakeClock
from shared.storage import Database

START = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
SEOUL = ZoneInfo("Asia/Seoul")
MAIN = Group("main", "dc:1", "Home", is_main=True, requires_trigger=False)
LAB = Group("lab", "dc:2", "Lab #general")
CLUB = Group("club", "dc:3", "Club #general")


@dataclass
class TasksBed:
    """What a test handles."""

    db: Database
    tables: NanoclawTables
    clock: FakeClock
    store: Store
    inbox: Inbox
    schedule: TaskSchedule
    tasks: Tasks
    woken: list[str] = field(default_factory=list)

    async def add(self, group: Group = LAB, *, by=OPERATOR, key=None, **wish) -> Task:
        """A task for a group; every hour unless said otherwise."""
        wish = {"prompt": "look", "schedule_kind": "interval", "schedule_value": "1h"} | wish
        return await self.tasks.create(by, TaskWish(**wish), target=group.folder, key=key)

    async def tick(self, seconds: float = 0) -> tuple[TaskRun, ...]:
        """Let time pass and look at what is due."""
        self.clock.advance(seconds)
        return (await self.schedule.claim_due()).runs

    async def runs(self, task_id: str = "") -> list[TaskRun]:
        """All runs, oldest first."""
        return (await self.tasks.read(lambda rows: rows.runs(task_id=task_id, limit=500)))[::-1]

    async def task(self, task_id: str) -> Task:
        """A task as it is stored now."""
        return await self.tasks.read(lambda rows: rows.find(task_id))

    async def answer(self, chat: str = LAB.chat, text: str = "done") -> list[str]:
        """Answer the first batch of a chat, as a lane's turn does; returns its texts."""
        items = await self.inbox.claim(chat, run_id=f"run_{next(_numbers)}")
        await self.inbox.finish([item.id for item in items], run_id="run_x", reason=text)
        return [item.message.text for item in items]


_numbers = itertools.count(1)


@asynccontextmanager
async def a_bed(
    folder: Path, policy: TasksPolicy | None = None, *, groups=(MAIN, LAB, CLUB), clock: FakeClock | None = None
) -> AsyncIterator[TasksBed]:
    """Everything there is about tasks, over a database file in a folder; opening it again is a restart."""
    tables = declare()
    db = Database(folder / "nanoclaw.db", migrations=MIGRATIONS)
    await db.open()
    clock = clock or FakeClock(START)
    store = Store(db, tables, clock)
    for group in groups:
        await store.put_group(group)
    policy = policy or TasksPolicy()
    woken: list[str] = []
    schedule = TaskSchedule(db, tables, policy, wake=woken.append, clock=clock)
    tasks = Tasks(db, tables, GroupRegistry(groups), policy, schedule=schedule, zone=SEOUL, clock=clock)
    try:
        yield TasksBed(db, tables, clock, store, Inbox(db, tables.channels, clock), schedule, tasks, woken)
    finally:
        await db.close()
