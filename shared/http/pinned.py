"""Requests to an address that was checked: the name is not resolved a second time, so it cannot lead elsewhere."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import httpcore
import httpx

from shared.http.client import TRANSPORT_ERRORS, Headers, StreamedAnswer, host_header, split_url, transport_error

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class _OneAddress(httpcore.AsyncNetworkBackend):
    """Connects to one address, whatever host is asked for."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - httpcore's signature; the point is that it is not used
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Open a connection."""
        return await self._inner.connect_tcp(self._address, port, timeout, local_address, socket_options)


class PinnedHttp:
    """Makes single requests, each over a connection of its own. TLS is checked against the host's name."""

    def __init__(self) -> None:
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, address: str, headers: Headers = (), timeout_s: float
    ) -> AsyncIterator[StreamedAnswer]:
        """Send a request without a body and yield its answer as soon as the head is in.

        Args:
            method: HTTP method.
            url: absolute http or https address in ASCII; its host names the TLS certificate.
            address: the IP address to connect to.
            headers: everything but ``host``.
            timeout_s: longest wait for connecting, and for bytes.

        Raises:
            Unavailable: the address cannot be reached or cut the connection.
            DeadlineExceeded: it sent nothing for too long.
        """
        key, target = split_url(url)
        scheme, host, port = key
        if scheme == "https" and self._tls is None:
            self._tls = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
        request = httpcore.Request(
            method,
            httpcore.URL(scheme=scheme.encode(), host=host.encode(), port=port, target=target),
            headers=[(b"Host", host_header(key)), *headers],
            extensions={"timeout": dict.fromkeys(("connect", "read", "write", "pool"), timeout_s)},
        )
        async with httpcore.AsyncConnectionPool(
            ssl_context=self._tls, max_connections=1, network_backend=_OneAddress(address)
        ) as pool:
            try:
                response = await pool.handle_async_request(request)
            except TRANSPORT_ERRORS as error:
                raise transport_error(error, host) from None
            try:
                yield StreamedAnswer(response.status, response.headers, response, host)
            finally:
                await response.aclose()
