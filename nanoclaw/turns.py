"""Which chat has its turn when a lane has: a group's channel and its threads share one agent, so they share a lane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from nanoclaw.lanes import DONE, Turn
from shared.channels.base import ChatId
from shared.channels.inbox import Inbox
from shared.channels.store.inbox import OpenChat
from shared.clock import SYSTEM_CLOCK, Clock

_SHORTEST_REST_S = 0.05


class TakeTurn(Protocol):
    """One turn of a chat."""

    def __call__(self, chat: ChatId, *, even_if_early: bool) -> Awaitable[Turn]:
        """Answer a batch; with `even_if_early` what waits for a later try is due by our clock."""
        ...


class Turns:
    """Gives a lane's turn to that of its chats whose message has waited longest.

    When something is due is stored as wall time; how long we wait for it ourselves is measured by a clock that nobody
    sets, and never longer than the longest wait there is. So a clock that jumps holds nothing up.

    Args:
        inbox: knows what waits.
        take: one turn of a chat.
        prepare: called with the chat before.
        release: called with a chat that has nothing any more.
        going_on: of some chats the one whose run an earlier process had begun; it has its turn before all others.
        longest_rest_s: longest wait before a further try.
    """

    def __init__(
        self,
        inbox: Inbox,
        take: TakeTurn,
        *,
        prepare: Callable[[ChatId], Awaitable[None]],
        release: Callable[[ChatId], None] = lambda _chat: None,
        going_on: Callable[[Collection[ChatId]], ChatId] = lambda _chats: "",
        longest_rest_s: float = 60.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.longest_rest_s = longest_rest_s
        self._inbox = inbox
        self._take = take
        self._prepare = prepare
        self._release = release
        self._going_on = going_on
        self._clock = clock
        self._chats: dict[str, set[ChatId]] = {}
        self._rests: dict[ChatId, float] = {}
        self._until_news: set[ChatId] = set()

    def belongs(self, chat: ChatId, lane: str) -> None:
        """Note that a chat waits in a lane of another name."""
        if chat != lane:
            self._chats.setdefault(lane, {lane}).add(chat)

    def forget(self, lane: str) -> None:
        """Drop what is known of a lane that has nothing any more.

        Only where the lane itself goes: during a turn a thread may be woken, and its note is what brings it a turn.
        """
        for chat in self._chats.pop(lane, {lane}):
            self._rests.pop(chat, None)
            self._until_news.discard(chat)
            self._release(chat)

    def news(self, lane: str) -> bool:
        """Somebody spoke: end the rests in a lane that a message brings forward; false when there is none."""
        brought = self._until_news & (self._chats.get(lane) or {lane})
        self._until_news -= brought
        self._rests |= dict.fromkeys(brought, self._clock.monotonic())
        return bool(brought)

    async def take(self, lane: str) -> Turn:
        """One turn of a lane."""
        chats = self._chats.get(lane) or {lane}
        if chat := self._going_on(chats):
            turn = await self._take(chat, even_if_early=False)
            return self._noted(chat, turn if turn.for_place else replace(turn, again=True))
        waiting = [open_chat for open_chat in await self._inbox.open_chats() if open_chat.chat in chats]
        now = self._clock.now()
        rested = {open_chat.chat for open_chat in waiting if self._has_rested(open_chat.chat)}
        due = [open_chat for open_chat in waiting if open_chat.due_at <= now or open_chat.chat in rested]
        if not due:
            return self._rest(waiting, now) if waiting else DONE
        chosen = min(due, key=lambda open_chat: open_chat.first_id)
        await self._prepare(chosen.chat)
        turn = self._noted(chosen.chat, await self._take(chosen.chat, even_if_early=chosen.chat in rested))
        others = [open_chat for open_chat in waiting if open_chat is not chosen]
        if turn.for_place or not others:
            return turn
        rest = self._rest(others, self._clock.now())
        return rest if not turn.again or rest.delay_s < turn.delay_s else turn

    def _rest(self, waiting: Collection[OpenChat], now: datetime) -> Turn:
        """Until the first of some chats is due."""
        delays_s = []
        for open_chat in waiting:
            due_s = min(max(0.0, (open_chat.due_at - now).total_seconds()), self.longest_rest_s)
            rest_ends = self._rests.setdefault(open_chat.chat, self._clock.monotonic() + due_s)
            delays_s.append(max(0.0, rest_ends - self._clock.monotonic()))
        return Turn(again=True, delay_s=min(delays_s))

    def _noted(self, chat: ChatId, turn: Turn) -> Turn:
        self._rests.pop(chat, None)
        self._until_news.discard(chat)
        if turn.delay_s > 0 and not turn.for_place:
            self._rests[chat] = self._clock.monotonic() + turn.delay_s
            if turn.until_news:
                self._until_news.add(chat)
        return turn

    def _has_rested(self, chat: ChatId) -> bool:
        """Whether what waits for a later try is due by our clock."""
        rest_ends = self._rests.get(chat)
        return rest_ends is not None and self._clock.monotonic() >= rest_ends - _SHORTEST_REST_S
