"""What a tenant shows its approvers and its Control UI, handed out as soon as it changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from gateway.social.service import Social
from gateway.social.views import card_of
from shared.gatewayclient.models import PostCard, seen_mark

RECENT = timedelta(days=3)
"""Cards of posts that changed within this time are kept true; older ones stay as they are."""

_MOST = 200
_LOOK_S = 5.0


async def asked_cards(social: Social, tenant: str, *, seen: str, wait_s: float) -> list[PostCard]:
    """All recent cards of a tenant; those of posts that nobody is asked about are shown nowhere.

    Args:
        social: has the posts.
        tenant: whose.
        seen: `seen_mark` of what the caller has; when it is still true, the answer waits for a change.
        wait_s: at most so many seconds.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while True:
        news = social.changes.next
        jobs = await social.store.changed(tenant, social.now() - RECENT, _MOST)
        cards = [card_of(job, social.policy.rule(job.tenant, job.network)) for job in jobs]
        left = deadline - loop.time()
        if seen_mark(cards) != seen or left <= 0 or social.changes.is_closed:
            return cards
        # Another process on the same database does not wake us.
        await social.changes.wait(news, min(left, _LOOK_S))
