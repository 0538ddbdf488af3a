"""The gateway's database for commands that only read; they work whether or not the gateway runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.config.paths import Paths
from shared.errors import ConfigError
from shared.storage import Database


@asynccontextmanager
async def existing_database(paths: Paths) -> AsyncIterator[Database | None]:
    """The database, open inside the block; None when there is none yet, since a report must not be what creates it.

    Raises:
        ConfigError: it may not be read by this user, or cannot be opened.
    """
    if not _is_there(paths.gateway_db):
        yield None
        return
    database = Database(paths.gateway_db, migrations="gateway.migrations")
    await database.open()
    try:
        yield database
    finally:
        await database.close()


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:
        raise ConfigError(
            f"{path} may not be read by this user: run the command as the user the gateway runs as",
            code="config.database",
        ) from None
