"""Tasks and their runs in words and in JSON; times are told in the task's zone, which is the owner's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from nanoclaw.tasks.models import Task, TaskRun
from shared.errors import Invalid

_PREVIEW_CHARS = 60


def local(moment: datetime | None, zone: tzinfo) -> str | None:
    """A moment on the clock of a zone: ``2026-03-01 09:00 KST``."""
    if moment is None:
        return None
    shown = moment.astimezone(zone)
    return f"{shown:%Y-%m-%d %H:%M:%S %Z}" if shown.second else f"{shown:%Y-%m-%d %H:%M %Z}"


def zone_of(task: Task) -> tzinfo:
    """The zone its times are told in; UTC when this machine does not know it."""
    try:
        return task.zone_info
    except Invalid:
        return UTC


def schedule_in_words(task: Task) -> str:
    """When it is due, for people."""
    try:
        return task.schedule.describe()
    except Invalid:
        return f"{task.kind} {task.value}"


def task_as_json(task: Task) -> dict[str, Any]:
    """A task for ``--json`` and for the control socket."""
    return {
        "id": task.id,
        "group": task.folder,
        "status": task.status,
        "reason": task.reason,
        "schedule": {"type": task.kind, "value": task.value, "zone": task.zone, "text": schedule_in_words(task)},
        "next_at": _iso(task.next_at),
        "next_local": local(task.next_at, zone_of(task)),
        "context": task.context,
        "if_missed": task.missed or None,
        "prompt": task.prompt,
        "made_by": task.made_by,
        "created_at": _iso(task.created_at),
        "created_local": local(task.created_at, zone_of(task)),
    }


def run_as_json(run: TaskRun, zone: tzinfo) -> dict[str, Any]:
    """A run for ``--json`` and for the control socket."""
    return {
        "id": run.id,
        "task": run.task_id,
        "group": run.folder,
        "chat": run.chat,
        "context": run.context,
        "state": run.state,
        "reason": run.reason,
        "fault": run.fault,
        "scheduled_at": _iso(run.scheduled_at),
        "scheduled_local": local(run.scheduled_at, zone),
        "claimed_at": _iso(run.claimed_at),
        "started_at": _iso(run.started_at),
        "ended_at": _iso(run.ended_at),
        "duration_s": run.duration_s,
        "run_id": run.run_id,
        "tries": run.tries,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost_usd": run.cost_usd,
        "result": run.result,
    }


def runs_as_json(runs: Sequence[TaskRun], tasks: Iterable[Task]) -> list[dict[str, Any]]:
    """Runs with their times in the zones of their tasks."""
    zones = {task.id: zone_of(task) for task in tasks}
    return [run_as_json(run, zones.get(run.task_id, UTC)) for run in runs]


def task_in_a_line(task: Task, *, with_group: bool) -> str:
    """A task for an agent."""
    group = f" of group {task.folder}" if with_group else ""
    when = f"next run {local(task.next_at, zone_of(task))}" if task.next_at else "no next run"
    state = f"{task.status} ({task.reason})" if task.reason else task.status
    context = "in this conversation" if task.context == "group" else "in a conversation of its own"
    return f"{task.id}{group}: {state}; {schedule_in_words(task)}; {when}; {context}; prompt: {preview(task.prompt)}"


def preview(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _PREVIEW_CHARS else f"{line[: _PREVIEW_CHARS - 1]}…"


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
