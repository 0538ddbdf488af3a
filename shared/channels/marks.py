"""Small facts that outlive the process, in the tenant's database."""

from __future__ import annotations

from shared.channels.schema import ChannelTables
from shared.channels.store import marks as store
from shared.storage import Database


class Marks:
    """A `MarkStore` in the table `mark`."""

    def __init__(self, db: Database, tables: ChannelTables) -> None:
        self._db = db
        self._tables = tables

    async def get(self, name: str) -> str:
        """A fact, empty when there is none."""
        return await self._db.read(lambda c: store.get(c, self._tables, name))

    async def put(self, name: str, value: str) -> None:
        """Remember a fact."""
        await self._db.write(lambda c: store.put(c, self._tables, name, value))
