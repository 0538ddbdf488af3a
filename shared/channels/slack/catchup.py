"""What was missed: which messages of a chat nobody handed over while we were away."""

from __future__ import annotations

from dataclasses import dataclass

from shared.channels.base import ChatId, MessageId
from shared.channels.feed import Feed
from shared.channels.slack.addresses import place_of, ts_of
from shared.channels.slack.history import History
from shared.channels.slack.translate import Facts


@dataclass(frozen=True, slots=True)
class Missed:
    """What a chat's history has beyond its cursor, all oldest first.

    Attributes:
        kept: what is within the bounds.
        left_out: what was seen beside that; perhaps our own.
        is_many: there was more than the bounds allow, whatever its age.
    """

    kept: list[Facts]
    left_out: list[Facts]
    is_many: bool


async def missed(history: History, feed: Feed, chat: ChatId, after: MessageId, *, horizon: str, limit: int) -> Missed:
    """Messages of a chat beyond its cursor; of a channel with all its threads that nobody looks after.

    A thread is caught up on its own while it is fresh. One that rested for long, or is new, is found through its
    channel, which says when each of its newest messages was last answered.

    Args:
        history: where to read.
        feed: knows what was stored before.
        chat: a channel or a thread.
        after: the newest message stored of it.
        horizon: time stamp before which nothing is caught up any more.
        limit: how many of the newest messages of a channel, and of each thread, at least one.

    Raises:
        As `SlackApi.call`.
    """
    place, cursor = place_of(chat), ts_of(after)
    if place.thread:
        return _bounded(await history.since(place, cursor, limit + 1) if cursor >= horizon else [], horizon, limit)
    floor = await feed.floor()
    threads_since = max(ts_of(floor), horizon) if floor else horizon
    written, threads = await history.channel_since(
        place.channel, cursor, horizon=horizon, threads_since=threads_since, limit=limit + 1
    )
    parts = [_bounded(written, horizon, limit)]
    for thread in threads:
        newest = await feed.newest_stored(thread.chat)
        if not newest or ts_of(newest) < horizon:
            answers = await history.since(thread, ts_of(newest) if newest else threads_since, limit + 1)
            parts.append(_bounded(answers, threads_since, limit))
    return Missed(
        sorted((facts for part in parts for facts in part.kept), key=lambda facts: facts.ts),
        [facts for part in parts for facts in part.left_out],
        any(part.is_many for part in parts),
    )


def _bounded(found: list[Facts], horizon: str, limit: int) -> Missed:
    fresh = [facts for facts in found if facts.ts > horizon]
    old = [facts for facts in found if facts.ts <= horizon]
    return Missed(fresh[-limit:], old + fresh[:-limit], is_many=len(fresh) > limit)
