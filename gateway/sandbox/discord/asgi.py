"""The emulator's own floor on uvicorn: listeners that know their transport, plain requests, exact answers.

A web framework would decode paths and add to content types; an emulator must control both, and must be able to cut
a connection in the middle of an answer. So this is ASGI with nothing between.
"""

from __future__ import annotations

import asyncio
import errno
import json
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from gateway.sandbox.discord.models import dump_compact
from shared.errors import Occupied

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HOST = "127.0.0.1"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class BodyTooLarge(Exception):
    """The request's body is over the limit."""


@dataclass(slots=True)
class Request:
    """One HTTP request. `path` is raw: percent-encoding is left as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    receive: Receive
    transport: asyncio.Transport
    params: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> Request:
        """Read the ASGI scope; header names are lower case."""
        return cls(
            scope["method"],
            scope["raw_path"].decode("ascii"),
            dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            receive,
            scope["state"]["transport"],
        )

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            BodyTooLarge: it is over `limit` bytes.
        """
        chunks, size = list[bytes](), 0
        while True:
            event = await self.receive()
            if event["type"] == "http.disconnect":
                raise ConnectionAbortedError
            chunks.append(event.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                raise BodyTooLarge
            if not event.get("more_body"):
                return b"".join(chunks)


@dataclass(slots=True)
class Response:
    """An answer; `content_type` is sent exactly as given, and left out when there is no body."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """A JSON answer."""
        return cls(status, dump_compact(value).encode(), headers=headers or {})

    async def send(self, send: Send, *, skew_s: float = 0.0, now: float | None = None, only: int | None = None) -> None:
        """Write it out.

        Args:
            send: the ASGI channel.
            skew_s: how wrong the Date header is.
            now: Unix seconds for the Date header; the machine's own when left out.
            only: send this many bytes of the body and leave the answer unfinished.
        """
        headers = {"Date": formatdate((now or 0) + skew_s, usegmt=True)} if now is not None else {}
        headers |= {"Content-Length": str(len(self.body)), **self.headers}
        if self.body:
            headers["Content-Type"] = self.content_type
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        body = self.body if only is None else self.body[:only]
        await send({"type": "http.response.body", "body": body, "more_body": only is not None})


def read_json(data: bytes) -> object:
    """A JSON body; raises ValueError when it is none."""
    return json.loads(data.decode("utf-8"))


def abort(transport: asyncio.Transport) -> None:
    """Cut a TCP connection so that the peer sees a reset, not an orderly end."""
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


async def until_gone(receive: Receive) -> None:
    """Wait until the client has left, so that an answer never given is not taken for a defect."""
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass


class _Http(HttpToolsProtocol):
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


class _WebSocket(WebSocketsSansIOProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)
        self.close_timeout = 2.0


class Listener:
    """One ASGI app on one loopback port, inside the running event loop."""

    def __init__(self, app: App, *, ws_max_size: int = 1 << 20) -> None:
        self._config = Config(
            app=app,
            http=_Http,
            ws=_WebSocket,
            interface="asgi3",
            lifespan="off",
            ws_max_size=ws_max_size,
            ws_ping_interval=None,
            ws_per_message_deflate=False,
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            proxy_headers=False,
        )
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self, port: int, what: str) -> int:
        """Listen; port 0 takes any free one. Returns the port.

        Raises:
            Occupied: the port is taken.
        """
        self._config.load()
        config, state = self._config, self._state
        try:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: _Http(config=config, server_state=state, app_state={}), HOST, port
            )
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise Occupied(
                f"{what} cannot listen on {HOST}:{port} ({error.strerror}): "
                "stop the program there or choose another port"
            ) from None
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, deadline_s: float = 1.0) -> None:
        """Stop listening, cut all connections and end their tasks."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            connection.transport.abort()
        tasks = list(self._state.tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=deadline_s / 2)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=deadline_s)
        self._server = None
