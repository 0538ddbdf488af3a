"""Lanes: one per chat, strictly in order; at most N runs at once, whoever has waited longest goes first.

Lanes hold only the addresses of chats. The messages are in the inbox, so a lane never fills up: waking a chat that
already waits changes nothing, and what is forgotten by a crash is found again by asking the inbox.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from shared.clock import SYSTEM_CLOCK, Clock
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """How a lane's turn ended.

    Attributes:
        again: look at the chat's inbox again, because there may be more.
        delay_s: but not before this many seconds; the lane holds everything of the chat until then, to keep its order.
    """

    again: bool = False
    delay_s: float = 0.0


DONE = Turn()

TakeTurn = Callable[[str], Awaitable[Turn]]


@dataclass(slots=True)
class _Lane:
    state: Literal["waiting", "running", "resting"]
    since: float
    woken: bool = False


@dataclass(frozen=True, slots=True)
class LaneView:
    """One lane for `status`: seconds since it entered its state, and its place among those that wait (from 1)."""

    chat: str
    state: Literal["waiting", "running", "resting"]
    for_s: float
    position: int = 0


class Lanes:
    """Gives turns to chats.

    Args:
        turn: does one turn of a chat, all that its inbox holds; called for one chat at a time only once.
        max_running: turns at once over all chats.
        after_defect_s: rest of a chat whose turn ended with an unexpected error.
    """

    def __init__(
        self, turn: TakeTurn, *, max_running: int, after_defect_s: float = 5.0, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._turn = turn
        self._after_defect_s = after_defect_s
        self._max_running = max_running
        self._clock = clock
        self._tasks = TaskPool("nanoclaw.lanes")
        self._lanes: dict[str, _Lane] = {}
        self._queue: dict[str, None] = {}  # a dict keeps the order and takes out of the middle
        self._running = 0
        self._stopping = False
        self._quiet = asyncio.Event()
        self._quiet.set()

    def wake(self, chat: str, *, after_s: float = 0.0) -> None:
        """Say that a chat has something; it gets its turn as soon as there is a free slot. Never blocks.

        Args:
            chat: whose turn it should be.
            after_s: let an empty lane rest first, for messages that are to be tried later.
        """
        if self._stopping:
            return  # the inbox has it; the next start finds it there
        lane = self._lanes.get(chat)
        if lane is None and after_s > 0:
            self._lanes[chat] = _Lane("resting", self._clock.monotonic())
            self._tasks.start(self._rest(chat, after_s), name=f"{chat}.rest")
            self._quiet.clear()
        elif lane is None:
            self._lanes[chat] = _Lane("waiting", self._clock.monotonic())
            self._queue[chat] = None
            self._dispatch()
        elif lane.state == "running":
            lane.woken = True

    def view(self) -> list[LaneView]:
        """All lanes that are not empty; waiting ones in the order of their turn."""
        now = self._clock.monotonic()
        places = {chat: place for place, chat in enumerate(self._queue, start=1)}
        views = [
            LaneView(c, lane.state, round(now - lane.since, 3), places.get(c, 0)) for c, lane in self._lanes.items()
        ]
        return sorted(views, key=lambda view: (view.state != "running", view.position, view.chat))

    async def idle(self) -> None:
        """Wait until no chat waits, runs or rests."""
        await self._quiet.wait()

    async def drain(self, deadline_s: float) -> bool:
        """Start nothing more and let running turns finish; true when all did in time."""
        self._stopping = True
        for chat, lane in list(self._lanes.items()):
            if lane.state != "running":
                self._forget(chat)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await self._quiet.wait()
        return self._running == 0

    async def close(self) -> None:
        """Cut what still runs; its messages stay claimed and are found at the next start."""
        self._stopping = True
        await self._tasks.close()

    def _dispatch(self) -> None:
        while self._queue and self._running < self._max_running and not self._stopping:
            chat = next(iter(self._queue))
            del self._queue[chat]
            self._lanes[chat] = _Lane("running", self._clock.monotonic())
            self._running += 1
            self._tasks.start(self._run(chat), name=chat)
        if self._lanes:
            self._quiet.clear()
        else:
            self._quiet.set()

    async def _run(self, chat: str) -> None:
        try:
            turn = await self._turn(chat)
        except asyncio.CancelledError:
            self._running -= 1
            self._forget(chat)
            raise
        except Exception:  # noqa: BLE001 - a turn is other code; its defects end here
            # A defect in one chat's turn must not take the chat out of service, nor spin.
            _log.exception("lane.failed", chat=chat)
            turn = Turn(again=True, delay_s=self._after_defect_s)
        self._running -= 1
        self._settle(chat, turn)

    def _settle(self, chat: str, turn: Turn) -> None:
        again = turn.again or self._lanes[chat].woken
        if self._stopping or not again:
            self._forget(chat)
        elif turn.delay_s > 0:
            self._lanes[chat] = _Lane("resting", self._clock.monotonic())
            self._tasks.start(self._rest(chat, turn.delay_s), name=f"{chat}.rest")
        else:
            self._lanes[chat] = _Lane("waiting", self._clock.monotonic())
            self._queue[chat] = None  # at the end: a busy chat lets the others pass
        self._dispatch()

    async def _rest(self, chat: str, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        lane = self._lanes.get(chat)
        if lane is not None and lane.state == "resting":
            self._lanes[chat] = _Lane("waiting", self._clock.monotonic())
            self._queue[chat] = None
            self._dispatch()

    def _forget(self, chat: str) -> None:
        self._lanes.pop(chat, None)
        self._queue.pop(chat, None)
        if not self._lanes:
            self._quiet.set()
