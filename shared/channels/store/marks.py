"""Statements of the marks: small facts by name."""

from __future__ import annotations

from sqlalchemy import Connection, select

from shared.channels.schema import ChannelTables
from shared.storage import upsert


def get(connection: Connection, tables: ChannelTables, name: str) -> str:
    """A stored fact, empty when there is none."""
    return connection.execute(select(tables.mark.c.value).where(tables.mark.c.name == name)).scalar() or ""


def put(connection: Connection, tables: ChannelTables, name: str, value: str) -> None:
    """Store a fact."""
    upsert(connection, tables.mark, {"name": name, "value": value}, key=["name"])
