"""An answer that grows before the reader's eyes: posted once, then edited at a rate the platform likes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from shared.channels.base import Button, ChatId, MessageId
from shared.channels.outbox import Outbox
from shared.channels.store.outbox import OutboxRow
from shared.channels.text import split_message
from shared.errors import Busy, GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.storage import Also

_log = get_logger(__name__)

EDIT_INTERVAL_S = 1.2
"""Least time between two calls. Source: Discord allows about five edits in five seconds per channel."""

_CALL_TIMEOUT_S = 10.0


class LiveMessage:
    """One streamed answer of a key (a run id): any number of `update`, one `finish`.

    Only the newest text is shown, texts in between are dropped; failures while streaming are passed over, since
    `finish` makes the final text durable and the outbox sees to it. Text beyond the platform's limit goes on in
    further messages. A second `LiveMessage` with the same key takes over the messages of the first, so that a
    run repeated after a crash edits what is there instead of posting again.

    Use as ``async with``; leaving the block without `finish` leaves the text as it stands.

    Args:
        reply_to: the message it answers, if any.
        reply_all: its further messages answer that one too.
        interval_s: least time between two calls.
        shown: what a reader sees of a text that is still growing; asked only when a call is due.
    """

    def __init__(
        self,
        outbox: Outbox,
        key: str,
        chat: ChatId,
        *,
        reply_to: MessageId = "",
        reply_all: bool = False,
        interval_s: float = EDIT_INTERVAL_S,
        shown: Callable[[str], str] = str,
    ) -> None:
        self._outbox = outbox
        self._key = key
        self._chat = chat
        self._reply_to = reply_to
        self._reply_all = reply_all
        self._interval_s = interval_s
        self._shown_of = shown
        self._text = ""
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._is_posting = False
        self._ids: dict[int, MessageId] = {}
        self._shown: dict[int, str] = {}
        self._pool = TaskPool("live")

    async def __aenter__(self) -> Self:
        for row in await self._outbox.rows(self._key):
            if row.message_id:
                self._ids[row.ordinal] = row.message_id
        self._pool.start(self._pump(), name=self._key)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    @property
    def is_visible(self) -> bool:
        """Whether the reader has seen anything of it."""
        return bool(self._ids)

    def reply_to(self, message: MessageId) -> None:
        """Let it be an answer to another message than it was begun for; too late once the reader has seen it."""
        self._reply_to = message

    def update(self, text: str) -> None:
        """Show this text, the whole answer so far, when the next edit is due."""
        self._text = text
        self._news.set()

    async def finish(self, text: str, *, buttons: tuple[Button, ...] = (), also: Also | None = None) -> list[OutboxRow]:
        """Make the final text durable and hand it to the outbox; with `also` in the same transaction.

        Returns the rows; `Outbox.deliver` waits for one of them. Empty text takes back what was shown.
        """
        await self._stop()
        drafts = self._outbox.drafts(
            self._key, self._chat, text, reply_to=self._reply_to, buttons=buttons, reply_all=self._reply_all
        )
        return await self._outbox.rewrite(self._key, drafts, shown=self._shown, also=also)

    async def _stop(self) -> None:
        """End the stream; an edit under way is awaited, lest it overtakes the final text.

        A post is not: it is in the outbox, which goes on with it and knows how to change its text afterwards.
        """
        self._closing.set()
        self._news.set()
        if self._is_posting or not await self._pool.drain(_CALL_TIMEOUT_S):
            await self._pool.close()

    async def _pump(self) -> None:
        while True:
            await self._news.wait()
            if self._closing.is_set():
                return
            self._news.clear()
            wait_s = self._interval_s
            try:
                async with asyncio.timeout(_CALL_TIMEOUT_S):
                    await self._show_newest()
            except Busy as error:
                wait_s = max(wait_s, error.retry_after_s)
                self._news.set()
            except (GatewayError, TimeoutError) as error:
                _log.debug("live.update_skipped", key=self._key, chat=self._chat, reason=str(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._closing.wait()

    async def _show_newest(self) -> None:
        """Make one call: post the first part that is not there yet, or edit the first that differs."""
        channel = self._outbox.channel(self._chat)
        parts = split_message(self._shown_of(self._text), channel.text_limit, channel.measure, channel.line_limit)
        for ordinal, part in enumerate(parts):
            if self._shown.get(ordinal) == part:
                continue
            if ordinal in self._ids:
                self._shown.pop(ordinal, None)  # unknown while the call runs
                await channel.edit(self._chat, self._ids[ordinal], part)
            else:
                reply_to = self._reply_to if ordinal == 0 or self._reply_all else ""
                self._is_posting = True
                try:
                    row = await self._outbox.put(self._key, ordinal, chat=self._chat, text=part, reply_to=reply_to)
                    self._ids[ordinal] = await self._outbox.deliver(self._key, ordinal)
                finally:
                    self._is_posting = False
                part = row.text
            self._shown[ordinal] = part
            if ordinal + 1 < len(parts):
                self._news.set()
            return
