"""Backups in the gateway's database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, MetaData, select

from gateway.backup.models import Outcome, Record
from gateway.backup.schema import backup_table
from shared.storage import Database, upsert

_TABLE = backup_table(MetaData())


class BackupStore:
    """What is known of each tenant's newest backup."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Record]:
        """One record a tenant, by name."""
        return await self._database.read(read_records)

    async def succeeded(self, tenant: str, outcome: Outcome, now: datetime) -> None:
        """A run ended well; one without a new commit leaves the newest one's name."""
        known = {record.tenant: record for record in await self.all()}.get(tenant)
        commit = outcome.commit or (known.commit if known else "")
        await self._put(Record(tenant, now, now, commit, outcome.files, outcome.bytes, outcome.detail))

    async def failed(self, tenant: str, detail: str, now: datetime) -> None:
        """A run ended otherwise."""
        known = {record.tenant: record for record in await self.all()}.get(tenant)
        if known is None:
            await self._put(Record(tenant, now, None, "", 0, 0, detail))
        else:
            await self._put(Record(tenant, now, known.ok_at, known.commit, known.files, known.bytes, detail))

    async def _put(self, record: Record) -> None:
        values = {name: getattr(record, name) for name in Record.__slots__}
        await self._database.write(lambda connection: upsert(connection, _TABLE, values, key=["tenant"]))


def read_records(connection: Connection) -> list[Record]:
    """All rows; also of a database at rest."""
    rows = connection.execute(select(_TABLE).order_by(_TABLE.c.tenant))
    return [Record(**{name: getattr(row, name) for name in Record.__slots__}) for row in rows]
