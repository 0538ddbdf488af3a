"""The one way out for contained commands: a proxy on loopback that connects to public addresses only.

A command's own check of a host name is worth nothing once it follows a redirect or the name changes its mind. So the
command may connect to this proxy alone (Landlock holds the port), and the proxy resolves, checks and connects, at every
request. It speaks CONNECT for https and plain forwarding for http.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from shared.execpolicy.addresses import is_public
from shared.obs.log import get_logger

_log = get_logger(__name__)

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""Addresses of a host, as text."""

IsAllowed = Callable[[str, int, str], bool]
"""Whether an address may be connected to, for a host name and port."""

Door = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Opens a connection on which the command speaks TLS; raises `OSError`."""

_HTTPS = 443
_HEAD_LIMIT = 65_536
_HEAD_S = 10.0
_CONNECT_S = 15.0
_IDLE_S = 120.0
_CHUNK = 65_536


async def resolve_name(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def public_only(_host: str, _port: int, address: str) -> bool:
    """Permit what is somebody else's on the internet."""
    return is_public(ipaddress.ip_address(address))


class EgressProxy:
    """Serves the commands of one tenant.

    Args:
        resolve: how names become addresses.
        is_allowed: which addresses may be connected to.
        doors: hosts that are not looked for in the network: how each is reached instead, over TLS.

    Attributes:
        port: where it listens on 127.0.0.1.
    """

    def __init__(
        self,
        *,
        resolve: Resolve = resolve_name,
        is_allowed: IsAllowed = public_only,
        doors: Mapping[str, Door] | None = None,
    ) -> None:
        self._resolve = resolve
        self._is_allowed = is_allowed
        self._doors = dict(doors or {})
        self._token = secrets.token_urlsafe(24)
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0

    @property
    def url(self) -> str:
        """Address for ``http_proxy``; the token in it keeps other programs of this machine out."""
        return f"http://run:{self._token}@127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that make curl use it for every request, also behind ``--next`` and redirects."""
        return {"http_proxy": self.url, "HTTPS_PROXY": self.url, "ALL_PROXY": self.url, "NO_PROXY": ""}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[EgressProxy]:
        """Listen inside the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD_LIMIT)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in list(self._open):
                writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            async with asyncio.timeout(_HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
            await self._handle(head, reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # the command sees a closed connection
        finally:
            self._open.discard(writer)
            writer.close()

    async def _handle(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request, *lines = head[:-4].decode("latin-1").split("\r\n")
        method, target, version = request.split(" ")
        headers = [line for line in lines if not line.lower().startswith("proxy-")]
        if not self._is_ours(lines):
            await _answer(writer, 407, "this proxy is for contained commands", "Proxy-Authenticate: Basic")
            return
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            upstream = await self._connect(host.strip("[]"), int(port), writer)
            if upstream is not None:
                writer.write(b"HTTP/1.1 200 connected\r\n\r\n")
                await _relay(reader, writer, *upstream)
            return
        url = urlsplit(target)
        if url.scheme != "http" or not url.hostname:
            await _answer(writer, 403, "only http and https leave here")
            return
        upstream = await self._connect(url.hostname, url.port or 80, writer)
        if upstream is not None:
            path = (url.path or "/") + (f"?{url.query}" if url.query else "")
            kept = [line for line in headers if not line.lower().startswith("connection:")]
            plain = "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""])
            upstream[1].write(plain.encode("latin-1"))
            await _relay(reader, writer, *upstream)

    def _is_ours(self, lines: list[str]) -> bool:
        wanted = "basic " + base64.b64encode(f"run:{self._token}".encode()).decode()
        given = next((line.partition(":")[2].strip() for line in lines if line.lower().startswith("proxy-auth")), "")
        scheme, _, value = given.partition(" ")
        return hmac.compare_digest(f"{scheme.lower()} {value}".encode(), wanted.encode())

    async def _connect(
        self, host: str, port: int, writer: asyncio.StreamWriter
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """Connect to a host's first address, if all of its addresses may be connected to."""
        door = self._doors.get(host.lower().rstrip("."))
        if door is not None and port != _HTTPS:
            await _answer(writer, 403, f"{host} is reached over https alone")
            return None
        try:
            async with asyncio.timeout(_CONNECT_S):
                if door is not None:
                    return await door()
                addresses = await self._resolve(host, port)
                refused = [address for address in addresses if not self._is_allowed(host, port, address)]
                if refused or not addresses:
                    _log.warning("egress.refused", host=host, port=port, reason="not a public address")
                    await _answer(writer, 403, f"{host} is not a public host")
                    return None
                return await asyncio.open_connection(addresses[0], port)
        except (OSError, TimeoutError, ValueError) as error:
            await _answer(writer, 502, f"{host} cannot be reached ({type(error).__name__})")
            return None


async def _answer(writer: asyncio.StreamWriter, status: int, reason: str, *headers: str) -> None:
    body = f"{reason}\n".encode("latin-1", "replace")
    lines = [f"HTTP/1.1 {status} refused", *headers, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode("latin-1") + body)
    await writer.drain()


async def _relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    upstream_reader: asyncio.StreamReader,
    upstream_writer: asyncio.StreamWriter,
) -> None:
    """Copy in both directions until either side has ended or nothing moved for a while."""
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, upstream_writer))
            await _copy(upstream_reader, writer)
            raise _Ended
    except* (_Ended, OSError, TimeoutError):
        pass
    finally:
        upstream_writer.close()


class _Ended(Exception):
    """The upstream has said everything."""


async def _copy(source: asyncio.StreamReader, goal: asyncio.StreamWriter) -> None:
    while True:
        async with asyncio.timeout(_IDLE_S):
            data = await source.read(_CHUNK)
        if not data:
            break
        goal.write(data)
        await goal.drain()
    with contextlib.suppress(OSError):
        if goal.can_write_eof():
            goal.write_eof()
