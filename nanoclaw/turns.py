"""Which chat has its turn when a lane has: a group's channel and its threads share one agent, so they share a lane."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nanoclaw.lanes import DONE, Turn
from shared.channels.base import ChatId
from shared.channels.inbox import Inbox
from shared.clock import SYSTEM_CLOCK, Clock


class Turns:
    """Gives a lane's turn to that of its chats whose message has waited longest.

    Args:
        inbox: knows what waits.
        take: one turn of a chat.
        prepare: called with the chat before.
    """

    def __init__(
        self,
        inbox: Inbox,
        take: Callable[[ChatId], Awaitable[Turn]],
        *,
        prepare: Callable[[ChatId], Awaitable[None]],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._inbox = inbox
        self._take = take
        self._prepare = prepare
        self._clock = clock
        self._chats: dict[str, set[ChatId]] = {}

    def belongs(self, chat: ChatId, lane: str) -> None:
        """Note that a chat waits in a lane of another name."""
        if chat != lane:
            self._chats.setdefault(lane, {lane}).add(chat)

    async def take(self, lane: str) -> Turn:
        """One turn of a lane."""
        chats = self._chats.get(lane)
        if chats is None:
            return await self._one(lane)
        waiting = [open_chat for open_chat in await self._inbox.open_chats() if open_chat.chat in chats]
        if not waiting:
            return DONE
        now = self._clock.now()
        due = [open_chat for open_chat in waiting if open_chat.due_at <= now]
        if not due:
            soonest = min(open_chat.due_at for open_chat in waiting)
            return Turn(again=True, delay_s=max(0.05, (soonest - now).total_seconds()))
        chosen = min(due, key=lambda open_chat: open_chat.first_id)
        turn = await self._one(chosen.chat)
        others = [open_chat.due_at for open_chat in waiting if open_chat is not chosen]
        if not others:
            return turn
        delay_s = max(0.0, (min(others) - self._clock.now()).total_seconds())
        return Turn(again=True, delay_s=min(delay_s, turn.delay_s) if turn.again else delay_s)

    async def _one(self, chat: ChatId) -> Turn:
        await self._prepare(chat)
        return await self._take(chat)
