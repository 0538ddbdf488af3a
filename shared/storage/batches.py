"""Group commit: what is asked for while a write is under way goes into the next one, all of it in one transaction.

Under load the number of transactions stays the same however many callers there are; a caller that is alone waits for
nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sqlalchemy import Connection

from shared.lifecycle.tasks import TaskPool
from shared.storage.database import Database

Item = TypeVar("Item")
Result = TypeVar("Result")

_LARGEST = 256


class Batches(Generic[Item, Result]):
    """Runs one unit of work over many items.

    Args:
        database: where it writes.
        work: applies items in their order and says what came of each. It must not remember anything between calls: a
            batch that fails is rolled back, and each of its items tried again alone, so that one does not fail all.
        sync: as for `Database.write`.
    """

    def __init__(
        self, database: Database, work: Callable[[Connection, Sequence[Item]], list[Result]], *, sync: bool = True
    ) -> None:
        self._database = database
        self._work = work
        self._sync = sync
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._tasks = TaskPool("batches")
        self._writing = False
        self._timer: asyncio.TimerHandle | None = None

    async def add(self, item: Item, *, patience_s: float = 0.0) -> Result:
        """Have an item written; it is when this returns. One whose caller has left before its turn is not.

        Args:
            item: what to write.
            patience_s: it may wait so long for others to come along, in seconds.

        Raises:
            Unavailable: the database refused it.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if not self._writing and not patience_s:
            self._begin()
        elif not self._writing and self._timer is None:
            self._timer = loop.call_later(patience_s, self._begin)
        return await future

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._writing:
            self._writing = True
            self._tasks.start(self._run(), name="run")

    async def _run(self) -> None:
        try:
            await self._write_all()
        finally:
            self._writing = False

    async def _write_all(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:_LARGEST], self._waiting[_LARGEST:]
            taken = [(item, future) for item, future in taken if not future.done()]
            try:
                if taken:
                    await self._write(taken)
            except Exception as error:  # noqa: BLE001 - each caller gets it
                if len(taken) == 1:
                    _fail(taken[0][1], error)
                    continue
                for one in taken:
                    try:
                        await self._write([one])
                    except Exception as its_own:  # noqa: BLE001 - see above
                        _fail(one[1], its_own)

    async def _write(self, taken: Sequence[tuple[Item, asyncio.Future[Result]]]) -> None:
        items = [item for item, _ in taken]
        results = await self._database.write(lambda connection: self._work(connection, items), sync=self._sync)
        for (_, future), result in zip(taken, results, strict=True):
            if not future.done():
                future.set_result(result)


def _fail(future: asyncio.Future[Result], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
