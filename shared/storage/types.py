"""Column types and statements that mean the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Connection, DateTime, Dialect, Integer, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.types import TypeDecorator

BigId = BigInteger().with_variant(Integer(), "sqlite")
"""A row id that counts up by itself on both engines."""

JsonValue = JSON().with_variant(postgresql.JSONB(), "postgresql")


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time; naive values are refused, because SQLite keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time must carry its zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Give back an aware time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _dialect_insert(connection: Connection, table: Table) -> Any:  # noqa: ANN401 - two dialects, one shape
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def insert_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless its key is taken; true when it is new."""
    result = connection.execute(_dialect_insert(connection, table).values(values).on_conflict_do_nothing())
    return bool(result.rowcount == 1)


def upsert(connection: Connection, table: Table, values: dict[str, Any], *, key: Sequence[str]) -> None:
    """Insert a row, or replace its other columns when the key is taken."""
    statement = _dialect_insert(connection, table).values(values)
    rest = {name: statement.excluded[name] for name in values if name not in key}
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=rest))
