"""Tools with which an agent handles tasks; every answer says in words what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from nanoclaw.groups import Group
from nanoclaw.tasks.models import PROMPT_LIMIT, Task, TaskWish
from nanoclaw.tasks.service import Tasks
from nanoclaw.tasks.views import local, schedule_in_words, task_in_a_line, zone_of
from shared.errors import GatewayError

if TYPE_CHECKING:
    from claude_agent_sdk import SdkMcpTool

_TYPE = {
    "type": "string",
    "enum": ["cron", "interval", "once"],
    "description": "cron: repeated at times of day; interval: repeated every so long; once: a single time",
}
_VALUE = {
    "type": "string",
    "maxLength": 200,
    "description": (
        "cron: five fields such as '0 9 * * 1-5', or @daily; interval: '30m', '2 hours'; "
        "once: '2030-05-01 09:00'. Without an offset, times are on the owner's clock."
    ),
}
_CONTEXT = {
    "type": "string",
    "enum": ["group", "isolated"],
    "description": (
        "group: the run goes on in this conversation and knows what was said; isolated: it begins with nothing but "
        "the prompt, so the prompt must say everything. Default group."
    ),
}
_MISSED = {
    "type": "string",
    "enum": ["run_once", "skip"],
    "description": "what happens to runs that came due while nothing was running; default is the operator's policy",
}
_PROMPT = {
    "type": "string",
    "maxLength": PROMPT_LIMIT,
    "description": "what you will be told to do when it is due; it stands alone, so name people, places and files",
}
_ID = {"type": "string", "maxLength": 64, "description": "the task's id, see list_tasks"}
_TARGET = {"type": "string", "maxLength": 128, "description": "another group's folder or chat; default is this group"}

Handler = Callable[[dict[str, Any]], Awaitable[str]]


class TaskTools:
    """The handlers of one group.

    Args:
        tasks: does it.
        group: on whose behalf.
        new_key: names the place in the run where a task is made, so that a repeated run does not make it twice.
    """

    def __init__(self, tasks: Tasks, group: Group, *, new_key: Callable[[Group], str]) -> None:
        self._tasks = tasks
        self._group = group
        self._new_key = new_key

    async def schedule(self, arguments: dict[str, Any]) -> str:
        """Make a task."""
        wish = _wish(arguments)
        task = await self._tasks.create(
            self._group, wish, target=_text(arguments, "target_group"), key=self._new_key(self._group)
        )
        if task.prompt == wish.prompt:
            return f"scheduled: {self._told(task)}"
        return f"an earlier try of this run has scheduled already: {self._told(task)}; use update_task to change it"

    async def list(self, _arguments: dict[str, Any]) -> str:
        """Show the tasks the group may see."""
        found = await self._tasks.visible(self._group)
        if not found:
            return "there are no tasks; schedule_task makes one"
        return "\n".join(task_in_a_line(task, with_group=self._group.is_main) for task in found)

    async def pause(self, arguments: dict[str, Any]) -> str:
        """Let a task rest."""
        task = await self._tasks.pause(self._group, _text(arguments, "task_id"))
        return f"{task.id} is paused and does not run until resume_task"

    async def resume(self, arguments: dict[str, Any]) -> str:
        """Let a task go on."""
        task = await self._tasks.resume(self._group, _text(arguments, "task_id"))
        return f"{task.id} is active again; {_next(task)}"

    async def cancel(self, arguments: dict[str, Any]) -> str:
        """End a task."""
        task = await self._tasks.cancel(self._group, _text(arguments, "task_id"))
        return f"{task.id} is cancelled and will not run again"

    async def update(self, arguments: dict[str, Any]) -> str:
        """Change a task."""
        task = await self._tasks.update(self._group, _text(arguments, "task_id"), _wish(arguments))
        return f"changed: {self._told(task)}"

    def _told(self, task: Task) -> str:
        return task_in_a_line(task, with_group=task.folder != self._group.folder)


def task_tools(tasks: Tasks, group: Group, *, new_key: Callable[[Group], str]) -> list[SdkMcpTool[Any]]:
    """The tools of a group; what it may not do is refused with the reason."""
    handlers = TaskTools(tasks, group, new_key=new_key)
    options = {"context_mode": _CONTEXT, "if_missed": _MISSED}
    schedule = {"schedule_type": _TYPE, "schedule_value": _VALUE}
    target = {"target_group": _TARGET} if group.is_main else {}
    one = {"task_id": _ID}
    return [
        _tool(
            "schedule_task",
            "Schedule a prompt that will be sent to you at a time or repeatedly; your answer then goes to the chat.",
            {"prompt": _PROMPT, **schedule, **options, **target},
            ["prompt", "schedule_type", "schedule_value"],
            handlers.schedule,
        ),
        _tool("list_tasks", "Show the scheduled tasks with their next run.", {}, [], handlers.list, is_read_only=True),
        _tool("pause_task", "Let a task rest until it is resumed.", one, ["task_id"], handlers.pause),
        _tool(
            "resume_task",
            "Let a paused task go on with its next time; what it missed is not made up for.",
            one,
            ["task_id"],
            handlers.resume,
        ),
        _tool("cancel_task", "End a task for good.", one, ["task_id"], handlers.cancel),
        _tool(
            "update_task",
            "Change a task's prompt, schedule or context; what is left out stays as it is.",
            {**one, "prompt": _PROMPT, **schedule, **options},
            ["task_id"],
            handlers.update,
        ),
    ]


def _tool(
    name: str,
    description: str,
    properties: dict[str, Any],
    required: list[str],
    handler: Handler,
    *,
    is_read_only: bool = False,
) -> SdkMcpTool[Any]:
    from claude_agent_sdk import ToolAnnotations, tool

    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}

    @tool(name, description, schema, ToolAnnotations(readOnlyHint=is_read_only))
    async def answer(arguments: dict[str, Any]) -> dict[str, Any]:
        try:
            text, is_error = await handler(arguments), False
        except GatewayError as error:
            text, is_error = error.detail, True
        return {"content": [{"type": "text", "text": text}], "is_error": is_error}

    return answer


def _wish(arguments: dict[str, Any]) -> TaskWish:
    return TaskWish(
        prompt=_text(arguments, "prompt"),
        schedule_kind=_text(arguments, "schedule_type"),
        schedule_value=_text(arguments, "schedule_value"),
        context=_text(arguments, "context_mode"),
        missed=_text(arguments, "if_missed"),
    )


def _text(arguments: dict[str, Any], name: str) -> str:
    return str(arguments.get(name) or "").strip()


def _next(task: Task) -> str:
    return f"next run {local(task.next_at, zone_of(task))} ({schedule_in_words(task)})"
