"""The log of web requests for ``clawgate egress log``."""

from __future__ import annotations

from typing import Any

from gateway.egress.store import EgressStore
from gateway.reading import existing_database
from shared.config.paths import Paths


async def read_log(paths: Paths, limit: int, *, tenant: str = "", group: str = "") -> list[dict[str, Any]]:
    """The newest requests, newest first; works whether or not the gateway runs.

    Raises:
        ConfigError: the database cannot be opened.
    """
    async with existing_database(paths) as database:
        return [] if database is None else await EgressStore(database).recent(limit, tenant=tenant, group=group)
