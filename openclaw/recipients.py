"""From ``channel:<id>`` or ``user:<id>`` to the chat that is meant, among those the bot may speak in by itself."""

from __future__ import annotations

from collections.abc import Callable

from openclaw.config import OpenClawPolicy
from openclaw.pairing import DmPairing
from openclaw.sessions import Sessions, discord_session
from shared.channels.base import Channel, ChatId, DirectChats
from shared.errors import Denied, Invalid, Unavailable


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
        kind, _, number = to.partition(":")
        if kind not in {"channel", "user"} or not number.isascii() or not number.isdigit():
            raise Invalid("a place is written channel:<id> or user:<id>", code="recipient.form")
        if kind == "channel":
            return self._sessions.get(discord_session(f"dc:{number}", "guild")) is not None
        allowed = {*self._policy.discord.allow_from, *self._policy.approvals.approvers, *self._pairing.allowed}
        return number in allowed

    async def chat(self, to: str) -> ChatId:
        """The chat of a place.

        Raises:
            Invalid: it is no name of a place.
            Denied: the bot does not speak there by itself.
            Unavailable: the channel is not connected.
        """
        if not self.knows(to):
            raise Denied(f"{to} is nobody this bot writes to by itself", code="recipient.unknown")
        kind, _, number = to.partition(":")
        if kind == "channel":
            return f"dc:{number}"
        channel: object = self._channel()
        if isinstance(channel, DirectChats):
            return await channel.direct_chat(number)
        raise Unavailable("no channel is connected that can begin direct messages", code="recipient.offline")
