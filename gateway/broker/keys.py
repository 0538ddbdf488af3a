"""Hands a fresh key to whoever starts a tenant: the service manager (``LoadCredential``) or the tenant's container.

One socket a tenant, in the folder that only it and we can enter. A connection is answered with one new key and closed;
the key before it is worthless from then on. Only root and our own user may ask: under systemd the tenant itself runs as
neither, so nothing it runs can get a key (ADR 0010).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

from gateway.broker.auth import hash_key
from gateway.store import TenantKey
from shared.obs.log import get_logger

_log = get_logger(__name__)


class KeyGiver:
    """Serves the key sockets.

    Args:
        take: makes a key known to the broker, durable when it returns.
    """

    def __init__(self, take: Callable[[TenantKey], Awaitable[None]]) -> None:
        self._take = take
        self._servers: dict[Path, asyncio.Server] = {}

    async def add(self, path: Path, tenant: str, uid: int) -> None:
        """Serve a tenant.

        Args:
            path: of the socket; its folder must exist, and what a dead process left there is replaced.
            tenant: whose keys.
            uid: user the tenant will connect as.
        """

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(writer, tenant, uid)

        old_mask = os.umask(0o177)
        try:
            self._servers[path] = await asyncio.start_unix_server(serve, path)
        finally:
            os.umask(old_mask)

    def remove(self, path: Path) -> None:
        """Stop serving a tenant."""
        if (server := self._servers.pop(path, None)) is not None:
            server.close()
            path.unlink(missing_ok=True)

    async def close(self) -> None:
        """Stop serving and remove the sockets."""
        for path, server in self._servers.items():
            server.close()
            path.unlink(missing_ok=True)

    async def _serve(self, writer: asyncio.StreamWriter, tenant: str, uid: int) -> None:
        try:
            peer = _peer_uid(writer)
            if peer not in {0, os.geteuid()}:
                _log.warning("tenant.key_refused", tenant=tenant, peer=peer)
                return
            key = secrets.token_urlsafe(32)
            await self._take(TenantKey(tenant, hash_key(key), uid))
            writer.write(key.encode())
            await writer.drain()
            _log.info("tenant.key_given", tenant=tenant, peer=peer)
        except ConnectionError:
            _log.warning("tenant.key_not_taken", tenant=tenant)
        finally:
            writer.close()


def _peer_uid(writer: asyncio.StreamWriter) -> int:
    link: socket.socket = writer.get_extra_info("socket")
    _pid, uid, _gid = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
