"""Small blocking jobs of one owner, done on a thread one after another while nobody waits for them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from shared.errors import GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

Job = Callable[[], object]


class InOrder:
    """A queue of jobs, such as writes to one file: each begins when the one before it has ended.

    Args:
        tasks: the owner's pool.
        name: for the log.
    """

    def __init__(self, tasks: TaskPool, name: str) -> None:
        self._tasks = tasks
        self._name = name
        self._jobs: deque[Job] = deque()
        self._working = False
        self._empty = asyncio.Event()
        self._empty.set()

    def do(self, job: Job) -> None:
        """Have a job done soon; a failure of it is logged and does not stop the next one."""
        self._jobs.append(job)
        self._empty.clear()
        if not self._working:
            self._working = True
            self._tasks.start(self._work(), name=f"{self._name}.disk")

    async def drain(self) -> None:
        """Wait until all jobs given so far are done."""
        await self._empty.wait()

    async def _work(self) -> None:
        try:
            while self._jobs:
                batch = list(self._jobs)
                self._jobs.clear()
                await asyncio.to_thread(self._each, batch)
        finally:
            self._working = False
            self._empty.set()

    def _each(self, batch: list[Job]) -> None:
        for job in batch:
            try:
                job()
            except (OSError, GatewayError) as error:
                _log.warning("disk.job_failed", owner=self._name, reason=str(error))
