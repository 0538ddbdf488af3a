"""One HTTP/1.1 connection to a server, one request at a time: the hot path's own client.

Parsed in C and driven by the event loop's callbacks, since a general client's layers cost several times what the rest
of a proxied call does (``python -m tests.bench.proxy``). What it does not do it does not need: no redirects, no
decompression, no pipelining, no HTTP/2.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from asyncio.events import TimerHandle
from collections import deque
from collections.abc import Sequence
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from shared.errors import DeadlineExceeded, GatewayError, Invalid, Unavailable

Headers = Sequence[tuple[bytes, bytes]]

_MAX_HEAD_BYTES = 64 << 10
_PAUSE_AT_BYTES = 256 << 10
_JOINED_BYTES = 64 << 10
_FINAL_STATUS = 200
_TARGET = re.compile(rb"[\x21-\x7e]+")
_HEADER_NAME = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(rb"[^\x00\r\n]*")


def request_head(method: str, target: bytes, headers: Headers) -> bytes:
    """A request's head as bytes.

    Raises:
        Invalid: the target or a header would end its line early, which is how a request is smuggled.
    """
    if not _TARGET.fullmatch(target):
        raise Invalid("the address holds characters that an HTTP request cannot carry", code="http.target")
    lines = [method.encode("ascii") + b" " + target + b" HTTP/1.1"]
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise Invalid(f"the header {name[:40]!r} cannot be sent over HTTP", code="http.header")
        lines.append(name + b": " + value)
    return b"\r\n".join((*lines, b"", b""))


class Connection(asyncio.Protocol):
    """A connection and the answer being read from it.

    Args:
        host: of the other side, for errors.

    Attributes:
        status: of the answer; 0 before its head is in.
        headers: of the answer, as received.
        is_reusable: its last answer was read to the end, and the server keeps it open.
        idle_since: when it became free, on the loop's clock.
    """

    def __init__(self, host: str) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.idle_since = 0.0
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._asked = False
        self._interim = False
        self._head_bytes = 0
        self._has_length = False
        self._keeps_open = False
        self._whole = True
        self._chunks: deque[bytes] = deque()
        self._held_bytes = 0
        self._is_paused = False
        self._error: GatewayError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @classmethod
    async def open(
        cls, host: str, port: int, tls: ssl.SSLContext | None, *, timeout_s: float, address: str = ""
    ) -> Connection:
        """Connect.

        Args:
            host: whom to speak to; its certificate must say so.
            port: TCP port.
            tls: None speaks plainly.
            timeout_s: how long that may take.
            address: where the host is, when that was found out already; it is not resolved again then.

        Raises:
            Unavailable: nobody answers there, or not in time.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await loop.create_connection(
                    lambda: cls(host),
                    address or host,
                    port,
                    ssl=tls,
                    server_hostname=host if tls is not None else None,
                    happy_eyeballs_delay=0.25,
                )
        except (OSError, TimeoutError, UnicodeError) as error:
            kind = type(error).__name__
            raise Unavailable(
                f"{host} cannot be reached ({kind}): is the network up and the address right?", code="http.connect"
            ) from None
        return connection

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent over it."""
        return self._whole and self._keeps_open and self._error is None and self._transport is not None

    def send(self, head: bytes, body: bytes) -> None:
        """Begin a request; the answer is then read with `read_head` and `read_chunk`."""
        if self._transport is None:
            self._fail_cut("closed")
            return
        self.status, self.headers = 0, []
        self._asked, self._interim, self._head_bytes = True, False, 0
        self._has_length = self._keeps_open = self._whole = False
        if len(body) <= _JOINED_BYTES:
            self._transport.write(head + body if body else head)
        else:
            self._transport.writelines((head, body))

    async def read_head(self, timeout_s: float | None) -> None:
        """Wait for the answer's head.

        Raises:
            Unavailable: the connection was cut.
            DeadlineExceeded: nothing came for `timeout_s`.
        """
        while not self.status:
            await self._wait(timeout_s)

    async def read_chunk(self, timeout_s: float | None) -> bytes:
        """The next piece of the body as it arrived; empty at its end.

        Raises:
            Unavailable: the connection was cut before the end.
            DeadlineExceeded: nothing came for `timeout_s`.
        """
        while not self._chunks:
            if self._whole:
                return b""
            await self._wait(timeout_s)
        if len(self._chunks) == 1:
            chunk = self._chunks.popleft()
        else:
            chunk = b"".join(self._chunks)
            self._chunks.clear()
        self._held_bytes = 0
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return chunk

    def abort(self) -> None:
        """Close at once; what is still on its way is lost."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self, timeout_s: float | None) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        timer: TimerHandle | None = None
        if timeout_s is not None:
            timer = self._loop.call_later(timeout_s, self._time_out)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _time_out(self) -> None:
        self._fail(DeadlineExceeded(f"{self._host} sent nothing for too long", code="http.timeout"))

    def _fail_cut(self, how: str) -> None:
        self._fail(Unavailable(f"the connection to {self._host} was cut ({how})", code="http.cut"))

    def _fail(self, error: GatewayError) -> None:
        if self._error is None:
            self._error = error
        self.abort()
        self._wake()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's: connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """The loop's: bytes came."""
        if not self._asked:
            self._fail_cut("an answer that nobody asked for")
            return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail_cut(f"not understood: {type(error).__name__}")
            return
        self._wake()

    def eof_received(self) -> None:
        """The loop's: the other side says no more."""
        self._ended("closed")

    def connection_lost(self, exc: Exception | None) -> None:
        """The loop's: the connection is gone."""
        self._transport = None
        self._ended(type(exc).__name__ if exc is not None else "closed")

    def _ended(self, how: str) -> None:
        self._keeps_open = False
        if self._whole:
            return
        if self.status and not self._has_length:
            # The end of the connection is the end of such an answer.
            self._finish()
            self._wake()
        else:
            self._fail_cut(how)

    def on_message_begin(self) -> None:
        """The parser's: an answer begins; one more than was asked for must not be taken for the next call's."""
        if not self._asked:
            raise ValueError("an answer that nobody asked for")  # the parser turns it into its own error

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser's: a header."""
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _MAX_HEAD_BYTES:
            raise ValueError("the answer's head is too large")  # the parser turns it into its own error
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The parser's: the head is in, or one of a provisional answer."""
        status = self._parser.get_status_code()
        self._interim = status < _FINAL_STATUS
        if self._interim:
            self.headers, self._head_bytes = [], 0
            return
        self._keeps_open = self._parser.should_keep_alive()
        self._has_length = any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in self.headers)
        self.status = status

    def on_body(self, body: bytes) -> None:
        """The parser's: a piece of the body; a reader that is slow stops the sender."""
        self._chunks.append(body)
        self._held_bytes += len(body)
        if self._held_bytes > _PAUSE_AT_BYTES and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The parser's: that was all."""
        if not self._interim:
            self._finish()

    def _finish(self) -> None:
        self._asked, self._whole = False, True
