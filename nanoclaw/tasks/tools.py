"""Tools with which an agent handles tasks; every answer says in words what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from nanoclaw.agent.tools.base import JsonObject, Tool, ToolCall
from nanoclaw.groups import Group
from nanoclaw.tasks.models import PROMPT_LIMIT, Task, TaskWish
from nanoclaw.tasks.service import Tasks
from nanoclaw.tasks.views import local, schedule_in_words, task_in_a_line, zone_of

_TYPE: JsonObject = {
    "type": "string",
    "enum": ["cron", "interval", "once"],
    "description": "cron: repeated at times of day; interval: repeated every so long; once: a single time",
}
_VALUE: JsonObject = {
    "type": "string",
    "maxLength": 200,
    "description": (
        "cron: five fields such as '0 9 * * 1-5', or @daily; interval: '30m', '2 hours'; "
        "once: '2030-05-01 09:00'. Without an offset, times are on the owner's clock."
    ),
}
_CONTEXT: JsonObject = {
    "type": "string",
    "enum": ["group", "isolated"],
    "description": (
        "group: the run goes on in this conversation and knows what was said; isolated: it begins with nothing but "
        "the prompt, so the prompt must say everything. Default group."
    ),
}
_MISSED: JsonObject = {
    "type": "string",
    "enum": ["run_once", "skip"],
    "description": "what happens to runs that came due while nothing was running; default is the operator's policy",
}
_PROMPT: JsonObject = {
    "type": "string",
    "maxLength": PROMPT_LIMIT,
    "description": "what you will be told to do when it is due; it stands alone, so name people, places and files",
}
_ID: JsonObject = {"type": "string", "maxLength": 64, "description": "the task's id, see list_tasks"}
_TARGET: JsonObject = {
    "type": "string",
    "maxLength": 128,
    "description": "another group's folder or chat; default is this group",
}


class TaskTools:
    """The task tools of every group; what a group may not do is refused with the reason."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def offered(self, group: Group) -> Sequence[Tool]:
        """All of them for everybody; main also for other groups."""
        options = {"context_mode": _CONTEXT, "if_missed": _MISSED}
        schedule = {"schedule_type": _TYPE, "schedule_value": _VALUE}
        target = {"target_group": _TARGET} if group.is_main else {}
        one = {"task_id": _ID}
        return (
            Tool(
                "schedule_task",
                "Schedule a prompt that will be sent to you at a time or repeatedly; your answer then goes to the "
                "chat.",
                self._schedule,
                {"prompt": _PROMPT, **schedule, **options, **target},
                ["prompt", "schedule_type", "schedule_value"],
            ),
            Tool("list_tasks", "Show the scheduled tasks with their next run.", self._list, read_only=True),
            Tool("pause_task", "Let a task rest until it is resumed.", self._pause, one, ["task_id"]),
            Tool(
                "resume_task",
                "Let a paused task go on with its next time; what it missed is not made up for.",
                self._resume,
                one,
                ["task_id"],
            ),
            Tool("cancel_task", "End a task for good.", self._cancel, one, ["task_id"]),
            Tool(
                "update_task",
                "Change a task's prompt, schedule or context; what is left out stays as it is.",
                self._update,
                {**one, "prompt": _PROMPT, **schedule, **options},
                ["task_id"],
            ),
        )

    async def _schedule(self, call: ToolCall) -> str:
        wish = _wish(call)
        task = await self._tasks.create(call.group, wish, target=call.text("target_group"), key=call.place.key)
        if task.prompt == wish.prompt:
            return f"scheduled: {_told(task, call)}"
        return f"an earlier try of this run has scheduled already: {_told(task, call)}; use update_task to change it"

    async def _list(self, call: ToolCall) -> str:
        found = await self._tasks.visible(call.group)
        if not found:
            return "there are no tasks; schedule_task makes one"
        return "\n".join(task_in_a_line(task, with_group=call.group.is_main) for task in found)

    async def _pause(self, call: ToolCall) -> str:
        task = await self._tasks.pause(call.group, call.text("task_id"))
        return f"{task.id} is paused and does not run until resume_task"

    async def _resume(self, call: ToolCall) -> str:
        task = await self._tasks.resume(call.group, call.text("task_id"))
        return f"{task.id} is active again; {_next(task)}"

    async def _cancel(self, call: ToolCall) -> str:
        task = await self._tasks.cancel(call.group, call.text("task_id"))
        return f"{task.id} is cancelled and will not run again"

    async def _update(self, call: ToolCall) -> str:
        task = await self._tasks.update(call.group, call.text("task_id"), _wish(call))
        return f"changed: {_told(task, call)}"


def _wish(call: ToolCall) -> TaskWish:
    return TaskWish(
        prompt=call.text("prompt"),
        schedule_kind=call.text("schedule_type"),
        schedule_value=call.text("schedule_value"),
        context=call.text("context_mode"),
        missed=call.text("if_missed"),
    )


def _told(task: Task, call: ToolCall) -> str:
    return task_in_a_line(task, with_group=task.folder != call.group.folder)


def _next(task: Task) -> str:
    return f"next run {local(task.next_at, zone_of(task))} ({schedule_in_words(task)})"
