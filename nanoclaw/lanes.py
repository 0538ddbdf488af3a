"""Lanes: one per group, strictly in order; at most N runs at once, whoever has waited longest goes first.

Lanes hold only addresses. The messages are in the inbox, so a lane never fills up: waking one that already waits
changes nothing, and what is forgotten by a crash is found again by asking the inbox.

A lane that got its turn but no worker (all places taken) waits without a turn: before anybody else it tries again as
soon as a run ends, as soon as another lane would be tried, and after a while in any case, since places are also given
back by others than us.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Turn:
    """How a lane's turn ended.

    Attributes:
        again: look at the inbox again, because there may be more.
        delay_s: but not before this many seconds; the lane holds everything until then, to keep its order.
        for_place: no worker was to be had: `delay_s` is the longest wait, and the first run that ends cuts it short.
        until_news: the next message of a person cuts it short, see `nanoclaw.turns`.
    """

    again: bool = False
    delay_s: float = 0.0
    for_place: bool = False
    until_news: bool = False


DONE = Turn()

TakeTurn = Callable[[str], Awaitable[Turn]]


@dataclass(slots=True)
class _Lane:
    state: Literal["waiting", "running", "resting"]
    since: float
    woken: bool = False
    waits_since: float | None = None
    """When it began to wait for a place, over all turns that brought none."""


class Waiting(Protocol):
    """Who is told which lanes wait."""

    def began(self, lane: str) -> None:
        """A lane waits for its turn or for a place."""
        ...

    def ended(self, lane: str) -> None:
        """It does not any more; also called for one that never did."""
        ...


@dataclass(frozen=True, slots=True)
class LaneView:
    """One lane for `status`: seconds since it entered its state, and its place among those that wait (from 1)."""

    chat: str
    state: Literal["waiting", "running", "resting"]
    for_s: float
    position: int = 0


class Lanes:
    """Gives turns.

    Args:
        turn: does one turn of a lane, all that the inbox holds for it; called for one lane at a time only once.
        max_running: turns at once over all lanes.
        waiting: is told who waits.
        on_empty: called with a lane that has nothing any more; a later wake makes it anew.
        after_defect_s: rest of a lane whose turn ended with an unexpected error.
    """

    def __init__(
        self,
        turn: TakeTurn,
        *,
        max_running: int,
        waiting: Waiting | None = None,
        on_empty: Callable[[str], None] = lambda _name: None,
        after_defect_s: float = 5.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._turn = turn
        self._waiting = waiting
        self._on_empty = on_empty
        self._after_defect_s = after_defect_s
        self._max_running = max_running
        self._clock = clock
        self._tasks = TaskPool("nanoclaw.lanes")
        self._lanes: dict[str, _Lane] = {}
        self._queue: dict[str, None] = {}  # a dict keeps the order and takes out of the middle
        self._placeless: dict[str, None] = {}  # had a turn, got no worker
        self._running = 0
        self._stopping = False
        self._quiet = asyncio.Event()
        self._quiet.set()

    def wake(self, name: str, *, after_s: float = 0.0) -> None:
        """Say that a lane has something; it gets a turn as soon as there is a free slot. Never blocks.

        Args:
            name: whose turn it should be.
            after_s: let an empty lane rest first, for messages that are to be tried later.
        """
        if self._stopping:
            return  # the inbox has it; the next start finds it there
        lane = self._lanes.get(name)
        if lane is None and after_s > 0:
            self._lanes[name] = _Lane("resting", self._clock.monotonic())
            self._tasks.start(self._rest(name, after_s), name=f"{name}.rest")
            self._quiet.clear()
        elif lane is None:
            self._line_up_placeless()
            self._line_up(name)
            self._dispatch()
        elif lane.state == "running":
            lane.woken = True

    def hurry(self, name: str) -> None:
        """End a rest: what it was meant for has changed."""
        if (lane := self._lanes.get(name)) is not None and lane.state == "resting" and not self._stopping:
            self._line_up(name)
            self._dispatch()

    def begun(self, name: str) -> None:
        """A lane's turn has its worker: it does not wait any more."""
        if (lane := self._lanes.get(name)) is not None:
            lane.waits_since = None
        self._tell_ended(name)

    def view(self) -> list[LaneView]:
        """All lanes that are not empty; waiting ones in the order of their turn."""
        now = self._clock.monotonic()
        places = {name: place for place, name in enumerate((*self._placeless, *self._queue), start=1)}
        views = [
            LaneView(n, lane.state, round(now - lane.since, 3), places.get(n, 0)) for n, lane in self._lanes.items()
        ]
        return sorted(views, key=lambda view: (view.state != "running", view.position, view.chat))

    def look(self, name: str) -> LaneView | None:
        """One lane; None when it is empty."""
        return next((view for view in self.view() if view.chat == name), None) if name in self._lanes else None

    async def idle(self) -> None:
        """Wait until no lane waits, runs or rests."""
        await self._quiet.wait()

    async def drain(self, deadline_s: float) -> bool:
        """Start nothing more and let running turns finish; true when all did in time."""
        self._stopping = True
        for name, lane in list(self._lanes.items()):
            if lane.state != "running":
                self._forget(name)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline_s):
                await self._quiet.wait()
        return self._running == 0

    async def close(self) -> None:
        """Cut what still runs; its messages stay claimed and are found at the next start."""
        self._stopping = True
        await self._tasks.close()

    def _line_up(self, name: str, *, waits_since: float | None = None) -> None:
        now = self._clock.monotonic()
        since = now if waits_since is None else waits_since
        self._lanes[name] = _Lane("waiting", since, waits_since=since)
        self._queue[name] = None

    def _line_up_placeless(self) -> None:
        """Whoever had no luck goes before all others, whoever waits longest first."""
        if not self._placeless:
            return
        first = sorted(self._placeless, key=lambda name: self._lanes[name].since)
        self._placeless.clear()
        self._queue = dict.fromkeys([*first, *self._queue])

    def _dispatch(self) -> None:
        while self._queue and self._running < self._max_running and not self._stopping:
            name = next(iter(self._queue))
            del self._queue[name]
            waits_since = self._lanes[name].waits_since
            self._lanes[name] = _Lane("running", self._clock.monotonic(), waits_since=waits_since)
            self._running += 1
            self._tasks.start(self._run(name), name=name)
        if self._waiting is not None:
            for name in self._queue:
                self._waiting.began(name)
        if self._lanes:
            self._quiet.clear()
        else:
            self._quiet.set()

    async def _run(self, name: str) -> None:
        try:
            turn = await self._turn(name)
        except asyncio.CancelledError:
            self._running -= 1
            self._forget(name)
            raise
        except GatewayError as error:
            _log.warning("lane.failed", chat=name, reason=error.detail)
            turn = Turn(again=True, delay_s=self._after_defect_s)
        except Exception:  # noqa: BLE001 - a turn is other code; its defects end here
            # A defect in one lane's turn must not take the lane out of service, nor spin.
            _log.exception("lane.failed", chat=name)
            turn = Turn(again=True, delay_s=self._after_defect_s)
        self._running -= 1
        self._settle(name, turn)

    def _settle(self, name: str, turn: Turn) -> None:
        lane = self._lanes[name]
        if not turn.for_place:
            self._tell_ended(name)
        if self._stopping or not (turn.again or lane.woken):
            self._forget(name)
        elif turn.for_place:
            self._await_place(name, lane, turn.delay_s)
        elif turn.delay_s > 0:
            self._lanes[name] = _Lane("resting", self._clock.monotonic())
            self._tasks.start(self._rest(name, turn.delay_s), name=f"{name}.rest")
        else:
            self._line_up(name)  # at the end: a busy lane lets the others pass
        if not turn.for_place:
            self._line_up_placeless()  # a worker may have become free
        self._dispatch()

    def _await_place(self, name: str, lane: _Lane, longest_s: float) -> None:
        since = self._clock.monotonic() if lane.waits_since is None else lane.waits_since
        self._lanes[name] = _Lane("waiting", since, waits_since=since)
        self._placeless[name] = None
        if self._waiting is not None:
            self._waiting.began(name)
        self._tasks.start(self._try_again(name, longest_s), name=f"{name}.place")

    async def _try_again(self, name: str, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        if name in self._placeless:
            self._line_up_placeless()
            self._dispatch()

    async def _rest(self, name: str, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        lane = self._lanes.get(name)
        if lane is not None and lane.state == "resting":
            self._line_up(name)
            self._dispatch()

    def _tell_ended(self, name: str) -> None:
        if self._waiting is not None:
            self._waiting.ended(name)

    def _forget(self, name: str) -> None:
        self._lanes.pop(name, None)
        self._queue.pop(name, None)
        self._placeless.pop(name, None)
        self._tell_ended(name)
        self._on_empty(name)
        if not self._lanes:
            self._quiet.set()
