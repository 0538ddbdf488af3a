"""Requests to an address that was checked: the name is not resolved a second time, so it cannot lead elsewhere."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.http.client import StreamedAnswer, host_header, split_url, tls_context
from shared.http.wire import Connection, Headers, request_head


class PinnedHttp:
    """Makes single requests, each over a connection of its own. TLS is checked against the host's name."""

    def __init__(self) -> None:
        self._tls: ssl.SSLContext | None = None

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, address: str, headers: Headers = (), body: bytes = b"", timeout_s: float
    ) -> AsyncIterator[StreamedAnswer]:
        """Send a request and yield its answer as soon as the head is in.

        Args:
            method: HTTP method.
            url: absolute http or https address in ASCII; its host names the TLS certificate.
            address: the IP address to connect to.
            headers: everything but ``host`` and ``content-length``.
            body: sent as it is.
            timeout_s: longest wait for connecting, and for bytes.

        Raises:
            Unavailable: the address cannot be reached or cut the connection.
            DeadlineExceeded: it sent nothing for too long.
        """
        place, target = split_url(url)
        scheme, host, port = place
        if scheme == "https" and self._tls is None:
            self._tls = await tls_context()
        size: Headers = ((b"Content-Length", str(len(body)).encode()),) if body else ()
        head = request_head(method, target, ((b"Host", host_header(place)), *headers, *size))
        tls = self._tls if scheme == "https" else None
        connection = await Connection.open(host, port, tls, timeout_s=timeout_s, address=address)
        try:
            connection.send(head, body)
            await connection.read_head(timeout_s)
            yield StreamedAnswer(connection.status, connection.headers, connection, host, timeout_s)
        finally:
            connection.abort()
