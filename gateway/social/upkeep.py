"""What posting does by itself from time to time: figures of published posts, files nobody needs, keys that age."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

from gateway.social.graph.authority import AuthorityKeeper
from gateway.social.graph.service import DRAFT_LIFE
from gateway.social.graph.store import DraftStore
from gateway.social.service import Social
from shared.errors import GatewayError
from shared.obs.log import get_logger

_log = get_logger(__name__)

MEASURED_FOR: Final = timedelta(days=30)
_AGAIN_AFTER: Final = timedelta(hours=20)
_STORY_LIFE: Final = timedelta(hours=24)
"""A story's figures are gone with it."""


class Upkeep:
    """Jobs of posting.

    Args:
        social: has the posts.
        drafts: containers that were never published.
        authority: whose certificate agents' commands trust.
    """

    def __init__(self, social: Social, drafts: DraftStore, authority: AuthorityKeeper) -> None:
        self._social = social
        self._drafts = drafts
        self._authority = authority

    async def measure(self) -> str:
        """Read how the posts of the last 30 days are doing; one that cannot be read is tried again the next day."""
        now, read, missed = self._social.now(), 0, 0
        for job in await self._social.store.to_measure(now - MEASURED_FOR, now - _AGAIN_AFTER):
            if job.content.story and job.published_at is not None and now - job.published_at >= _STORY_LIFE:
                continue
            try:
                figures = await self._social.read_figures(job)
            except GatewayError as error:
                missed += 1
                _log.info("social.insights_unread", job=job.id, reason=error.code)
                continue
            await self._social.store.measured(job.id, figures)
            read += 1
        return f"{read} posts read" + (f", {missed} could not be" if missed else "")

    async def renew(self) -> str:
        """Change the keys of served files and the Graph hosts' certificate when it is time."""
        now = self._social.now()
        await self._social.host.renew_keys()
        return await asyncio.to_thread(self._authority.renew, now)

    async def tidy(self) -> str:
        """Remove files and drafts that no post needs."""
        files = await self._social.host.sweep()
        drafts = await self._drafts.forget(self._social.now() - 2 * DRAFT_LIFE)
        return f"{files} files and {drafts} drafts removed"
