"""HTTP clients: one for ordinary calls, and a pool for the hot path that streams.

`HttpPool` is a free list of connections: a request takes one that is free or opens another, so that the cost of a call
does not grow with how many run beside it. Neither client reads proxy settings or anything else from the environment.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

from shared.errors import Busy, Invalid, UpstreamError
from shared.http.wire import Connection, Headers, request_head

__all__ = ["USER_AGENT", "Answer", "Headers", "HttpPool", "StreamedAnswer", "http_client"]

USER_AGENT = "clawgate"
_CONNECT_TIMEOUT_S = 10.0
_IDLE_EXPIRY_S = 30.0
_PORTS = {"http": 80, "https": 443}

Place = tuple[str, str, int]
"""Scheme, host and port."""


def http_client(
    *, base_url: str = "", headers: Mapping[str, str] | None = None, timeout_s: float = 30.0, max_connections: int = 20
) -> httpx.AsyncClient:
    """A client for ordinary calls: token endpoints, lists, small JSON answers.

    Args:
        base_url: put before relative addresses.
        headers: sent with every request.
        timeout_s: for each wait for bytes; connecting takes at most 10 s.
        max_connections: at once; more wait up to `timeout_s`.
    """
    return httpx.AsyncClient(
        base_url=base_url,
        headers={"user-agent": USER_AGENT, **(headers or {})},
        timeout=httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_TIMEOUT_S)),
        limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=4, keepalive_expiry=30.0),
        trust_env=False,
        follow_redirects=False,
    )


@dataclass(frozen=True, slots=True)
class StreamedAnswer:
    """An answer whose body is still to come.

    Attributes:
        headers: as received; names in the server's spelling.
    """

    status: int
    headers: Headers
    _connection: Connection
    _host: str
    _read_timeout_s: float | None

    def header(self, name: str) -> str:
        """The first header of that name, in any spelling; empty when there is none."""
        return _header(self.headers, name)

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it arrives, undecoded.

        Raises:
            Unavailable: the connection was cut before the end.
            DeadlineExceeded: no bytes for longer than the read timeout.
        """
        while chunk := await self.next_bytes():
            yield chunk

    async def next_bytes(self) -> bytes:
        """The next piece of the body as it arrived, empty at its end; raises as `aiter_bytes` does."""
        return await self._connection.read_chunk(self._read_timeout_s)

    async def read(self, max_bytes: int = 4 << 20) -> bytes:
        """The whole body.

        Raises:
            UpstreamError: it is longer than `max_bytes`.
        """
        pieces: list[bytes] = []
        left = max_bytes
        while chunk := await self._connection.read_chunk(self._read_timeout_s):
            pieces.append(chunk)
            left -= len(chunk)
            if left < 0:
                raise UpstreamError(f"{self._host} sent more than {max_bytes} bytes", status=self.status)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def read_beginning(self, max_bytes: int) -> bytes:
        """The body, or the first `max_bytes` of a longer one, whose rest is not waited for."""
        beginning = bytearray()
        while len(beginning) < max_bytes and (chunk := await self._connection.read_chunk(self._read_timeout_s)):
            beginning += chunk
        return bytes(beginning[:max_bytes])


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """The first header of that name, in any spelling; empty when there is none."""
        return _header(self.headers, name)


def _header(headers: Headers, name: str) -> str:
    wanted = name.lower().encode()
    return next((value.decode("latin-1") for key, value in headers if key.lower() == wanted), "")


class HttpPool:
    """Streams many requests at once to a few hosts; cancelling a request closes its connection.

    Args:
        max_in_flight: requests at once; the next one is refused with `Busy`.
        max_idle: kept connections per host.
    """

    def __init__(self, *, max_in_flight: int = 256, max_idle: int = 64) -> None:
        self._max_in_flight = max_in_flight
        self._max_idle = max_idle
        self._in_flight = 0
        self._idle: dict[Place, deque[Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> HttpPool:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close kept connections."""
        idle = [connection for connections in self._idle.values() for connection in connections]
        self._idle.clear()
        for connection in idle:
            connection.abort()
        # The loop tells a connection of its end in its next round.
        await asyncio.sleep(0)

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Headers = (), body: bytes = b"", read_timeout_s: float | None = None
    ) -> AsyncIterator[StreamedAnswer]:
        """Send a request and yield its answer as soon as the head is in; leaving early closes the connection.

        Args:
            method: HTTP method.
            url: absolute address.
            headers: everything but ``host`` and ``content-length``, which are added.
            body: sent as it is.
            read_timeout_s: longest wait for bytes; None waits for ever (the caller cancels).

        Raises:
            Invalid: the address is not an http address.
            Busy: too many requests are on their way.
            Unavailable: the host cannot be reached or cut the connection.
            DeadlineExceeded: it sent nothing for `read_timeout_s`.
        """
        place, target = split_url(url)
        if self._in_flight >= self._max_in_flight:
            raise Busy(f"{self._in_flight} requests to providers are already on their way; try again shortly")
        head = request_head(method, target, ((b"Host", host_header(place)), *headers, *_length(method, body)))
        self._in_flight += 1
        try:
            connection = await self._take(place)
            try:
                connection.send(head, body)
                await connection.read_head(read_timeout_s)
                yield StreamedAnswer(connection.status, connection.headers, connection, place[1], read_timeout_s)
            finally:
                self._give_back(place, connection)
        finally:
            self._in_flight -= 1

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Headers = (),
        body: bytes = b"",
        read_timeout_s: float = 30.0,
        max_bytes: int = 4 << 20,
    ) -> Answer:
        """Send a request and read its whole answer; raises as `stream` does."""
        async with self.stream(method, url, headers=headers, body=body, read_timeout_s=read_timeout_s) as answer:
            return Answer(answer.status, answer.headers, await answer.read(max_bytes))

    async def _take(self, place: Place) -> Connection:
        idle = self._idle.get(place)
        oldest = asyncio.get_running_loop().time() - _IDLE_EXPIRY_S
        while idle:
            connection = idle.pop()
            if connection.is_reusable and connection.idle_since > oldest:
                return connection
            connection.abort()
        scheme, host, port = place
        if scheme == "https" and self._tls is None:
            self._tls = await tls_context()
        tls = self._tls if scheme == "https" else None
        return await Connection.open(host, port, tls, timeout_s=_CONNECT_TIMEOUT_S)

    def _give_back(self, place: Place, connection: Connection) -> None:
        if not connection.is_reusable:
            connection.abort()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        idle = self._idle.setdefault(place, deque())
        idle.append(connection)
        # The youngest is taken first, so the bottom of the pile holds those no longer needed.
        oldest = connection.idle_since - _IDLE_EXPIRY_S
        while idle and (len(idle) > self._max_idle or idle[0].idle_since < oldest or not idle[0].is_reusable):
            idle.popleft().abort()


def split_url(url: str) -> tuple[Place, bytes]:
    """Scheme, host and port of an address, and path with query as they are sent.

    Raises:
        Invalid: it is no http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Invalid(f"{url!r} is not an http or https address")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return (parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]), target.encode("ascii")


def host_header(place: Place) -> bytes:
    """The ``Host`` header for a scheme, host and port."""
    scheme, host, port = place
    if ":" in host:
        host = f"[{host}]"
    return (host if port == _PORTS[scheme] else f"{host}:{port}").encode("ascii")


def _length(method: str, body: bytes) -> Headers:
    return () if method == "GET" and not body else ((b"Content-Length", str(len(body)).encode()),)


async def tls_context() -> ssl.SSLContext:
    """What we trust: the usual authorities, whatever the environment says. Made in a thread, since it takes a while."""
    context = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
    context.set_alpn_protocols(["http/1.1"])
    return context
