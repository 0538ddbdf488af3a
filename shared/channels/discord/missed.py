"""What was missed in a place on Discord, within bounds, and whether more was."""

from __future__ import annotations

from dataclasses import dataclass

import discord

_LOOK_BACK = 100
"""Messages before the bounds that are looked at for somebody's: one page of Discord's."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Messages beyond a chat's cursor, all newest first.

    Attributes:
        kept: those within the bounds.
        left_out: the newest of those that are not, perhaps our own.
        is_many: there were more than the bounds allow, whatever their age.
    """

    kept: list[discord.Message]
    left_out: list[discord.Message]
    is_many: bool


async def read_missed(place: discord.abc.Messageable, cursor: int, *, horizon: int, limit: int) -> Missed:
    """Read what came after a message; one request more only when the bounds may have cut something off.

    Args:
        place: where to read.
        cursor: id of the newest message known of it.
        horizon: id before which nothing is caught up any more.
        limit: how many of the newest, at least one.
    """
    newest = getattr(place, "last_message_id", None)
    start = max(cursor, horizon)
    kept = [m async for m in place.history(limit=limit, after=discord.Object(start), oldest_first=False)]
    is_many = len(kept) == limit
    bound = kept[-1].id if is_many else start + 1
    if bound <= cursor + 1 or (newest is not None and newest <= cursor):
        return Missed(kept, [], is_many)
    before, after = discord.Object(bound), discord.Object(cursor)
    beyond = place.history(limit=_LOOK_BACK, before=before, after=after, oldest_first=False)
    return Missed(kept, [message async for message in beyond], is_many)
