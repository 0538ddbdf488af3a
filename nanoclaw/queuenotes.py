"""Telling a chat that it waits for a place: one message, kept up to date, gone when its turn comes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nanoclaw.lanes import LaneView
from shared.channels.base import ChatId
from shared.channels.inbox import Inbox
from shared.channels.outbox import Outbox
from shared.errors import GatewayError
from shared.ids import new_id
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

_PREFIX = "queued_"


class QueueNotes:
    """Is told by the lanes who waits (`lanes.Waiting`), and tells the people.

    A note goes through the outbox, so that one a crash left behind is known and taken back at the next start.

    Args:
        after_s: how long a lane waits before its chat is told, and how often the position is looked at afterwards.
        lane_of: the lane of a chat and the chat it is a thread of.
        look: a lane, for its position.
    """

    def __init__(
        self,
        inbox: Inbox,
        outbox: Outbox,
        *,
        after_s: float,
        lane_of: Callable[[ChatId, ChatId], str],
        look: Callable[[str], LaneView | None],
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._after_s = after_s
        self._lane_of = lane_of
        self._look = look
        self._waits: dict[str, asyncio.Event] = {}
        self._tasks = TaskPool("nanoclaw.queue-notes")

    def began(self, lane: str) -> None:
        """A lane waits; called any number of times."""
        if lane not in self._waits:
            self._waits[lane] = asyncio.Event()
            self._tasks.start(self._accompany(lane, self._waits[lane]), name=lane)

    def ended(self, lane: str) -> None:
        """A lane does not wait any more; also for one that never did."""
        if (over := self._waits.pop(lane, None)) is not None:
            over.set()

    async def withdraw_all(self) -> None:
        """Take back what an earlier process left; call before anybody waits."""
        for key in await self._outbox.shown_keys(_PREFIX):
            await self._outbox.withdraw(key)

    async def close(self) -> None:
        """Leave the notes as they are: their messages still wait, for the next start."""
        await self._tasks.close()

    async def _accompany(self, lane: str, over: asyncio.Event) -> None:
        key, shown = new_id("queued"), ""
        try:
            while not await _is_set_within(over, self._after_s):
                text = self._text(lane)
                chat = await self._chat_of(lane)
                if over.is_set() or not text or not chat or text == shown:
                    continue
                drafts = self._outbox.drafts(key, chat, text)
                await self._outbox.rewrite(key, drafts, shown={0: shown} if shown else {})
                shown = text
            if shown:
                await self._outbox.withdraw(key)
        except GatewayError as error:
            _log.warning("queue_note.failed", lane=lane, reason=error.detail)

    def _text(self, lane: str) -> str:
        view = self._look(lane)
        if view is None or not view.position:
            return ""
        return f"Queued, position {view.position}: all agents are busy. I will answer as soon as one is free."

    async def _chat_of(self, lane: str) -> ChatId:
        """Where the oldest message that waits was written."""
        for chat in await self._inbox.open_chats():
            if self._lane_of(chat.chat, chat.parent) == lane:
                return chat.chat
        return ""


async def _is_set_within(event: asyncio.Event, limit_s: float) -> bool:
    try:
        async with asyncio.timeout(limit_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
