"""How chats and messages of Slack are named here.

A channel is ``sl:C024BE91L``, a thread in it ``sl:C024BE91L:1700000000.000100`` after the message it hangs on. Slack's
time stamp names a message within its channel only, so a message id carries both: ``1700000000.000200@C024BE91L``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.channels.base import ChatId, MessageId
from shared.errors import Invalid

PREFIX = "sl:"

_CHAT = re.compile(r"sl:([CDG][A-Z0-9]{1,20})(?::(\d{10}\.\d{6}))?")
_MESSAGE = re.compile(r"(\d{10}\.\d{6})@[CDG][A-Z0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class Place:
    """Where to write: a channel, or a thread in it.

    Attributes:
        thread: time stamp of the message the thread hangs on; empty for the channel itself.
    """

    channel: str
    thread: str = ""

    @property
    def chat(self) -> ChatId:
        """Its address."""
        return f"{PREFIX}{self.channel}:{self.thread}" if self.thread else f"{PREFIX}{self.channel}"


def place_of(chat: ChatId) -> Place:
    """The place of a chat address.

    Raises:
        Invalid: it is not an address on Slack.
    """
    if (match := _CHAT.fullmatch(chat)) is None:
        raise Invalid(f"{chat!r} is not the address of a chat on Slack, such as sl:C024BE91L")
    return Place(match[1], match[2] or "")


def message_id(channel: str, ts: str) -> MessageId:
    """The id of a message."""
    return f"{ts}@{channel}"


def ts_of(message: MessageId) -> str:
    """Slack's time stamp in a message id.

    Raises:
        Invalid: it is not the id of a message on Slack.
    """
    if (match := _MESSAGE.fullmatch(message)) is None:
        raise Invalid(f"{message!r} is not the id of a message on Slack")
    return match[1]


def ts_at(moment: datetime) -> str:
    """The time stamp a message of that moment would have."""
    return f"{moment.timestamp():.6f}"


def moment_of(ts: str) -> datetime:
    """When a message was written, aware UTC; good to a microsecond."""
    return datetime.fromtimestamp(float(ts), UTC)
