"""What an operator may ask about tasks over the control socket; every result is JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nanoclaw.tasks.answers import READS, Answer, id_in, text_in
from nanoclaw.tasks.models import OPERATOR, TaskWish
from nanoclaw.tasks.service import Tasks
from nanoclaw.tasks.views import run_as_json, task_as_json
from shared.errors import Invalid
from shared.lifecycle.control import Operation


def task_operations(tasks: Tasks) -> Mapping[str, Operation]:
    """The table of operations."""
    control = _Control(tasks)
    return {
        **{op: control.reading(answer) for op, answer in READS.items()},
        "tasks.add": control.add,
        "tasks.pause": control.pause,
        "tasks.resume": control.resume,
        "tasks.cancel": control.cancel,
        "tasks.run_now": control.run_now,
    }


class _Control:
    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def reading(self, answer: Answer) -> Operation:
        async def operation(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
            return await self._tasks.read(lambda rows: answer(rows, params))

        return operation

    async def add(self, params: dict[str, Any]) -> dict[str, Any]:
        wish = TaskWish(
            prompt=text_in(params, "prompt"),
            schedule_kind=text_in(params, "schedule_type"),
            schedule_value=text_in(params, "schedule_value"),
            context=text_in(params, "context") or "isolated",
            missed=text_in(params, "if_missed"),
        )
        group = text_in(params, "group")
        if not group:
            raise Invalid("name the group whose agent does it: `nanoclaw groups list` shows them")
        return task_as_json(await self._tasks.create(OPERATOR, wish, target=group))

    async def pause(self, params: dict[str, Any]) -> dict[str, Any]:
        return task_as_json(await self._tasks.pause(OPERATOR, id_in(params)))

    async def resume(self, params: dict[str, Any]) -> dict[str, Any]:
        return task_as_json(await self._tasks.resume(OPERATOR, id_in(params)))

    async def cancel(self, params: dict[str, Any]) -> dict[str, Any]:
        return task_as_json(await self._tasks.cancel(OPERATOR, id_in(params)))

    async def run_now(self, params: dict[str, Any]) -> dict[str, Any]:
        return run_as_json(await self._tasks.run_now(OPERATOR, id_in(params)), self._tasks.zone)
