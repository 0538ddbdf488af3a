"""Messages that waited while we were not listening are read again before they are answered.

Discord does not tell afterwards that a message was edited or deleted during an outage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from shared.channels.base import Channel, ChatId, InboundMessage, MessageId
from shared.channels.inbox import Inbox
from shared.errors import GatewayError
from shared.obs.log import get_logger

_log = get_logger(__name__)

_LIMIT = 20
"""Messages read again at most, the newest; each is a call to the platform."""
_ONLINE_WAIT_S = 10.0
_PATIENCE_S = 15.0
"""Then the messages are answered as they were stored."""


class Rereading:
    """Brings what a chat has waiting up to date, once for every time its channel came online.

    Args:
        on_edit: told of a message that reads differently now.
        on_delete: told of one that is gone.
    """

    def __init__(
        self,
        inbox: Inbox,
        channel_for: Callable[[ChatId], Channel],
        *,
        on_edit: Callable[[InboundMessage], Awaitable[None]],
        on_delete: Callable[[ChatId, MessageId], Awaitable[None]],
    ) -> None:
        self._inbox = inbox
        self._channel_for = channel_for
        self._on_edit = on_edit
        self._on_delete = on_delete
        self._done: dict[ChatId, object] = {}

    async def refresh(self, chat: ChatId) -> None:
        """Read again what was stored before the channel came online; what cannot be read stays as it is."""
        channel = self._channel_for(chat)
        if not await channel.wait_online(_ONLINE_WAIT_S):
            return
        online_since = channel.status.since
        if online_since is None or self._done.get(chat) == online_since:
            return
        waiting = await self._inbox.waiting(chat)
        stale = [item.message for item in waiting if item.received_at < online_since and not item.message.task_run]
        try:
            async with asyncio.timeout(_PATIENCE_S):
                for message in stale[-_LIMIT:]:
                    await self._reread(channel, message)
        except (GatewayError, TimeoutError) as error:
            _log.info("message.reread_failed", chat=chat, reason=str(error) or "it took too long")
            return
        self._done[chat] = online_since

    def forget(self, chat: ChatId) -> None:
        """Nothing waits in a chat any more, so nothing of it is stale."""
        self._done.pop(chat, None)

    async def _reread(self, channel: Channel, message: InboundMessage) -> None:
        now = await channel.reread(message.chat, message.id)
        if now is None:
            await self._on_delete(message.chat, message.id)
        elif now.text != message.text:
            await self._on_edit(now)
