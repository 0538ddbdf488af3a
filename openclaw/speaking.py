"""Saying something in a chat on an operator's behalf: stored under a key first, then sent."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from openclaw.recipients import chat_of_place
from shared.channels.base import Channel, ChatId
from shared.channels.outbox import Outbox
from shared.errors import Invalid

_TARGET: Final = re.compile(r"(user|channel):(\d{1,20})")
_DELIVERY_S: Final = 20.0


class Speaker:
    """Sends operators' messages.

    Args:
        channel: the chat platform; None while there is none.
    """

    def __init__(self, outbox: Outbox, channel: Callable[[], Channel | None]) -> None:
        self._outbox = outbox
        self._channel = channel

    async def say(self, target: str, text: str, key: str) -> tuple[ChatId, str]:
        """Send a text and wait until it is there; a key used before gives the message there is.

        Args:
            target: ``channel:ID`` or ``user:ID``.
            text: of any length.
            key: what the message is known by.

        Raises:
            Invalid: this is no target.
            Unavailable: the platform is away or refuses it.
            DeadlineExceeded: not yet; it is stored and still going to be sent.
        """
        match = _TARGET.fullmatch(target.strip().removeprefix("discord:"))
        if match is None:
            raise Invalid(
                f"{target!r} names nobody: write channel:ID or user:ID (a bare number could be either)",
                code="send.target",
            )
        chat = await chat_of_place(match[0], self._channel())
        await self._outbox.post(key, chat, text)
        return chat, await self._outbox.deliver(key, timeout_s=_DELIVERY_S)
