"""Persistence of kept files."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, func, select

from gateway.social.hosting.models import StoredMedia
from gateway.social.schema import social_media
from shared.errors import Busy
from shared.storage import Database, insert_new

_media = social_media.c


class MediaStore:
    """Reads and writes kept files' rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, media: StoredMedia, *, most: int, most_bytes: int) -> None:
        """Keep a row, if there is room.

        Raises:
            Busy: too many or too large files are kept already.
        """
        values = {name: getattr(media, name) for name in StoredMedia.__slots__}

        def work(connection: Connection) -> None:
            if connection.execute(select(_media.media_id).where(_media.media_id == media.media_id)).first():
                return
            count, size = connection.execute(select(func.count(), func.coalesce(func.sum(_media.size), 0))).one()
            if count >= most or size + media.size > most_bytes:
                raise Busy("too many files wait to be posted: post, reject or cancel some first", retry_after_s=600.0)
            insert_new(connection, social_media, values)

        await self._database.write(work)

    async def get(self, media_id: str) -> StoredMedia | None:
        """A file by its id."""
        statement = select(social_media).where(_media.media_id == media_id)
        row = await self._database.read(lambda c: c.execute(statement).first())
        return None if row is None else _stored(row)

    async def every(self) -> list[StoredMedia]:
        """All files."""
        return await self._database.read(lambda c: [_stored(row) for row in c.execute(select(social_media))])

    async def count_fetch(self, media_id: str, most: int) -> bool:
        """Count a request; false when there were too many."""
        here = (_media.media_id == media_id) & (_media.fetches < most)
        values = {"fetches": _media.fetches + 1}
        return await self._database.write(
            lambda c: c.execute(social_media.update().where(here).values(**values)).rowcount == 1
        )

    async def allow_fetches(self, media_id: str) -> None:
        """Count from the beginning: a new container fetches it again."""
        here = _media.media_id == media_id
        await self._database.write(lambda c: c.execute(social_media.update().where(here).values(fetches=0)))

    async def remove(self, media_id: str) -> None:
        """Forget a file."""
        await self._database.write(lambda c: c.execute(social_media.delete().where(_media.media_id == media_id)))


def _stored(row: Row[Any]) -> StoredMedia:
    return StoredMedia(**{name: getattr(row, name) for name in StoredMedia.__slots__})
