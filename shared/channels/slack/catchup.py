"""What was missed: which messages of a chat nobody handed over while we were away."""

from __future__ import annotations

from shared.channels.base import ChatId, MessageId
from shared.channels.feed import Feed
from shared.channels.slack.addresses import place_of, ts_of
from shared.channels.slack.history import History
from shared.channels.slack.translate import Facts

_THREAD_LIMIT = 300


async def missed(history: History, feed: Feed, chat: ChatId, after: MessageId, *, horizon: str) -> list[Facts]:
    """Messages of a chat beyond its cursor, oldest first; of a channel with all its threads that nobody looks after.

    A thread is caught up on its own while it is fresh. One that rested for long, or is new, is found through its
    channel, which says when each of its newest messages was last answered.

    Args:
        history: where to read.
        feed: knows what was stored before.
        chat: a channel or a thread.
        after: the newest message stored of it.
        horizon: time stamp before which nothing is caught up any more.

    Raises:
        As `SlackApi.call`.
    """
    place, cursor = place_of(chat), ts_of(after)
    if place.thread:
        return await history.since(place, cursor, _THREAD_LIMIT) if cursor >= horizon else []
    floor = await feed.floor()
    threads_since = max(ts_of(floor), horizon) if floor else horizon
    found, threads = await history.channel_since(place.channel, max(cursor, horizon), threads_since=threads_since)
    for thread in threads:
        newest = await feed.newest_stored(thread.chat)
        if not newest or ts_of(newest) < horizon:
            found += await history.since(thread, threads_since, _THREAD_LIMIT)
    return sorted(found, key=lambda facts: facts.ts)
