"""What Slack delivered and what became of it: nothing is acknowledged before it is durable, nothing is taken twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from shared.channels.base import MessageId

_MOST_STORED = 5_000
_MOST_WAITING = 10_000

Acknowledge = Callable[[], Awaitable[None]]
"""Tells Slack that an envelope was taken; does nothing when its connection is gone."""


class Deliveries:
    """Envelopes on their way to the tenant. Used from one event loop only.

    Slack delivers a mention twice, as ``message`` and as ``app_mention``, and everything again that it got no
    acknowledgement for. Each message is handed on once; all its envelopes are acknowledged once it is stored.
    """

    def __init__(self) -> None:
        self._waiting: dict[MessageId, list[Acknowledge]] = {}
        self._stored: dict[MessageId, None] = {}
        self._changes: dict[MessageId, list[Acknowledge]] = {}

    def expect(self, message: MessageId, acknowledge: Acknowledge) -> Literal["new", "waiting", "stored"]:
        """Note an envelope: ``new`` must be handed on, ``waiting`` is under way, ``stored`` may be acknowledged."""
        if message in self._stored:
            return "stored"
        if message in self._waiting:
            self._waiting[message].append(acknowledge)
            return "waiting"
        self._waiting[message] = [acknowledge]
        _keep_newest(self._waiting, _MOST_WAITING)  # what is forgotten Slack delivers again
        return "new"

    async def store(self, message: MessageId) -> None:
        """Note that a message is durable, and acknowledge its envelopes."""
        self._stored[message] = None
        _keep_newest(self._stored, _MOST_STORED)
        for acknowledge in self._waiting.pop(message, []):
            await acknowledge()

    def expect_change(self, message: MessageId, acknowledge: Acknowledge) -> None:
        """Note the envelope of an edit or a deletion, which is handed on however often it comes."""
        self._changes.setdefault(message, []).append(acknowledge)
        _keep_newest(self._changes, _MOST_WAITING)

    async def change(self, message: MessageId) -> None:
        """Note that the oldest change of a message is durable, and acknowledge its envelope."""
        waiting = self._changes.get(message, [])
        acknowledge = waiting.pop(0) if waiting else None
        if not waiting:
            self._changes.pop(message, None)
        if acknowledge is not None:
            await acknowledge()


def _keep_newest(entries: dict[MessageId, list[Acknowledge]] | dict[MessageId, None], most: int) -> None:
    while len(entries) > most:
        del entries[next(iter(entries))]
