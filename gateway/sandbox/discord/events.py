"""Dispatches on their way to whoever may see them, and the log of what the bots did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from gateway.sandbox.discord.models import Channel, Intent, Json
from gateway.sandbox.discord.state import State
from gateway.sandbox.discord.wire import Viewer
from shared.errors import DeadlineExceeded

NO_INTENT = Intent(0)
KEPT_RECORDS = 5_000


@dataclass(frozen=True, slots=True)
class Event:
    """One gateway event before it is written for each viewer.

    Attributes:
        name: the dispatch's ``t``.
        render: writes its ``d`` for a viewer.
        channel: only those who can see it get the event.
        guild_id: for events without a channel: only its members get it.
        guild_intent: needed when it happens in a guild; empty means none.
        dm_intent: needed when it happens in a DM.
        only: if set, nobody else gets it, and intents do not matter.
    """

    name: str
    render: Callable[[Viewer], Json]
    channel: Channel | None = None
    guild_id: int | None = None
    guild_intent: Intent = NO_INTENT
    dm_intent: Intent = NO_INTENT
    only: frozenset[int] | None = None

    def reaches(self, state: State, viewer: Viewer) -> bool:
        """Whether a session of this viewer gets the event."""
        if self.only is not None:
            return viewer.user_id in self.only
        is_dm = self.channel is not None and self.channel.is_dm
        needed = self.dm_intent if is_dm else self.guild_intent
        if needed and not viewer.intents & needed:
            return False
        if self.channel is not None:
            return state.can_see(viewer.user_id, self.channel)
        return state.member(self.guild_id, viewer.user_id) is not None


@dataclass(frozen=True, slots=True)
class Record:
    """Something a bot did, as the people's side saw it.

    Attributes:
        seq: counts up from 1.
        at: wall time.
        kind: ``message.create``, ``message.edit``, ``message.delete``, ``reaction.add``, ``reaction.remove``,
            ``typing``, ``interaction.callback``, ``interaction.followup``, ``commands.put``, ``thread.create``,
            ``gateway.identify``, ``gateway.resume`` or ``gateway.disconnect``.
        bot_id: whose bot.
        channel_id: where, if anywhere.
        data: the wire object, or the facts.
    """

    seq: int
    at: datetime
    kind: str
    bot_id: int
    channel_id: int | None = None
    data: Json = field(default_factory=dict)

    @property
    def content(self) -> str:
        """A message record's text."""
        return str(self.data.get("content") or "")


class ActionLog:
    """The newest records, and a way to wait for one."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._count = 0
        self._waiters: set[tuple[Callable[[Record], bool], asyncio.Future[Record]]] = set()

    @property
    def last_seq(self) -> int:
        """The newest record's number, for `wait`'s `after`."""
        return self._count

    def add(self, at: datetime, kind: str, bot_id: int, channel_id: int | None, data: Json) -> Record:
        """Append a record and wake whoever waits for it."""
        self._count += 1
        record = Record(self._count, at, kind, bot_id, channel_id, data)
        self.records.append(record)
        del self.records[:-KEPT_RECORDS]
        for waiter in list(self._waiters):
            predicate, future = waiter
            if not future.done() and predicate(record):
                future.set_result(record)
        return record

    def since(self, after: int) -> list[Record]:
        """The kept records numbered above `after`."""
        return [record for record in self.records if record.seq > after]

    async def wait(self, predicate: Callable[[Record], bool], timeout_s: float, *, after: int = 0) -> Record:
        """The first record above `after` that fits, now or within `timeout_s` seconds.

        Raises:
            DeadlineExceeded: none came; the detail lists the newest records.
        """
        for record in self.since(after):
            if predicate(record):
                return record
        future: asyncio.Future[Record] = asyncio.get_running_loop().create_future()
        waiter = (predicate, future)
        self._waiters.add(waiter)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            seen = ", ".join(f"{r.kind} {r.content[:40]!r}" for r in self.since(after)[-8:]) or "nothing"
            raise DeadlineExceeded(f"no bot did that within {timeout_s} s; the bots did: {seen}") from None
        finally:
            self._waiters.discard(waiter)
