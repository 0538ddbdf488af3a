"""Reading what was written in a chat: for catching up, and for finding our own messages again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from shared.channels.slack.addresses import Place
from shared.channels.slack.translate import Facts, Me, read_message
from shared.channels.slack.webapi import SlackApi
from shared.errors import Invalid
from shared.obs.log import get_logger

_log = get_logger(__name__)

_SEARCH_LIMIT = 2_000
"""How far back a message of ours is looked for; as many answers of a thread are read to find its newest."""
_ROOTS = 200
"""How many of a channel's newest messages are looked at for threads that go on."""


class History:
    """What the chats of a workspace hold, oldest first where not said otherwise."""

    def __init__(self, api: SlackApi) -> None:
        self._api = api

    async def entries(
        self, place: Place, *, oldest: str = "", limit: int, metadata: bool = False
    ) -> AsyncGenerator[Mapping[str, Any], None]:
        """Raw entries of a chat: a channel's newest first, a thread's oldest first and without what it hangs on.

        Raises:
            As `SlackApi.call`.
        """
        method = "conversations.replies" if place.thread else "conversations.history"
        limit = _SEARCH_LIMIT if place.thread else limit
        pages = self._api.messages(
            method, place.channel, thread=place.thread, oldest=oldest, limit=limit, metadata=metadata
        )
        async with aclosing(pages):
            async for entry in pages:
                if not place.thread or entry.get("ts") != place.thread:
                    yield entry

    async def sent(self, place: Place, me: Me, *, oldest: str = "") -> AsyncGenerator[Mapping[str, Any], None]:
        """Raw entries of our own messages with their metadata, in the order of `entries`."""
        async with aclosing(self.entries(place, oldest=oldest, limit=_SEARCH_LIMIT, metadata=True)) as entries:
            async for entry in entries:
                if entry.get("user") == me.id or (me.bot_id and entry.get("bot_id") == me.bot_id):
                    yield entry

    async def one(self, place: Place, ts: str) -> Facts | None:
        """A message as it reads now; None when there is none.

        Raises:
            NotFound: not even the thread it stood in is there.
        """
        reply = await self._api.call(
            "read a message",
            "conversations.replies" if place.thread else "conversations.history",
            channel=place.channel,
            ts=place.thread,
            oldest=ts,
            latest=ts,
            inclusive=True,
            limit=2,
        )
        found = reply.body.get("messages")
        entries = [entry for entry in (found if isinstance(found, list) else []) if isinstance(entry, Mapping)]
        entry = next((entry for entry in entries if entry.get("ts") == ts), None)
        return None if entry is None else _readable(entry, place.channel)

    async def since(self, place: Place, ts: str, limit: int) -> list[Facts]:
        """Messages of a chat after a time stamp; when there are more than `limit`, the newest ones."""
        async with aclosing(self.entries(place, oldest=ts, limit=limit)) as entries:
            found = [facts async for entry in entries if (facts := _readable(entry, place.channel))]
        if len(found) >= limit:
            _log.warning("slack.history_truncated", chat=place.chat, kept=limit)
        return sorted(found, key=lambda facts: facts.ts)[-limit:]

    async def channel_since(
        self, channel: str, ts: str, *, horizon: str, threads_since: str, limit: int
    ) -> tuple[list[Facts], list[Place]]:
        """Messages of a channel after a time stamp, oldest first, and the threads with answers after another one.

        Args:
            channel: where.
            ts: only messages after it.
            horizon: older ones only as far as `_ROOTS` goes: they tell whether anything is left out.
            threads_since: and threads with answers after this.
            limit: how many of the newest messages are read; those of `_ROOTS` are in any case.
        """
        found: list[Facts] = []
        threads: list[Place] = []
        count = 0
        async with aclosing(self.entries(Place(channel), limit=max(limit, _ROOTS))) as entries:
            async for entry in entries:
                count += 1
                if (facts := _readable(entry, channel)) is None:
                    continue
                if str(entry.get("latest_reply") or "") > threads_since:
                    threads.append(Place(channel, facts.ts))
                if facts.ts > ts:
                    found.append(facts)
                if count >= _ROOTS and facts.ts <= max(ts, horizon):
                    break
        return found[::-1], threads


def _readable(entry: Mapping[str, Any], channel: str) -> Facts | None:
    try:
        return read_message(entry, channel)
    except Invalid:
        return None
