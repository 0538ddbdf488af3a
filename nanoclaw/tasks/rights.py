"""Who may do what to whose task, and how much of it: pure decisions with a reason.

Source: the original's rules (reference, section 8): the main group schedules for itself and others and manages every
task; any other group has only its own, and does not learn of others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from nanoclaw.config import TasksPolicy
from nanoclaw.groups import Group
from nanoclaw.tasks.models import PROMPT_LIMIT, Actor, Task
from shared.schedule import Schedule, smallest_gap

TaskAction = Literal["schedule", "see", "pause", "resume", "cancel", "update", "run_now"]
TASK_ACTIONS: tuple[TaskAction, ...] = ("schedule", "see", "pause", "resume", "cancel", "update", "run_now")


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether, and why (not)."""

    allowed: bool
    reason: str


def decide_task_action(actor: Actor, action: TaskAction, task: Task | None, target: str) -> Decision:
    """Decide whether somebody may do something.

    Args:
        actor: a group, on whose agent's behalf we act, or the operator.
        action: what it wants.
        task: the task it is about; None when it is to be made.
        target: folder of the group the task is for.
    """
    if not isinstance(actor, Group):
        return Decision(allowed=True, reason="the operator may do everything")
    owner = target if task is None else task.folder
    if action == "run_now":
        return Decision(allowed=False, reason="only an operator can start a task by hand: `nanoclaw tasks run-now`")
    if actor.is_main:
        return Decision(allowed=True, reason="the main group administers all tasks")
    if owner == actor.folder and target == actor.folder:
        return Decision(allowed=True, reason="its own task")
    return Decision(allowed=False, reason="only the main group may act on tasks of other groups; ask there")


def decide_new_schedule(
    schedule: Schedule, prompt: str, *, others: int, policy: TasksPolicy, now: datetime
) -> Decision:
    """Decide whether a task may be as its maker wants it.

    Args:
        schedule: when it is to run.
        prompt: what is sent.
        others: how many other tasks the group has that are not over.
        policy: the limits.
        now: for the occurrences to come.
    """
    if not prompt.strip():
        return Decision(allowed=False, reason="the prompt is empty: say what is to be done when the task is due")
    if len(prompt) > PROMPT_LIMIT:
        reason = (
            f"the prompt has {len(prompt)} characters, at most {PROMPT_LIMIT} are possible: put the details into a file"
        )
        return Decision(allowed=False, reason=reason)
    if others >= policy.max_per_group:
        reason = f"the group has {others} tasks and may have {policy.max_per_group}: cancel one first"
        return Decision(allowed=False, reason=reason)
    gap = smallest_gap(schedule, now)
    if gap is not None and gap < timedelta(seconds=policy.min_interval_s):
        reason = (
            f"runs would be {gap.total_seconds():g} s apart, at least {policy.min_interval_s:g} s are needed; "
            "a bare number is milliseconds, so write for example '30m'"
        )
        return Decision(allowed=False, reason=reason)
    return Decision(allowed=True, reason="within the limits")
