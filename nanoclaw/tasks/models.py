"""A task, one run of it, and what a caller wants changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nanoclaw.groups import Group
from shared.clock import unix_ms
from shared.errors import Invalid
from shared.schedule import MissedPolicy, Schedule, ScheduleKind, stored_schedule

TaskContext = Literal["group", "isolated"]
"""``group`` goes on in the group's conversation · ``isolated`` begins one that ends with the run."""

MissedSetting: TypeAlias = MissedPolicy | Literal[""]
"""A task's own policy for missed runs; empty for the tenant's."""

TaskStatus = Literal["active", "paused", "completed", "cancelled"]
TaskRunState = Literal["open", "ok", "failed", "skipped", "withdrawn"]

OPERATOR: Literal["operator"] = "operator"
Actor: TypeAlias = Group | Literal["operator"]
"""Who acts: the agent of a group, or the operator at the command line."""

PROMPT_LIMIT = 16_000
"""Longest prompt, in characters: more belongs into a file of the group's folder."""


@dataclass(frozen=True, slots=True)
class Task:
    """A prompt and its schedule.

    Attributes:
        folder: the group whose agent does it.
        made_by: folder of the group that asked for it, or ``operator``.
        anchor_at: what an interval counts from.
        reason: why it is paused, completed or cancelled.
        next_at: None when nothing comes any more, or while it is paused.
        creation_key: names the call that made it, so that a repeated call finds it; None for an operator's.
    """

    id: str
    folder: str
    made_by: str
    prompt: str
    kind: ScheduleKind
    value: str
    zone: str
    anchor_at: datetime
    missed: MissedSetting
    context: TaskContext
    status: TaskStatus
    reason: str
    next_at: datetime | None
    created_at: datetime
    updated_at: datetime
    creation_key: str | None = None

    @property
    def schedule(self) -> Schedule:
        """When it is due.

        Raises:
            Invalid: what is stored cannot be read.
        """
        return stored_schedule(self.kind, self.value, zone=self.zone_info, anchor=self.anchor_at)

    @property
    def zone_info(self) -> ZoneInfo:
        """The zone its times are told in.

        Raises:
            Invalid: this machine does not know it.
        """
        try:
            return ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise Invalid(f"the time zone {self.zone!r} is not known here", code="task.zone") from None

    @property
    def is_over(self) -> bool:
        """It will never run again."""
        return self.status in {"completed", "cancelled"}


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One occurrence of a task and what became of it.

    Attributes:
        id: of task and scheduled time, so that an occurrence can have one run only.
        state: ``open`` its prompt waits or is being answered · ``ok`` · ``failed`` given up · ``skipped`` left out by
            policy · ``withdrawn`` taken back before it began.
        run_id: the run that answered its prompt, as in ``nanoclaw workers logs``.
        tries: how many tries that took.
        input_tokens: over all tries, as are `output_tokens` and `cost_usd`.
        result: the first characters of the answer.
    """

    id: str
    task_id: str
    folder: str
    chat: str
    context: TaskContext
    scheduled_at: datetime
    claimed_at: datetime
    state: TaskRunState
    reason: str
    fault: str = ""
    run_id: str = ""
    tries: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    result: str = ""

    @property
    def message_id(self) -> str:
        """Its prompt in the inbox."""
        return f"task:{self.id}"

    @property
    def duration_s(self) -> float | None:
        """How long the last try took; None when there was none."""
        if self.started_at is None or self.ended_at is None:
            return None
        return round((self.ended_at - self.started_at).total_seconds(), 3)


@dataclass(frozen=True, slots=True)
class TaskWish:
    """What a caller asks for; an empty field of a change leaves things as they are.

    Attributes:
        schedule_kind: ``cron``, ``interval`` or ``once``, as typed.
        schedule_value: in the words of `shared.schedule.parse`.
    """

    prompt: str = ""
    schedule_kind: str = ""
    schedule_value: str = ""
    context: str = ""
    missed: str = ""


def run_id_of(task_id: str, scheduled_at: datetime, *, by_hand: bool = False) -> str:
    """The id of an occurrence's run: the same whenever it is asked for."""
    return f"{task_id}.{'hand' if by_hand else ''}{unix_ms(scheduled_at)}"


def task_of_run(task_run: str) -> str:
    """The task's id in a run's id."""
    return task_run.partition(".")[0]
