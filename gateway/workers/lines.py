"""A worker's recent output by line number, and readers that follow it from any line."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from itertools import islice

from shared.gatewayclient.models import WorkerEvent

Line = tuple[int, bytes]
OlderLines = Callable[[int, int], Awaitable[list[Line]]]
"""``older(first, last)``: lines of that closed range that memory no longer has, as far as the engine's log has them."""

_LOG_LAG_S = 0.02
_PATIENCE = 25
_ENTRY_BYTES = 200  # what an entry holds besides its text: four small objects, and a streamed word is often shorter


@dataclass(frozen=True, slots=True)
class _Entry:
    position: int
    item: Line | WorkerEvent
    size: int


class LineRing:
    """Lines counted from 1 over the container's life, the newest kept in a number of bytes of memory.

    Standard error and the exit stand between the lines they came with; they have no number.
    """

    def __init__(self, limit_bytes: int, *, first: int = 1) -> None:
        self._limit = limit_bytes
        self._entries: deque[_Entry] = deque()
        self._size = 0
        self._position = 0
        self._oldest = first
        self._changed = asyncio.Event()
        self.lines = first - 1
        self.finished = False

    @property
    def oldest(self) -> int:
        """Number of the oldest line kept; one more than `lines` when none is."""
        return self._oldest

    def append(self, line: bytes) -> int:
        """Add a line of standard output; returns its number."""
        self.lines += 1
        self._add((self.lines, line), len(line) + _ENTRY_BYTES)
        return self.lines

    def add_event(self, event: WorkerEvent) -> None:
        """Add what is not a line. An exit ends the ring."""
        self._add(event, len(event.text) + _ENTRY_BYTES)
        if event.event == "exit":
            self.finished = True

    def _add(self, item: Line | WorkerEvent, size: int) -> None:
        self._entries.append(_Entry(self._position, item, size))
        self._position += 1
        self._size += size
        while self._size > self._limit and len(self._entries) > 1:
            dropped = self._entries.popleft()
            self._size -= dropped.size
            if isinstance(dropped.item, tuple):
                self._oldest = dropped.item[0] + 1
        self._changed.set()

    def newest_lines(self, count: int) -> list[bytes]:
        """The last lines in memory, oldest first."""
        lines = (entry.item[1] for entry in reversed(self._entries) if isinstance(entry.item, tuple))
        return list(islice(lines, count))[::-1]

    async def follow(self, after: int, older: OlderLines) -> AsyncIterator[Line | WorkerEvent]:
        """Lines with a number above `after`, then all that comes, to the exit.

        A reader too slow for the ring is served from the engine's log, so memory stays bounded and nothing is lost.
        """
        wanted = after + 1
        misses = 0
        position = self._position_after(after)
        while True:
            if wanted < self._oldest:
                found = await older(wanted, self._oldest - 1)
                for number, line in found:
                    yield number, line
                    wanted = number + 1
                misses = 0 if found else misses + 1
                if misses > _PATIENCE:
                    wanted = self._oldest  # the log does not reach back that far any more
                elif misses:
                    await asyncio.sleep(_LOG_LAG_S)  # the log is written a moment after we hear a line
                continue
            for entry in self._from(position):
                if isinstance(entry.item, WorkerEvent):
                    yield entry.item
                    if entry.item.event == "exit":
                        return
                elif entry.item[0] >= wanted:
                    if entry.item[0] > wanted:
                        break  # dropped meanwhile: back to the log
                    yield entry.item
                    wanted += 1
                position = entry.position + 1
            else:
                if position == self._position:
                    self._changed.clear()
                    await self._changed.wait()

    def _position_after(self, line: int) -> int:
        """Where a reader that has seen `line` goes on; its standard error came before that and is not repeated."""
        for entry in reversed(self._entries):
            if isinstance(entry.item, tuple) and entry.item[0] <= line:
                return entry.position + 1
        return 0

    def _from(self, position: int) -> list[_Entry]:
        """Entries at or after a position, a bounded handful, so that nothing is copied twice over."""
        if not self._entries:
            return []
        start = max(0, position - self._entries[0].position)
        return list(islice(self._entries, start, start + 256))
