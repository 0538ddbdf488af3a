"""The certificate that contained commands trust for the Graph hosts: the gateway's, kept current in a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from shared.errors import GatewayError
from shared.gatewayclient.models import TenantStartup
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.secrets.files import write_private

_log = get_logger(__name__)

EVERY_S: Final = 6 * 3600.0
"""Far below the days for which a new certificate is handed out beside the old one before it is shown."""


class StartupGateway(Protocol):
    """Who is asked; `GatewayClient` is one."""

    async def startup(self) -> TenantStartup:
        """What a tenant needs, the certificate included."""
        ...


def put_authority(path: Path, certificate: str) -> str:
    """Put the certificate where curl can read it; gives the file's name, empty when there is no certificate."""
    if not certificate:
        return ""
    write_private(path, certificate)
    return str(path)


@asynccontextmanager
async def authority_kept_current(
    gateway: StartupGateway, path: Path, certificate: str, *, every_s: float = EVERY_S
) -> AsyncIterator[None]:
    """Look for another certificate from time to time, inside the block.

    Args:
        gateway: is asked.
        path: the file.
        certificate: what is in it now; empty when none is used.
        every_s: seconds between two looks.
    """
    tasks = TaskPool("graph_authority")

    async def keep() -> None:
        known = certificate
        while True:
            await asyncio.sleep(every_s)
            try:
                new = (await gateway.startup()).graph_authority
            except GatewayError as error:
                _log.info("graph.authority_unread", reason=error.code)
                continue
            if new and new != known:
                await asyncio.to_thread(put_authority, path, new)
                known = new
                _log.info("graph.authority_renewed")

    if certificate:
        tasks.start(keep(), name="keep")
    try:
        yield
    finally:
        await tasks.close()
