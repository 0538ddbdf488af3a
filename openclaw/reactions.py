"""Reactions on a message that is answered: that it was seen, what the agent does, how it ended. A nicety throughout.

Source of emoji, pauses and order: OpenClaw 2026.2.26 (reference §4.6).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from openclaw.config import DiscordPolicy
from shared.channels.base import Channel, InboundMessage, MessageId
from shared.errors import GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

FAILED: Final = "😱"
DONE: Final = "👍"
_CODING: Final = "👨\u200d💻"
_TOOLS: Final = {"exec": _CODING, "process": _CODING, "apply_patch": _CODING, "web_fetch": "⚡", "web_search": "⚡"}
_ANY_TOOL: Final = "🔥"
_SETTLE_S: Final = 0.7
"""What lasts shorter than this is not shown."""
_DONE_HOLD_S: Final = 1.5
_MOST: Final = 500


@dataclass(eq=False)
class _Shown:
    """The one reaction of ours on a message.

    Attributes:
        wanted: what it should become.
    """

    emoji: str = ""
    wanted: str = ""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Reactions:
    """Puts reactions to messages.

    Args:
        policy: as it is now.
        tasks: where the calls go on; nobody waits for them.
    """

    def __init__(self, channel: Channel, policy: Callable[[], DiscordPolicy], tasks: TaskPool) -> None:
        self._channel = channel
        self._policy = policy
        self._tasks = tasks
        self._shown: dict[MessageId, _Shown] = {}

    def seen(self, message: InboundMessage) -> None:
        """A message is going to be answered."""
        if self._is_meant(message):
            while len(self._shown) >= _MOST:  # those that were never answered
                del self._shown[next(iter(self._shown))]
            self._shown[message.id] = _Shown()
            self._later(message, self._shown[message.id], self._policy().ack_reaction)

    def tool(self, message: InboundMessage, name: str) -> None:
        """The agent uses a tool for it."""
        if self._policy().status_reactions and (shown := self._of(message)) is not None:
            self._later(message, shown, _TOOLS.get(name, _ANY_TOOL), _SETTLE_S)

    def ended(self, messages: Sequence[InboundMessage], *, failed: bool) -> None:
        """They were answered, or could not be."""
        policy = self._policy()
        for message in messages:
            shown = self._of(message)
            self._shown.pop(message.id, None)
            if failed and message is messages[-1] and policy.ack_reaction:
                fresh = shown if shown is not None and (policy.status_reactions or policy.remove_ack) else _Shown()
                self._later(message, fresh, FAILED)
            elif shown is not None and policy.status_reactions and not failed:
                self._later(message, shown, DONE)
                self._later(message, shown, "", _DONE_HOLD_S)
            elif shown is not None and (policy.status_reactions or policy.remove_ack):
                self._later(message, shown, "")

    def _of(self, message: InboundMessage) -> _Shown | None:
        """Also of a message that an earlier process acknowledged."""
        known = self._shown.get(message.id)
        return known or (_Shown(self._policy().ack_reaction) if self._is_meant(message) else None)

    def _is_meant(self, message: InboundMessage) -> bool:
        policy, is_dm = self._policy(), message.chat_kind == "dm"
        meant = {
            "all": True,
            "off": False,
            "direct": is_dm,
            "group-all": not is_dm,
            "group-mentions": not is_dm and message.addressed,
        }[policy.ack_scope]
        return meant and bool(policy.ack_reaction)

    def _later(self, message: InboundMessage, shown: _Shown, emoji: str, after_s: float = 0.0) -> None:
        shown.wanted = emoji if after_s == 0 or emoji else shown.wanted
        self._tasks.start(self._change(message, shown, emoji, after_s), name="reaction")

    async def _change(self, message: InboundMessage, shown: _Shown, emoji: str, after_s: float) -> None:
        if after_s:
            await asyncio.sleep(after_s)
        async with shown.lock:
            if emoji == shown.emoji or (emoji and emoji != shown.wanted):
                return  # it is there, or something newer is wanted by now
            try:
                if emoji:
                    await self._channel.react(message.chat, message.id, emoji)
                before, shown.emoji = shown.emoji, emoji
                if before:
                    await self._channel.unreact(message.chat, message.id, before)
            except GatewayError as error:
                _log.debug("reaction.failed", chat=message.chat, reason=error.detail)
