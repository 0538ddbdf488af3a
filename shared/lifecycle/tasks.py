"""The only place that starts background tasks: a group whose members' failures are reported, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from shared.obs.log import get_logger

_log = get_logger(__name__)

T = TypeVar("T")


class TaskPool:
    """Tasks that may come and go while their owner lives; one failing does not cancel the others.

    Use an `asyncio.TaskGroup` where one failure must end all. Close the pool on the way out.
    """

    def __init__(self, name: str, *, on_error: Callable[[BaseException], None] | None = None) -> None:
        self._name = name
        self._on_error = on_error
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, T], *, name: str = "", watched: bool = False) -> asyncio.Task[T]:
        """Start a task.

        Args:
            work: what it does.
            name: for logs.
            watched: the caller awaits the task and deals with its failure; otherwise a failure is logged here (and
                given to `on_error`).
        """
        task = asyncio.create_task(work, name=f"{self._name}.{name or getattr(work, '__name__', 'task')}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard if watched else self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        if error := task.exception():
            _log.error("task.failed", task=task.get_name(), exc_info=error)
            if self._on_error is not None:
                self._on_error(error)

    async def drain(self, deadline_s: float) -> bool:
        """Wait for all tasks up to `deadline_s` seconds; true when none is left."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=deadline_s)
        return not self._tasks

    async def close(self) -> None:
        """Cancel what still runs and wait for it to end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
