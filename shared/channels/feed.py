"""Handing the tenant what happens: in order within each chat, and what was missed before what came after it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from shared.channels.base import ChannelHandlers, ChatId, Gap, InboundMessage, MessageId, age_order
from shared.errors import GatewayError
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

_QUEUE_LIMIT = 1000
_CATCH_UPS_AT_ONCE = 4
_DEFECT_TRIES = 3

FetchMissed = Callable[[ChatId, MessageId], AsyncIterator[InboundMessage]]
"""Messages of a chat after an id, oldest first."""


@dataclass(frozen=True, slots=True)
class _Happening:
    """Something to hand over: a new message, the new reading of one, messages left out, or else that one is gone."""

    chat: ChatId
    id: MessageId
    message: InboundMessage | None = None
    is_new: bool = False
    gap: Gap | None = None


@dataclass(slots=True)
class _Lane:
    """One chat: what waits, up to which session it was caught up, and what that brought."""

    session: int
    caught_up: set[MessageId] = field(default_factory=set)
    queue: deque[_Happening] = field(default_factory=deque)
    is_running: bool = False


class Feed:
    """Feeds `ChannelHandlers.on_message`, `on_edit` and `on_delete`.

    A session is as long as the platform surely delivers everything (on Discord the life of one identify); between two
    of them events are lost. So in a new session every known chat is first caught up from its history, and its live
    messages wait meanwhile; the stored cursor of a chat therefore never passes over a message that was missed.

    Args:
        handlers: whom to feed.
        fetch: reads a chat's history.
        pool: where the lanes run.
        name: for log lines.

    Attributes:
        dropped: what could not be handed over after all its tries, for the channel's status.
    """

    def __init__(self, handlers: ChannelHandlers, fetch: FetchMissed, pool: TaskPool, *, name: str) -> None:
        self._handlers = handlers
        self._fetch = fetch
        self._pool = pool
        self._name = name
        self.dropped = 0
        self._session = 0
        self._lanes: dict[ChatId, _Lane] = {}  # those that have something to do
        self._caught_up: set[ChatId] = set()  # in this session
        self._cursors: asyncio.Task[dict[ChatId, MessageId]] | None = None
        self._begun = asyncio.Event()
        self._slots = asyncio.Semaphore(_CATCH_UPS_AT_ONCE)

    def begin_session(self) -> None:
        """Catch up before anything else; call before the first message of the session is pushed."""
        self._session += 1
        self._caught_up.clear()
        begun, self._begun = self._begun, asyncio.Event()
        begun.set()
        if self._handlers.known_chats is None:
            return
        self._cursors = self._pool.start(self._load_cursors(), name="cursors")
        self._pool.start(self._touch_known(self._cursors), name="catch-up")

    def push(self, message: InboundMessage) -> None:
        """Take a live message; does not wait, so the order of calls is the order of handing over."""
        self._take(_Happening(message.chat, message.id, message, is_new=True))

    def push_edit(self, message: InboundMessage) -> None:
        """Take a message as it reads after its author changed it, in its place among the others."""
        if self._handlers.on_edit is not None:
            self._take(_Happening(message.chat, message.id, message))

    def push_delete(self, chat: ChatId, message: MessageId) -> None:
        """Take the news that a message is gone, in its place among the others."""
        if self._handlers.on_delete is not None:
            self._take(_Happening(chat, message))

    def _take(self, happening: _Happening) -> None:
        lane = self._lane(happening.chat)
        if len(lane.queue) >= _QUEUE_LIMIT:
            # The tenant cannot keep up, or its store fails: forget what waits and read it again from history,
            # which tells what messages say by now, but not that stored ones changed or are gone.
            _log.warning("channel.feed_overflowed", channel=self._name, chat=happening.chat)
            changes = [waiting for waiting in (*lane.queue, happening) if not waiting.is_new]
            lane.queue = deque(changes[-_QUEUE_LIMIT // 2 :])
            self.begin_session()
            return
        lane.queue.append(happening)
        self._wake(happening.chat, lane)

    def touch(self, chat: ChatId) -> None:
        """See to it that a chat is caught up in this session."""
        if chat not in self._caught_up:
            self._wake(chat, self._lane(chat))

    async def left_out(self, gap: Gap) -> None:
        """Say that missed messages are not handed over; returns once the tenant knows."""
        _log.warning("channel.messages_left_out", channel=self._name, chat=gap.chat, reason=gap.reason)
        if self._handlers.on_gap is not None:
            await self._hand_over(_Happening(gap.chat, gap.after, gap=gap))

    async def floor(self) -> MessageId:
        """The newest message stored of any chat when the session began, empty when there is none."""
        cursors = await self._known()
        return max(cursors.values(), key=age_order, default="")

    async def newest_stored(self, chat: ChatId) -> MessageId:
        """The newest message of a chat stored before this session, empty when there is none."""
        return (await self._known()).get(chat, "")

    async def _known(self) -> dict[ChatId, MessageId]:
        return {} if self._cursors is None else await asyncio.shield(self._cursors)

    def _lane(self, chat: ChatId) -> _Lane:
        is_missed = self._cursors is not None and chat not in self._caught_up
        return self._lanes.setdefault(chat, _Lane(0 if is_missed else self._session))

    def _wake(self, chat: ChatId, lane: _Lane) -> None:
        if not lane.is_running:
            lane.is_running = True
            self._pool.start(self._run(chat, lane), name=chat)

    async def _load_cursors(self) -> dict[ChatId, MessageId]:
        backoff = Backoff(base_s=0.2, ceiling_s=5)
        while True:
            try:
                return await self._handlers.known_chats() if self._handlers.known_chats else {}
            except GatewayError as error:
                _log.warning("channel.cursors_unreadable", channel=self._name, reason=error.detail)
                await asyncio.sleep(backoff.next_delay_s())

    async def _touch_known(self, cursors: asyncio.Task[dict[ChatId, MessageId]]) -> None:
        for chat in await asyncio.shield(cursors):
            self.touch(chat)

    async def _run(self, chat: ChatId, lane: _Lane) -> None:
        try:
            while True:
                if lane.session != self._session and self._cursors is not None:
                    session = self._session
                    async with self._slots:
                        lane.caught_up = await self._catch_up(chat)
                    lane.session = session
                    if session == self._session:
                        self._caught_up.add(chat)
                elif lane.queue:
                    happening = lane.queue.popleft()
                    if not (happening.is_new and happening.id in lane.caught_up):
                        await self._hand_over(happening)
                else:
                    del self._lanes[chat]  # what is heard of twice from here on, the inbox knows
                    return
        finally:
            lane.is_running = False

    async def _catch_up(self, chat: ChatId) -> set[MessageId]:
        """Hand over what the chat's history has beyond its cursor, until it was read to its end; returns the ids."""
        session = self._session
        cursors = await self._known()
        cursor = cursors.get(chat) or await self.floor()
        backoff = Backoff(base_s=1.0, ceiling_s=30.0)
        handed_over = set[MessageId]()
        while cursor and session == self._session:
            try:
                async for message in self._fetch(chat, cursor):
                    await self._hand_over(_Happening(chat, message.id, message, is_new=True))
                    cursor = message.id
                    handed_over.add(message.id)
            except GatewayError as error:
                if not error.retryable:
                    _log.info("channel.catch_up_refused", channel=self._name, chat=chat, reason=error.detail)
                    break
                _log.debug("channel.catch_up_postponed", channel=self._name, chat=chat, reason=error.detail)
                with suppress(TimeoutError):
                    async with asyncio.timeout(backoff.next_delay_s()):
                        await self._begun.wait()  # a new session is worth a try at once
            else:
                break
        if handed_over:
            _log.info("channel.caught_up", channel=self._name, chat=chat, messages=len(handed_over))
        return handed_over

    async def _hand_over(self, happening: _Happening) -> None:
        """Give the tenant something until it has it: its store may fail for a while, a defect is tried thrice."""
        backoff = Backoff(base_s=0.2, ceiling_s=5.0)
        where = {"channel": self._name, "chat": happening.chat, "message": happening.id}
        while True:
            try:
                await self._tell(happening)
            except GatewayError as error:
                _log.warning("channel.message_not_stored", **where, reason=error.detail)
            except Exception:  # noqa: BLE001 - one message's defect must not stop the chat
                if backoff.attempts >= _DEFECT_TRIES - 1:
                    self.dropped += 1
                    _log.exception("channel.message_dropped", **where)
                    return
            else:
                return
            await asyncio.sleep(backoff.next_delay_s())

    async def _tell(self, happening: _Happening) -> None:
        handlers, message = self._handlers, happening.message
        if happening.gap is not None and handlers.on_gap is not None:
            await handlers.on_gap(happening.gap)
        elif message is not None and happening.is_new:
            await handlers.on_message(message)
        elif message is not None and handlers.on_edit is not None:
            await handlers.on_edit(message)
        elif message is None and handlers.on_delete is not None:
            await handlers.on_delete(happening.chat, happening.id)
