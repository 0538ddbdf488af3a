"""Tasks as agents and the operator handle them: every call is decided about first, then done in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar
from zoneinfo import ZoneInfo

from nanoclaw.config import TasksPolicy
from nanoclaw.groups import Group, GroupRegistry
from nanoclaw.schema import NanoclawTables
from nanoclaw.tasks.claims import claim_by_hand
from nanoclaw.tasks.models import Actor, MissedSetting, Task, TaskContext, TaskRun, TaskWish
from nanoclaw.tasks.rights import TaskAction, decide_new_schedule, decide_task_action
from nanoclaw.tasks.schedule import TaskSchedule
from nanoclaw.tasks.store import TaskRows
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Conflict, Denied, Invalid, NotFound
from shared.ids import new_id
from shared.obs.log import get_logger
from shared.schedule import next_after, parse_schedule
from shared.storage import Database

_log = get_logger(__name__)

T = TypeVar("T")


class Tasks:
    """All tasks of the tenant.

    Args:
        db: where they are.
        tables: of the tenant.
        registry: the groups.
        policy: the limits.
        schedule: is told of every change.
        zone: the owner's; schedules are read in it and keep it.

    Attributes:
        zone: as given.
    """

    def __init__(
        self,
        db: Database,
        tables: NanoclawTables,
        registry: GroupRegistry,
        policy: TasksPolicy,
        *,
        schedule: TaskSchedule,
        zone: ZoneInfo,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._db = db
        self._tables = tables
        self._registry = registry
        self._policy = policy
        self._schedule = schedule
        self.zone = zone
        self._clock = clock

    async def _write(self, work: Callable[[TaskRows], T]) -> T:
        return await self._db.write(lambda c: work(TaskRows(c, self._tables)))

    async def read(self, work: Callable[[TaskRows], T]) -> T:
        """Read rows; for those who may see all."""
        return await self._db.read(lambda c: work(TaskRows(c, self._tables)))

    async def create(self, actor: Actor, wish: TaskWish, *, target: str = "", key: str | None = None) -> Task:
        """Make a task.

        Args:
            actor: who asks.
            wish: what for.
            target: folder or chat of the group it is for; empty for the actor's own.
            key: names the call; a task made under it earlier is returned as it is.

        Raises:
            Invalid: the schedule, the prompt or an option cannot be used.
            Denied: the actor may not do this.
            NotFound: there is no such group.
        """
        folder = self._target(actor, target)
        if key is not None and (known := await self.read(lambda rows: rows.by_key(key))) is not None:
            return known  # before anything is checked: a time that was in the future then may have passed
        now = self._clock.now()
        schedule = parse_schedule(wish.schedule_kind, wish.schedule_value, zone=self.zone, now=now)
        task = Task(
            id=new_id("task"),
            folder=folder,
            made_by=_name_of(actor),
            prompt=wish.prompt.strip(),
            kind=schedule.kind,
            value=schedule.text,
            zone=self.zone.key,
            anchor_at=now,
            missed=_missed(wish.missed),
            context=_context(wish.context or "group"),
            status="active",
            reason="",
            next_at=next_after(schedule, now),
            created_at=now,
            updated_at=now,
            creation_key=key,
        )

        def work(rows: TaskRows) -> Task:
            others = len(rows.tasks(folder))
            verdict = decide_new_schedule(schedule, task.prompt, others=others, policy=self._policy, now=now)
            if not verdict.allowed:
                raise Invalid(verdict.reason, code="task.refused")
            rows.add(task)
            return task

        return self._changed("task.created", actor, await self._write(work))

    async def visible(self, actor: Actor, *, target: str = "", over: bool = False) -> list[Task]:
        """Tasks the actor may see, the soonest first.

        Args:
            actor: who asks.
            target: folder or chat of one group; empty for all that the actor may see.
            over: those that are completed or cancelled too.

        Raises:
            Denied: another group's tasks are none of the actor's business.
            NotFound: there is no such group.
        """
        folder = self._target(actor, target) if target else ""
        found = await self.read(lambda rows: rows.tasks(folder, over=over))
        return [task for task in found if decide_task_action(actor, "see", task, task.folder).allowed]

    async def pause(self, actor: Actor, task_id: str) -> Task:
        """Let a task rest; a prompt that nobody has begun to answer is taken back. Paused already is success.

        Raises:
            NotFound: there is none, as far as the actor may know.
            Conflict: it is over.
        """
        reason = f"paused by {_name_of(actor)}"
        now = self._clock.now()

        def work(rows: TaskRows) -> Task:
            task = _still_there(_find(rows, actor, "pause", task_id))
            if task.status == "paused":
                return task
            rows.withdraw(task.id, reason=reason, now=now)
            return rows.change(task.id, now=now, status="paused", next_at=None, reason=reason)

        return self._changed("task.paused", actor, await self._write(work))

    async def resume(self, actor: Actor, task_id: str) -> Task:
        """Let a paused task go on with its next time after now; what it missed meanwhile stays missed.

        Raises:
            NotFound: there is none, as far as the actor may know.
            Conflict: it is over.
            Invalid: its only time has passed.
        """
        now = self._clock.now()

        def work(rows: TaskRows) -> Task:
            task = _still_there(_find(rows, actor, "resume", task_id))
            if task.status == "active":
                return task
            next_at = next_after(task.schedule, now)
            if next_at is None:
                raise Invalid(f"the time of the task {task.id} has passed: give it a new one", code="task.passed")
            if rows.group(task.folder) is None:
                raise Invalid(f"the group {task.folder!r} is not registered: register it first", code="task.group")
            return rows.change(task.id, now=now, status="active", next_at=next_at, reason="")

        return self._changed("task.resumed", actor, await self._write(work))

    async def cancel(self, actor: Actor, task_id: str) -> Task:
        """End a task for good; its history stays. Cancelled already is success.

        Raises:
            NotFound: there is none, as far as the actor may know.
            Conflict: it is completed.
        """
        reason = f"cancelled by {_name_of(actor)}"
        now = self._clock.now()

        def work(rows: TaskRows) -> Task:
            task = _find(rows, actor, "cancel", task_id)
            if task.status == "cancelled":
                return task
            _still_there(task)
            rows.withdraw(task.id, reason=reason, now=now)
            return rows.change(task.id, now=now, status="cancelled", next_at=None, reason=reason)

        return self._changed("task.cancelled", actor, await self._write(work))

    async def update(self, actor: Actor, task_id: str, wish: TaskWish) -> Task:
        """Change what the wish names; a new schedule counts from now. A paused task stays paused.

        Raises:
            NotFound: there is none, as far as the actor may know.
            Conflict: it is over.
            Invalid: nothing is to be changed, or it cannot be used.
        """
        now = self._clock.now()
        if bool(wish.schedule_kind) != bool(wish.schedule_value):
            raise Invalid("a schedule has a type and a value: give both", code="task.refused")

        def work(rows: TaskRows) -> Task:
            task = _still_there(_find(rows, actor, "update", task_id))
            changed = replace(
                task,
                prompt=wish.prompt.strip() or task.prompt,
                context=_context(wish.context) if wish.context else task.context,
                missed=_missed(wish.missed) if wish.missed else task.missed,
            )
            schedule = task.schedule
            if wish.schedule_value:
                schedule = parse_schedule(wish.schedule_kind, wish.schedule_value, zone=self.zone, now=now)
                changed = replace(
                    changed,
                    kind=schedule.kind,
                    value=schedule.text,
                    zone=self.zone.key,
                    anchor_at=now,
                    next_at=next_after(schedule, now) if task.status == "active" else None,
                )
            if changed == task:
                raise Invalid("nothing is to be changed: name a new prompt, schedule or context", code="task.refused")
            verdict = decide_new_schedule(schedule, changed.prompt, others=0, policy=self._policy, now=now)
            if not verdict.allowed:
                raise Invalid(verdict.reason, code="task.refused")
            new = {
                name: getattr(changed, name) for name in _CHANGEABLE if getattr(changed, name) != getattr(task, name)
            }
            return rows.change(task.id, now=now, **new)

        return self._changed("task.updated", actor, await self._write(work))

    async def run_now(self, actor: Actor, task_id: str) -> TaskRun:
        """Start a run beside the schedule.

        Raises:
            NotFound: there is no such task.
            Denied: only the operator may.
            Conflict: a run goes on, or the task is over.
            Invalid: its group is not registered.
        """
        now = self._clock.now()
        run = await self._write(lambda rows: claim_by_hand(rows, _find(rows, actor, "run_now", task_id), now))
        _log.info("task.started_by_hand", task=run.task_id, task_run=run.id, group=run.folder)
        self._schedule.wake(run.chat)
        return run

    def _target(self, actor: Actor, target: str) -> str:
        """The folder of the group that is meant.

        Raises:
            Denied: the actor has nothing to do there; said before whether there is such a group.
            NotFound: there is none.
        """
        if isinstance(actor, Group) and target in {"", actor.folder, actor.chat}:
            return actor.folder
        verdict = decide_task_action(actor, "schedule", None, target)
        if not verdict.allowed:
            raise Denied(verdict.reason, code="task.denied")
        return self._registry.find(target).folder

    def _changed(self, event: str, actor: Actor, task: Task) -> Task:
        next_at = task.next_at.isoformat() if task.next_at else None
        _log.info(event, task=task.id, group=task.folder, by=_name_of(actor), next_at=next_at)
        self._schedule.nudge()
        return task


_CHANGEABLE = ("prompt", "context", "missed", "kind", "value", "zone", "anchor_at", "next_at")


def _find(rows: TaskRows, actor: Actor, action: TaskAction, task_id: str) -> Task:
    """The task, when the actor may do this to it; one that it may not see does not exist for it."""
    task = rows.find(task_id)
    if task is None or not decide_task_action(actor, "see", task, task.folder).allowed:
        raise NotFound(f"there is no task {task_id!r}: list them first", code="task.not_found")
    verdict = decide_task_action(actor, action, task, task.folder)
    if not verdict.allowed:
        raise Denied(verdict.reason, code="task.denied")
    return task


def _still_there(task: Task) -> Task:
    if task.is_over:
        raise Conflict(f"the task {task.id} is {task.status}: make a new one", code="task.over")
    return task


def _name_of(actor: Actor) -> str:
    return actor.folder if isinstance(actor, Group) else actor


def _context(text: str) -> TaskContext:
    match text:
        case "group" | "isolated":
            return text
        case _:
            raise Invalid(f"{text!r} is not a context: use group or isolated", code="task.refused")


def _missed(text: str) -> MissedSetting:
    match text:
        case "" | "run_once" | "skip":
            return text
        case _:
            raise Invalid(f"{text!r} says nothing about missed runs: use run_once or skip", code="task.refused")
