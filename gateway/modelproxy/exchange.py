"""The caller's side of one call: its body, its leaving, and an answer that never falls silent.

Raw ASGI, because this is the hot path and a framework's response object would hide the client's leaving.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from gateway.modelproxy.call import Call
from gateway.modelproxy.dialects import Headers, error_answer, error_event, refusal_event
from gateway.modelproxy.in_flight import CallRoom
from shared.clock import Clock
from shared.errors import GatewayError, Invalid
from shared.obs.log import get_logger

_log = get_logger(__name__)

Scope = Any
"""ASGI's own types differ from framework to framework."""
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

BODY_TIMEOUT_S = 60.0
"""Callers are on this machine: the largest body is here within a second."""
_KEEP_ALIVE = b": keep-alive\n\n"
_STREAM_HEADERS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_OK = 200
_TOO_LARGE = 413


class ClientGoneError(Exception):
    """The caller closed its connection."""


class Exchange:
    """A request being answered.

    Args:
        call: what the answer is told to.
        receive: of the ASGI request, like `send`.
        send: see `receive`.
        clock: for silences.

    Attributes:
        done: the answer is whole.
        client_gone: the caller left before that.
        streaming: the answer that was begun is an event stream.
        ahead: it was begun by us, and the provider has not said anything yet.
    """

    def __init__(self, call: Call, receive: Receive, send: Send, clock: Clock) -> None:
        self._call = call
        self._receive = receive
        self._send = send
        self._clock = clock
        self._begun = False
        self._last_write = clock.monotonic()
        self.streaming = False
        self.ahead = False
        self.done = False
        self.client_gone = False

    async def read_body(
        self, limit: int, headers: Iterable[tuple[bytes, bytes]], room: CallRoom, *, timeout_s: float = BODY_TIMEOUT_S
    ) -> bytes:
        """The request's body.

        Args:
            limit: most bytes it may have.
            headers: of the request.
            room: is told of every piece that came.
            timeout_s: how long it may take to come.

        Raises:
            Invalid: larger than `limit` bytes, or not whole in time.
            RateLimited: there is no room for it now.
            ClientGoneError: the caller left before it was whole.
        """
        too_large = Invalid(f"the request is larger than {limit} bytes", code="model.too_large")
        for name, value in headers:
            if name == b"content-length" and value.isdigit() and int(value) > limit:
                raise too_large
        try:
            async with asyncio.timeout(timeout_s):
                pieces = await self._pieces(limit, room, too_large)
        except TimeoutError:
            raise Invalid(f"the request's body was not here after {timeout_s:g} s", code="model.body_late") from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _pieces(self, limit: int, room: CallRoom, too_large: Invalid) -> list[bytes]:
        pieces: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            pieces.append(piece := message.get("body", b""))
            room.take(len(piece))
            if room.taken > limit:
                raise too_large
            if not message.get("more_body", False):
                return pieces

    async def watch_client(self) -> None:
        """Wait until the caller leaves, then cancel the group; the provider's connection closes with it."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.done:
            self.client_gone = True
            raise ClientGoneError

    async def keep_alive(self, every_s: float) -> None:
        """Break silences with comments, which stand between events because only whole ones are written.

        A caller that asked for a stream is sent its head as well, if none came from the provider yet: a model may
        think for minutes before its first word, and a queue may be as long. What goes wrong later is then told in an
        event. Whoever asked for a whole answer has to wait, since its status comes before its first byte.
        """
        while not self.done:
            silent = self._clock.monotonic() - self._last_write
            if silent < every_s:
                await asyncio.sleep(every_s - silent)
                continue
            self._last_write = self._clock.monotonic()
            if not self._begun and self._call.streams:
                self.ahead = self.streaming = True
                await self._begin(_OK, _STREAM_HEADERS)
            if self.streaming:
                await self._send({"type": "http.response.body", "body": _KEEP_ALIVE, "more_body": True})

    async def begin_stream(self, status: int, headers: Headers) -> None:
        """Send the head of the provider's event stream, unless a head was sent ahead."""
        self._call.status = status
        self.streaming = True
        if self.ahead:
            self.ahead = False
            return
        await self._begin(status, headers)

    async def answer(self, status: int, headers: Headers, whole: bytes, retry_after: str) -> None:
        """Send an answer that is no stream; the last event of one that was begun ahead.

        Args:
            status: of the provider.
            headers: those that are passed back.
            whole: its body.
            retry_after: its header of that name; empty when there was none.
        """
        self._call.status = status
        if self.ahead:
            await self.end(refusal_event(self._call.dialect, status, whole, retry_after))
            return
        await self._begin(status, [*headers, (b"content-length", str(len(whole)).encode())])
        await self.end(whole)

    async def write(self, block: bytes) -> None:
        """Send a part of the body."""
        self._mark()
        await self._send({"type": "http.response.body", "body": block, "more_body": True})

    async def end(self, block: bytes) -> None:
        """Send the last part of the body."""
        self._mark()
        self.done = True
        await self._send({"type": "http.response.body", "body": block, "more_body": False})

    async def fail(self, error: GatewayError) -> None:
        """Answer with an error of ours; as the last event of a stream that has begun."""
        call = self._call
        if self.done or (self._begun and not self.streaming):
            return
        status = _TOO_LARGE if error.code == "model.too_large" else error.http_status
        _log.info("model.refused", tenant=call.identity.tenant, route=call.route_name, status=status, reason=error.code)
        if self._begun and not self.ahead:
            call.outcome = "cut"
            await self.end(error_event(call.dialect, error))
            return
        call.outcome = "failed" if call.auth else "refused"
        if self._begun:
            call.status = status
            await self.end(error_event(call.dialect, error, status=status))
            return
        status, headers, body = error_answer(call.dialect, error, status=status)
        call.status = status
        await self._begin(status, headers)
        await self.end(body)

    async def _begin(self, status: int, headers: Headers) -> None:
        self._begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    def _mark(self) -> None:
        self._last_write = self._clock.monotonic()
        if not self._call.first_byte:
            self._call.first_byte = self._last_write
