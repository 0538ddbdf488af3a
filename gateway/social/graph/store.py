"""Persistence of drafts."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from gateway.social.graph.models import Draft
from gateway.social.schema import social_draft
from shared.storage import Database

_draft = social_draft.c


class DraftStore:
    """Reads and writes drafts; each is a tenant's own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, draft: Draft) -> None:
        """Keep a draft."""
        values = {name: getattr(draft, name) for name in Draft.__slots__}
        await self._database.write(lambda c: c.execute(social_draft.insert().values(**values)))

    async def get(self, tenant: str, draft_id: str) -> Draft | None:
        """A tenant's draft."""
        statement = select(social_draft).where((_draft.draft_id == draft_id) & (_draft.tenant == tenant))
        row = await self._database.read(lambda c: c.execute(statement).first())
        return None if row is None else Draft(**{name: getattr(row, name) for name in Draft.__slots__})

    async def became(self, draft_id: str, post_id: str) -> None:
        """It is a publication now."""
        here = _draft.draft_id == draft_id
        await self._database.write(lambda c: c.execute(social_draft.update().where(here).values(post_id=post_id)))

    async def forget(self, before: datetime) -> int:
        """Drop old drafts; says how many."""
        here = _draft.created_at < before
        return await self._database.write(lambda c: c.execute(social_draft.delete().where(here)).rowcount)
