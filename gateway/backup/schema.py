"""The newest backup of each tenant."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, Text

from shared.storage import UtcTime


def backup_table(metadata: MetaData) -> Table:
    """One row a tenant."""
    return Table(
        "backup",
        metadata,
        Column("tenant", String(31), primary_key=True),
        Column("at", UtcTime, nullable=False),
        Column("ok_at", UtcTime, nullable=True),
        Column("commit", String(64), nullable=False),
        Column("files", Integer, nullable=False),
        Column("bytes", BigInteger, nullable=False),
        Column("detail", Text, nullable=False),
    )
