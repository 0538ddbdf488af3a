"""Claim first: one transaction finds a due task, moves it on, and puts its run and its prompt into the database.

Whatever dies after that, the prompt is in the inbox like a person's message: answered once, or visibly dead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from nanoclaw.config import TasksPolicy
from nanoclaw.tasks.models import Task, TaskRun, run_id_of
from nanoclaw.tasks.store import Settlement, TaskRows
from shared.channels.base import InboundMessage, Sender
from shared.channels.store.inbox import InboxItem
from shared.errors import Conflict, Invalid
from shared.schedule import decide_due

_BATCH = 50
"""Tasks claimed in one transaction, so that others get their turn on the write thread."""

# A bot, so that no rule for people's messages can ever take it for a call of the assistant.
_SENDER = Sender("task", "task", is_bot=True)


@dataclass(frozen=True, slots=True)
class Claims:
    """What one look at the tasks did.

    Attributes:
        runs: occurrences that were claimed or left out.
        paused: tasks that had to be paused.
        next_at: when the next task is due.
        is_waiting: a run goes on, so that its task may be due when it ends.
        more: the batch was full; look again at once.
    """

    runs: tuple[TaskRun, ...] = ()
    paused: tuple[Task, ...] = ()
    next_at: datetime | None = None
    is_waiting: bool = False
    more: bool = False

    @property
    def chats(self) -> tuple[str, ...]:
        """Chats that have a prompt now."""
        return tuple(dict.fromkeys(run.chat for run in self.runs if run.state == "open"))


def claim_due(rows: TaskRows, now: datetime, policy: TasksPolicy) -> Claims:
    """Claim what is due; call inside a write transaction."""
    reconcile(rows, now)
    due = rows.due(now, _BATCH)
    runs: list[TaskRun] = []
    paused: list[Task] = []
    for task in due:
        try:
            run = _claim(rows, task, now, policy)
        except Invalid as error:
            paused.append(rows.change(task.id, now=now, status="paused", next_at=None, reason=error.detail))
            continue
        if run is not None:
            runs.append(run)
    return Claims(tuple(runs), tuple(paused), rows.next_at(), bool(rows.open_runs()), more=len(due) == _BATCH)


def _claim(rows: TaskRows, task: Task, now: datetime, policy: TasksPolicy) -> TaskRun | None:
    decision = decide_due(
        task.schedule,
        task.next_at or now,  # what is due has a time
        now,
        missed=task.missed or policy.missed,
        grace=timedelta(seconds=policy.grace_s),
    )
    run = _new_run(rows, task, decision.occurrence, now, reason=decision.reason, is_skipped=decision.action == "skip")
    rows.change(task.id, now=now, next_at=decision.next_at)
    return run


def claim_by_hand(rows: TaskRows, task: Task, now: datetime) -> TaskRun:
    """Make a run beside the schedule, which stays as it is; call inside a write transaction.

    Raises:
        Conflict: a run of the task goes on, or it is over.
        Invalid: its group is not registered.
    """
    if task.is_over:
        raise Conflict(f"the task {task.id} is {task.status}: add a new one", code="task.over")
    if rows.open_runs(task.id):
        raise Conflict(f"a run of the task {task.id} is not finished yet", code="task.running")
    run = _new_run(rows, task, now, now, reason="started by the operator", is_by_hand=True)
    if run is None:
        raise Conflict(f"the task {task.id} was started by hand this very moment", code="task.running")
    return run


def _new_run(
    rows: TaskRows,
    task: Task,
    occurrence: datetime,
    now: datetime,
    *,
    reason: str,
    is_skipped: bool = False,
    is_by_hand: bool = False,
) -> TaskRun | None:
    """Store a run; nothing when the occurrence had its run already, as after the clock was set back."""
    found = rows.group(task.folder)
    if found is None:
        raise Invalid(f"the group {task.folder!r} is not registered", code="task.group")
    group, kind = found
    run = TaskRun(
        id=run_id_of(task.id, occurrence, by_hand=is_by_hand),
        task_id=task.id,
        folder=task.folder,
        chat=group.chat,
        context=task.context,
        scheduled_at=occurrence,
        claimed_at=now,
        state="skipped" if is_skipped else "open",
        reason=reason,
    )
    prompt = InboundMessage(
        chat=group.chat,
        chat_name=group.name,
        chat_kind=kind,
        id=run.message_id,
        sender=_SENDER,
        text=task.prompt,
        addressed=False,
        sent_at=occurrence,
        task_run=run.id,
    )
    if not rows.add_run(run, None if is_skipped else prompt, now=now):
        return None
    if is_skipped:
        rows.settle(run.id, Settlement("skipped", reason), now=now)
    return run


def reconcile(rows: TaskRows, now: datetime) -> None:
    """Close runs whose prompt was settled by somebody who did not say so here."""
    for run in rows.open_runs():
        item = rows.prompt_of(run)
        if item is not None and item.state in {"new", "claimed"}:
            continue
        rows.settle(run.id, _settlement_of(rows, item), now=now)


def _settlement_of(rows: TaskRows, item: InboxItem | None) -> Settlement:
    if item is None:
        return Settlement("failed", "its prompt is gone from the inbox", fault="defect")
    if item.state == "ignored":
        return Settlement("withdrawn", item.reason)
    last = rows.last_try(item.run_id)
    is_ok = item.state == "done" and (last is None or last.ok)
    return Settlement(
        "ok" if is_ok else "failed",
        item.reason,
        fault="" if last is None else last.fault,
        run_id=item.run_id,
        tries=item.attempts,
        started_at=None if last is None else last.started_at,
    )
