"""One WebSocket: what it may do, and a bounded outbox that one task writes out."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from openclaw.protocol.errors import CLOSE_POLICY, cut_reason
from openclaw.protocol.frames import ClientInfo, Role, encode
from openclaw.protocol.handshake import Upgrade

AsgiSend = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """The protocol's bounds; tests use smaller ones.

    Attributes:
        max_payload_bytes: largest frame from a client.
        max_buffered_bytes: unsent bytes a client may let pile up.
        max_hello_bytes: largest frame before the handshake is done.
        handshake_s: time to send ``connect``.
        tick_s: interval of ``tick`` events.
        close_grace_s: time a closing socket gets to take what is queued.
        in_flight: requests of one socket worked on at the same time; more wait in the socket.
        ping_s: interval of WebSocket pings, and how long a pong may take: a peer that vanished is found out, and a
            tunnel sees traffic before its idle limit (edge notes §1.4); None sends none.
        max_strangers: sockets from elsewhere that may be in their handshake at once; more are turned away.
    """

    max_payload_bytes: int = 26_214_400
    max_buffered_bytes: int = 52_428_800
    max_hello_bytes: int = 65_536
    handshake_s: float = 10.0
    tick_s: float = 30.0
    close_grace_s: float = 5.0
    in_flight: int = 64
    ping_s: float | None = 25.0
    max_strangers: int = 1000


LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class _Close:
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What a connection was given at the handshake.

    Attributes:
        device_id: empty for a connection without a device.
        by_device_token: it came in with its device token, not with the gateway token.
    """

    client: ClientInfo
    role: Role
    scopes: frozenset[str]
    caps: frozenset[str] = frozenset()
    device_id: str = ""
    by_device_token: bool = False


@dataclass(eq=False)
class Connection:
    """A socket from its upgrade to its end.

    `send` and `close` never wait: frames go to the outbox, which the writer task empties. A client that lets it
    grow beyond the bound loses droppable frames, then the connection.

    Attributes:
        take_up_to: sets the largest message the socket takes, in bytes.
    """

    upgrade: Upgrade
    limits: Limits
    take_up_to: Callable[[int], None]
    id: str = field(default_factory=lambda: str(uuid4()))
    nonce: str = field(default_factory=lambda: str(uuid4()))
    grant: Grant | None = None
    unauthorized: int = 0
    _closing: bool = False
    _outbox: deque[str | _Close] = field(default_factory=deque)
    _buffered_bytes: int = 0  # characters, close enough to bytes for a bound
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _writer: asyncio.Task[None] | None = None

    def is_closing(self) -> bool:
        """It is ending: nothing more is sent or handled."""
        return self._closing

    def send(self, frame: dict[str, Any]) -> None:
        """Queue a frame."""
        self.send_text(encode(frame))

    def send_text(self, text: str, *, droppable: bool = False) -> None:
        """Queue an encoded frame; a droppable one is skipped when the client is slow."""
        if self._closing:
            return
        if self._buffered_bytes + len(text) > self.limits.max_buffered_bytes:
            if not droppable:
                self._outbox.clear()
                self._buffered_bytes = 0
                self.close(CLOSE_POLICY, "slow consumer")
            return
        self._outbox.append(text)
        self._buffered_bytes += len(text)
        self._wake.set()

    def close(self, code: int, reason: str = "") -> None:
        """Close after what is queued; nothing of the client's is handled from now on."""
        if self._closing:
            return
        self._closing = True
        self._outbox.append(_Close(code, cut_reason(reason)))
        self._wake.set()
        if self._writer is not None:
            # A client that does not read would keep the writer waiting for ever.
            asyncio.get_running_loop().call_later(self.limits.close_grace_s, self._writer.cancel)

    def gone(self) -> None:
        """The other side is away: stop writing."""
        self._closing = True
        if self._writer is not None:
            self._writer.cancel()

    async def write_out(self, send: AsgiSend) -> None:
        """Write the outbox until the connection closes; run as the connection's writer task."""
        self._writer = asyncio.current_task()
        try:
            while True:
                while self._outbox:
                    item = self._outbox.popleft()
                    if isinstance(item, _Close):
                        await send({"type": "websocket.close", "code": item.code, "reason": item.reason})
                        return
                    await send({"type": "websocket.send", "text": item})
                    self._buffered_bytes = max(0, self._buffered_bytes - len(item))
                self._wake.clear()
                await self._wake.wait()
        except OSError:
            self._closing = True  # the peer went away; the reader hears of it by itself
