"""HTTP clients: one for ordinary calls, and a pool for the hot path that streams.

`HttpPool` is a free list of one-connection httpcore pools, because a shared pool scans all its waiting requests at
every release and collapses at a few dozen concurrent streams; one-connection pools scale flat.
Neither reads proxy settings or anything else from the environment.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpcore
import httpx

from shared.errors import Busy, DeadlineExceeded, GatewayError, Invalid, Unavailable, UpstreamError

Headers = Sequence[tuple[bytes, bytes]]

USER_AGENT = "clawgate"
_CONNECT_TIMEOUT_S = 10.0
_IDLE_EXPIRY_S = 30.0
_PORTS = {"http": 80, "https": 443}


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
    _response: httpcore.Response
    _host: str

    def header(self, name: str) -> str:
        """The first header of that name, in any spelling; empty when there is none."""
        return _header(self.headers, name)

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it arrives, undecoded.

        Raises:
            Unavailable: the connection was cut before the end.
            DeadlineExceeded: no bytes for longer than the read timeout.
        """
        try:
            async for chunk in self._response.aiter_stream():
                yield chunk
        except TRANSPORT_ERRORS as error:
            raise transport_error(error, self._host) from None

    async def read(self, max_bytes: int = 4 << 20) -> bytes:
        """The whole body.

        Raises:
            UpstreamError: it is longer than `max_bytes`.
        """
        body = bytearray()
        async for chunk in self.aiter_bytes():
            body += chunk
            if len(body) > max_bytes:
                raise UpstreamError(f"{self._host} sent more than {max_bytes} bytes", status=self.status)
        return bytes(body)


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


TRANSPORT_ERRORS = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.ConnectionNotAvailable,
    OSError,
)


def transport_error(error: BaseException, host: str) -> GatewayError:
    """What one of `TRANSPORT_ERRORS` means to the caller."""
    kind = type(error).__name__
    if isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout):
        return Unavailable(
            f"{host} cannot be reached ({kind}): is the network up and the address right?", code="http.connect"
        )
    if isinstance(error, httpcore.TimeoutException):
        return DeadlineExceeded(f"{host} sent nothing for too long ({kind})", code="http.timeout")
    return Unavailable(f"the connection to {host} was cut ({kind})", code="http.cut")


@dataclass(slots=True)
class _Idle:
    pool: httpcore.AsyncConnectionPool
    since: float


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
        self._idle: dict[tuple[str, str, int], deque[_Idle]] = {}
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> HttpPool:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close kept connections."""
        idle = [item.pool for items in self._idle.values() for item in items]
        self._idle.clear()
        for pool in idle:
            await pool.aclose()

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
        key, target = split_url(url)
        if self._in_flight >= self._max_in_flight:
            raise Busy(f"{self._in_flight} requests to providers are already on their way; try again shortly")
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=key[0].encode(), host=key[1].encode(), port=key[2], target=target),
            headers=[(b"Host", host_header(key)), *headers, *_length(method, body)],
            content=body,
            extensions={
                "timeout": {
                    "connect": _CONNECT_TIMEOUT_S,
                    "read": read_timeout_s,
                    "write": 30.0,
                    "pool": _CONNECT_TIMEOUT_S,
                }
            },
        )
        pool = await self._take(key)
        self._in_flight += 1
        try:
            try:
                response = await pool.handle_async_request(request)
            except TRANSPORT_ERRORS as error:
                raise transport_error(error, key[1]) from None
            try:
                yield StreamedAnswer(response.status, response.headers, response, key[1])
            finally:
                await response.aclose()
        finally:
            self._in_flight -= 1
            await self._give_back(key, pool)

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

    async def _take(self, key: tuple[str, str, int]) -> httpcore.AsyncConnectionPool:
        idle = self._idle.get(key)
        if idle:
            return idle.pop().pool
        if key[0] == "https" and self._tls is None:
            self._tls = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
        return httpcore.AsyncConnectionPool(
            ssl_context=self._tls, max_connections=1, max_keepalive_connections=1, keepalive_expiry=_IDLE_EXPIRY_S
        )

    async def _give_back(self, key: tuple[str, str, int], pool: httpcore.AsyncConnectionPool) -> None:
        if not pool.connections:
            return
        now = asyncio.get_running_loop().time()
        idle = self._idle.setdefault(key, deque())
        idle.append(_Idle(pool, now))
        # The youngest is taken first, so the bottom of the pile holds those no longer needed.
        while idle and (len(idle) > self._max_idle or now - idle[0].since > _IDLE_EXPIRY_S):
            await idle.popleft().pool.aclose()


def split_url(url: str) -> tuple[tuple[str, str, int], bytes]:
    """Scheme, host and port of an address, and path with query as they are sent.

    Raises:
        Invalid: it is no http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise Invalid(f"{url!r} is not an http or https address")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return (parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme]), target.encode("ascii")


def host_header(key: tuple[str, str, int]) -> bytes:
    """The ``Host`` header for a scheme, host and port."""
    scheme, host, port = key
    if ":" in host:
        host = f"[{host}]"
    return (host if port == _PORTS[scheme] else f"{host}:{port}").encode("ascii")


def _length(method: str, body: bytes) -> Headers:
    return () if method in {"GET", "HEAD"} and not body else ((b"Content-Length", str(len(body)).encode()),)
