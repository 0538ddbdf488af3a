"""From ``channel:<id>`` or ``user:<id>`` to the chat that is meant, among those the bot may speak in by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from openclaw.config import OpenClawPolicy
from openclaw.pairing import DmPairing
from openclaw.sessions import Sessions, discord_session
from shared.channels.base import Channel, ChatId, DirectChats
from shared.errors import Denied, Invalid

_PLACE: Final = re.compile(r"(channel|user):(\d{1,20})", re.ASCII)


async def chat_of_place(to: str, channel: Channel | None) -> ChatId:
    """The chat of a place, whoever asks.

    Args:
        to: ``channel:<id>`` or ``user:<id>``.
        channel: the connector, connected or not; None when no bot is configured.

    Raises:
        Invalid: it is no name of a place, or there is no bot that could ever write there.
        Unavailable: the platform is away; try later.
        NotFound: there is no such person.
        Denied: they take no messages from us.
    """
    kind, number = _kind_and_number(to)
    if channel is not None and kind == "channel":
        return f"dc:{number}"
    connector: object = channel
    if isinstance(connector, DirectChats):
        return await connector.direct_chat(number)
    raise Invalid(f"no Discord bot is configured that could write to {to}", code="recipient.no_bot")


def _kind_and_number(to: str) -> tuple[str, str]:
    place = _PLACE.fullmatch(to)
    if place is None:
        raise Invalid("a place is written channel:<id> or user:<id>", code="recipient.form")
    return place[1], place[2]


class Recipients:
    """Resolves the names of places.

    A channel is known once somebody allowed spoke to the bot there; a person is known when the policy lists them, as
    somebody whose direct messages are answered or as an approver, or when they were paired.
    """

    def __init__(
        self, policy: OpenClawPolicy, sessions: Sessions, pairing: DmPairing, channel: Callable[[], Channel | None]
    ) -> None:
        self._policy = policy
        self._sessions = sessions
        self._pairing = pairing
        self._channel = channel

    def knows(self, to: str) -> bool:
        """Whether a place may be written to without having been asked from there.

        Raises:
            Invalid: it is no name of a place.
        """
        kind, number = _kind_and_number(to)
        if kind == "channel":
            return self._sessions.get(discord_session(f"dc:{number}", "guild")) is not None
        allowed = {*self._policy.discord.allow_from, *self._policy.approvals.approvers, *self._pairing.allowed}
        return number in allowed

    async def chat(self, to: str) -> ChatId:
        """The chat of a place.

        Raises:
            Invalid: it is no name of a place, or no bot is configured.
            Denied: the bot does not speak there by itself.
            Unavailable: the platform is away.
        """
        if not self.knows(to):
            raise Denied(f"{to} is nobody this bot writes to by itself", code="recipient.unknown")
        return await chat_of_place(to, self._channel())
