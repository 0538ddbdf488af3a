"""Listeners for one ASGI application on many unix sockets and TCP ports, inside our own event loop.

uvicorn's protocol classes do the parsing; its server loop, signals and logging set-up are not used, because
sockets come and go with tenants and workers while the process runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
import struct
from asyncio.base_events import Server
from asyncio.events import TimerHandle
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from shared.errors import ConfigError, Occupied

_PEER_FORMAT = "3i"
MAX_SOCKET_PATH_BYTES = 107
_HEADER_TIMEOUT_S = 30.0
_MAX_HEADER_BYTES = 64 << 10
_ABORT_GRACE_S = 1.0
_POLL_S = 0.01
_WAITING_AT_MOST = 512
_ACCEPTED_AT_ONCE = 16
"""Connections taken in one turn of the event loop: whoever is inside is answered between them, however many come."""
_GATHERED_BYTES = 64 << 10


def _with_peer(app_state: dict[str, Any], transport: asyncio.BaseTransport) -> dict[str, Any]:
    # A new dictionary: the listener's is shared by all its connections, and must not carry one peer to the next.
    connection = transport.get_extra_info("socket")
    if connection is None or connection.family != socket.AF_UNIX:
        return app_state
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_PEER_FORMAT))
    return {**app_state, "peer": struct.unpack(_PEER_FORMAT, raw)}


class _Http(HttpToolsProtocol):
    """Adds the peer, and bounds on how long and how large a request's head may be."""

    header_timeout_s: ClassVar[float] = _HEADER_TIMEOUT_S
    _head_timer: TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = _with_peer(self.app_state, transport)
        super().connection_made(transport)
        self._head_timer = self.loop.call_later(self.header_timeout_s, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_in()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._head_bytes = 0
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.header_timeout_s, self.transport.abort)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_is_in()
        super().on_headers_complete()

    def _count_head(self, count: int) -> None:
        self._head_bytes += count
        if self._head_bytes > _MAX_HEADER_BYTES:
            raise ValueError("request head too large")  # the parser turns it into a 400 and closes

    def _head_is_in(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


class _AbortableHttp(_Http):
    """Hands the application ways to end its connection, for emulators of upstreams that misbehave."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "reset": lambda: _reset(transport), "hang_up": transport.close}
        super().connection_made(transport)


def _reset(transport: asyncio.Transport) -> None:
    # Without lingering the kernel answers with RST instead of an orderly end.
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class _Gathering:
    """A transport that writes what is sent within one turn of the event loop as one.

    A call of the kernel for each frame costs more than making the frame, and wakes the other side each time.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._parts: list[bytes] = []
        self._bytes = 0

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport has
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not data:
            return
        if not self._parts:
            asyncio.get_running_loop().call_soon(self._flush)
        self._parts.append(data)
        self._bytes += len(data)
        if self._bytes > _GATHERED_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._parts and not self._transport.is_closing():
            self._transport.write(b"".join(self._parts))
        self._parts.clear()
        self._bytes = 0

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def reset(self) -> None:
        self._flush()  # what was sent before is on its way, as it would be without gathering
        _reset(self._transport)


class _WebSocket(WebSocketsSansIOProtocol):
    """Adds the peer: an upgrade makes a new protocol object, which knows nothing of the HTTP one's.

    The application may change the largest message it takes while it knows more of who sends: ``state["take_up_to"]``
    is called with the bytes.
    """

    def __init__(self, *, close_s: float, **uvicorns: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(**uvicorns)
        self.close_timeout = close_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        gathering = _Gathering(cast(asyncio.Transport, transport))
        self.app_state = {**_with_peer(self.app_state, transport), "take_up_to": self._take_up_to}
        if "reset" in self.app_state:
            self.app_state |= {"reset": gathering.reset, "hang_up": gathering.close}
        super().connection_made(cast(asyncio.BaseTransport, gathering))

    def _take_up_to(self, size: int) -> None:
        self.conn.max_message_size = size


_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 2\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class _Full(asyncio.Protocol):
    """Says that a socket has as many connections as it may, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        to_caller = cast(asyncio.Transport, transport)
        to_caller.write(_FULL)
        to_caller.close()


@dataclass(slots=True)
class _Listener:
    server: Server
    connections: ServerState
    path: Path | None

    def stop_accepting(self) -> None:
        self.server.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def ask_to_close(self) -> None:
        for connection in list(self.connections.connections):
            connection.shutdown()

    async def wait_idle(self, deadline_s: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + deadline_s
        while self.connections.tasks or self.connections.connections:
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def finish(self, deadline_s: float) -> None:
        self.ask_to_close()
        if not await self.wait_idle(deadline_s):
            await self.cut()

    async def cut(self) -> None:
        for connection in list(self.connections.connections):
            transport: asyncio.Transport = connection.transport
            transport.abort()  # the application sees a disconnect and may still tidy up
        if await self.wait_idle(_ABORT_GRACE_S):
            return
        tasks = list(self.connections.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class AsgiListeners:
    """Serves one ASGI application on any number of sockets.

    Each request's ``scope["state"]`` holds a copy of its socket's `state`, and for unix sockets ``"peer"``:
    the connecting process's ``(pid, uid, gid)`` as the kernel reports it. The application gets no lifespan events.

    Args:
        app: the ASGI 3 application.
        ws_max_bytes: largest WebSocket message a client may send; a larger one closes with 1009.
        ws_ping_s: seconds between WebSocket pings, and how long a pong may take; None for no pings.
        ws_close_s: seconds a WebSocket client may take to answer a close.
        keep_alive_s: seconds an idle connection stays open.
        with_reset: put two callables into each request's state: ``"reset"`` breaks its connection, and ``"hang_up"``
            ends it in good order, both without an answer.
    """

    def __init__(
        self,
        app: Any,  # noqa: ANN401 - ASGI frameworks type their applications in incompatible ways
        *,
        ws_max_bytes: int = 16 << 20,
        ws_ping_s: float | None = 20.0,
        ws_close_s: float = 10.0,
        keep_alive_s: int = 75,
        with_reset: bool = False,
        max_connections: int | None = None,
    ) -> None:
        self._max_connections = max_connections
        self._http: type[_Http] = _AbortableHttp if with_reset else _Http
        self._config = Config(
            app,
            http=self._http,
            ws=cast(type[asyncio.Protocol], partial(_WebSocket, close_s=ws_close_s)),
            ws_max_size=ws_max_bytes,
            ws_ping_interval=ws_ping_s,
            ws_ping_timeout=ws_ping_s,
            ws_per_message_deflate=False,
            timeout_keep_alive=keep_alive_s,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
        )
        self._config.load()
        self._unix: dict[Path, _Listener] = {}
        self._tcp: dict[tuple[str, int], _Listener] = {}

    async def __aenter__(self) -> AsgiListeners:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.close(0.0)

    async def add_unix(
        self, path: Path, *, state: Mapping[str, Any], mode: int = 0o600, owner: tuple[int, int] | None = None
    ) -> None:
        """Listen on a unix socket; the file left by a dead process is replaced.

        Args:
            path: at most 107 bytes; its folder must exist.
            state: put into every request's ``scope["state"]``.
            mode: of the socket file; connecting needs the write bit.
            owner: user and group id the file is given to.

        Raises:
            Occupied: somebody listens there, or the path is not a socket.
            ConfigError: the path is too long or its folder cannot be written.
        """
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            _bind_unix(listener, path, mode, owner)
            server, connections = await self._serve(listener, state)
        except BaseException:
            listener.close()
            raise
        self._unix[path] = _Listener(server, connections, path)

    async def add_tcp(self, host: str, port: int, *, state: Mapping[str, Any]) -> int:
        """Listen on a TCP port; 0 takes a free one.

        Returns:
            The port.

        Raises:
            Occupied: another program holds the port.
            ConfigError: the address cannot be bound.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # The protocol is named because asyncio switches Nagle's algorithm off only where it reads "TCP" here; left
        # on, every streamed piece waits some 40 ms for the other side's delayed acknowledgement.
        kind = socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        listener = socket.socket(family, kind, socket.IPPROTO_TCP)
        try:
            _bind_tcp(listener, host, port)
            bound = int(listener.getsockname()[1])
            server, connections = await self._serve(listener, state)
        except BaseException:
            listener.close()
            raise
        self._tcp[host, bound] = _Listener(server, connections, None)
        return bound

    async def remove(self, path: Path, *, deadline_s: float = 0.0) -> None:
        """Stop listening on a unix socket and delete it; requests still running after the deadline are cut."""
        listener = self._unix.pop(path, None)
        if listener is None:
            return
        listener.stop_accepting()
        await listener.finish(deadline_s)

    async def close(self, deadline_s: float) -> None:
        """Stop listening everywhere, let running requests finish until the deadline (seconds), then cut them.

        WebSockets are closed at once with 1012 (restart), so that their clients come back.
        """
        await asyncio.gather(*(listener.finish(deadline_s) for listener in self._stopped()))

    async def cut(self) -> None:
        """Stop listening everywhere and break every connection without a word."""
        await asyncio.gather(*(listener.cut() for listener in self._stopped()))

    def _stopped(self) -> list[_Listener]:
        listeners = [*self._unix.values(), *self._tcp.values()]
        self._unix.clear()
        self._tcp.clear()
        for listener in listeners:
            listener.stop_accepting()
        return listeners

    async def _serve(self, listener: socket.socket, state: Mapping[str, Any]) -> tuple[Server, ServerState]:
        loop = asyncio.get_running_loop()
        connections = ServerState()
        app_state = dict(state)

        def protocol() -> asyncio.Protocol:
            if self._max_connections is not None and len(connections.connections) >= self._max_connections:
                return _Full()
            return self._http(config=self._config, server_state=connections, app_state=app_state, _loop=loop)

        if listener.family == socket.AF_UNIX:
            server = await loop.create_unix_server(protocol, sock=listener, backlog=_WAITING_AT_MOST)
        else:
            # asyncio takes as many at once as may wait; the two numbers are told apart by saying the second one again.
            server = await loop.create_server(protocol, sock=listener, backlog=_ACCEPTED_AT_ONCE)
            listener.listen(_WAITING_AT_MOST)
        return server, connections


def _bind_unix(listener: socket.socket, path: Path, mode: int, owner: tuple[int, int] | None) -> None:
    if len(os.fsencode(path)) > MAX_SOCKET_PATH_BYTES:
        raise ConfigError(
            f"socket path {path} is longer than {MAX_SOCKET_PATH_BYTES} bytes: choose a shorter runtime directory",
            code="config.socket_path",
        )
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise Occupied(f"{path} exists and is not a socket: move it away", code="config.socket_path")
        if _answers(path):
            raise Occupied(
                f"another process listens on {path}: stop it first (`ss -xlp | grep {path.name}` names it)",
                code="config.socket_in_use",
            )
        path.unlink()
    try:
        listener.bind(str(path))
        # Nobody can connect before listen(), so the mode is right from the first moment that counts.
        path.chmod(mode)
        if owner is not None:
            os.chown(path, *owner)
    except OSError as error:
        raise ConfigError(
            f"cannot make socket {path}: {error.strerror}; its folder must exist and be writable for us",
            code="config.socket_path",
        ) from None


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
        return True


def _bind_tcp(listener: socket.socket, host: str, port: int) -> None:
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Occupied(
                f"port {port} on {host} is in use by another program: stop it (`ss -ltnp 'sport = :{port}'` names it)"
                " or choose another port",
                code="config.port_in_use",
            ) from None
        raise ConfigError(
            f"cannot listen on {host} port {port}: {error.strerror}; choose an address of this machine and a free port",
            code="config.listen",
        ) from None
