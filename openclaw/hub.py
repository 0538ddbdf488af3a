"""Connections of one gateway: sockets come in, are greeted, told what happens, and closed.

Each socket has a reader (which answers requests, see `openclaw.requests`) and a writer task. Nothing here blocks on a
slow client: see `openclaw.connection`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pydantic_core import from_json

from openclaw.admission import Admission
from openclaw.broadcasts import Broadcasts
from openclaw.connection import LIMITS, AsgiSend, Connection, Grant, Limits
from openclaw.health import health
from openclaw.hello import hello_ok
from openclaw.metrics import Counts
from openclaw.presence import Presence
from openclaw.protocol import events
from openclaw.protocol.errors import (
    CLOSE_NORMAL,
    CLOSE_POLICY,
    CLOSE_RESTART,
    CLOSE_TRY_LATER,
    Refused,
)
from openclaw.protocol.frames import Encoded, encode, event, request_id_of, response
from openclaw.protocol.handshake import Upgrade
from openclaw.protocol.registry import MethodTable
from openclaw.requests import Requests
from openclaw.services import Services
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

AsgiReceive = Callable[[], Awaitable[dict[str, Any]]]

_HEALTH_MAX_AGE_S: Final = 1.0
_HEALTH_TELL_S: Final = 5.0
_HEALTH_REFRESH_S: Final = 60.0
_PRESENCE_TELL_S: Final = 0.03
_CLOSE_WAIT_S: Final = 1.0
REVOKED: Final = "device access ended"
ACCESS_OVER: Final = "the Cloudflare Access session is over; sign in again"


class _Gone(Exception):
    """The other side closed the socket."""


class Hub:
    """All connections of one gateway.

    Args:
        admission: decides who is let in.
        table: the methods there are.
        counts: where handshakes are counted.
    """

    def __init__(
        self,
        admission: Admission,
        presence: Presence,
        table: MethodTable,
        *,
        limits: Limits = LIMITS,
        clock: Clock = SYSTEM_CLOCK,
        counts: Counts | None = None,
    ) -> None:
        self._admission = admission
        self._presence = presence
        self._table = table
        self._limits = limits
        self._clock = clock
        self._counts = counts or Counts()
        self._events = Broadcasts()
        self._sockets: set[Connection] = set()
        self._attached: tuple[Services, Requests] | None = None
        self._health: dict[str, Any] | None = None
        self._health_text = Encoded("")
        self._health_at = float("-inf")
        self._health_told_at = clock.monotonic()
        self._tasks = TaskPool("hub")
        self._started_at = clock.monotonic()
        self._stopping = False
        self._quiet = asyncio.Event()
        self._presence_timer: asyncio.TimerHandle | None = None

    def attach(self, services: Services) -> None:
        """Hand over what the methods need; call once, before the first connection."""
        self._attached = (services, Requests(self._table, services))

    def _parts(self) -> tuple[Services, Requests]:
        if self._attached is None:
            raise RuntimeError("the hub has no services yet")
        return self._attached

    @property
    def services(self) -> Services:
        """What the methods need."""
        return self._parts()[0]

    @property
    def _strangers(self) -> int:
        """Sockets whose handshake is not done."""
        return len(self._sockets) - len(self._events.connections)

    def start(self) -> None:
        """Begin to tick."""
        self._tasks.start(self._tick(), name="tick")

    @property
    def connections(self) -> list[Connection]:
        """Connections after their handshake."""
        return self._events.connections

    # --- events --------------------------------------------------------------------

    def broadcast(self, name: str, payload: dict[str, Any], *, state_version: bool = False) -> None:
        """Tell every connection that may hear it; encoded once, numbered once."""
        self._events.presence_version = self._presence.version
        self._events.tell(name, payload, state_version=state_version)

    def tell_tool(self, connection_id: str, payload: dict[str, Any]) -> None:
        """Send a tool event to the one connection that asked for the run, if it wants tool events."""
        self._events.tell_tool(connection_id, payload)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._limits.tick_s)
            self.broadcast(events.TICK, {"ts": unix_ms(self._clock.now())})
            if self._events and self._clock.monotonic() - self._health_at > _HEALTH_REFRESH_S:
                self.health()

    def tell_presence(self) -> None:
        """Tell everybody who is there, in a moment: many who come at once are told as one change.

        The moment grows with the number of those who hear it. Otherwise a thousand clients that connect in turn, each
        told to all before it, would cost a million messages of the whole table.
        """
        if self._presence_timer is None and not self._stopping:
            delay_s = _PRESENCE_TELL_S * (1 + len(self._events) / 10)
            self._presence_timer = asyncio.get_running_loop().call_later(delay_s, self._tell_presence_now)

    def _tell_presence_now(self) -> None:
        self._presence_timer = None
        self.broadcast(events.PRESENCE, {"presence": self._presence.listing()}, state_version=True)

    def health(self, *, fresh: bool = False, tell: bool = False) -> Encoded:
        """The health payload, at most a second old; everybody is told of a newer one now and then.

        Encoded once for all who ask within that second.

        Args:
            fresh: made anew in any case.
            tell: everybody is told in any case.
        """
        now = self._clock.monotonic()
        if self._health is None or fresh or now - self._health_at > _HEALTH_MAX_AGE_S:
            self._health, self._health_at = health(self.services), now
            self._health_text = Encoded.of(self._health)
            if tell or now - self._health_told_at > _HEALTH_TELL_S:
                self._health_told_at = now
                self._events.health_version += 1
                self.broadcast(events.HEALTH, self._health, state_version=True)
        return self._health_text

    # --- one socket ----------------------------------------------------------------

    async def serve(
        self,
        upgrade: Upgrade,
        receive: AsgiReceive,
        send: AsgiSend,
        take_up_to: Callable[[int], None],
        *,
        lasts_until: float | None = None,
    ) -> None:
        """Accept one WebSocket and handle it until it ends.

        Args:
            upgrade: what the upgrade request told.
            receive: ASGI's.
            send: ASGI's.
            take_up_to: sets the largest message the socket takes, in bytes; small until the handshake is done.
            lasts_until: Unix seconds when the pass is over that the request came with; the socket is closed then.
        """
        await receive()
        if not upgrade.local and self._strangers >= self._limits.max_strangers:
            self._counts.connects["crowded"] += 1
            await send({"type": "websocket.close", "code": CLOSE_TRY_LATER, "reason": ""})  # not accepted: HTTP 403
            return
        connection = Connection(upgrade, self._limits, take_up_to)
        challenge = event(events.CHALLENGE, {"nonce": connection.nonce, "ts": unix_ms(self._clock.now())})
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": encode(challenge)})  # at once: it goes out with the accept
        self._sockets.add(connection)
        pool = TaskPool(f"ws.{connection.id[:8]}")
        writer = pool.start(connection.write_out(send), name="writer")
        reader = pool.start(self._converse(connection, receive, pool), name="reader")
        if lasts_until is not None:
            pool.start(self._end_at(connection, lasts_until), name="pass")
        try:
            await asyncio.wait([reader, writer], return_when=asyncio.FIRST_COMPLETED)
            if connection.is_closing():
                await asyncio.wait([writer], timeout=self._limits.close_grace_s)
        finally:
            self._leave(connection)
            await pool.close()
            self._sockets.discard(connection)
            self._check_quiet()

    async def _end_at(self, connection: Connection, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - self._clock.now().timestamp()))
        connection.close(CLOSE_POLICY, ACCESS_OVER)

    async def _converse(self, connection: Connection, receive: AsgiReceive, pool: TaskPool) -> None:
        try:
            if await self._shake_hands(connection, receive):
                await self._parts()[1].serve(connection, lambda: _receive_text(receive), pool)
        except _Gone:
            connection.gone()

    async def _shake_hands(self, connection: Connection, receive: AsgiReceive) -> bool:
        """Read the first frame and let the connection in; false when it is being closed."""
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                text = await _receive_text(receive)
        except TimeoutError:
            connection.close(CLOSE_NORMAL)
            return False
        try:
            frame = from_json(text)
        except ValueError:
            connection.close(CLOSE_NORMAL)
            return False
        request_id = request_id_of(frame)
        try:
            if self._stopping:
                raise Refused("UNAVAILABLE", "service restart", close_code=CLOSE_RESTART)
            admitted = await self._admission.admit(connection, frame)
        except Refused as refused:
            self._counts.connects[outcome_of(refused)] += 1
            _log.info(
                "connection.refused",
                conn_id=connection.id[:8],
                reason=refused.message,
                local=connection.upgrade.local,
                origin=connection.upgrade.origin[:100],
                host=connection.upgrade.host[:100],
            )
            connection.send(refused.frame(request_id))
            connection.close(refused.close_code, refused.close_reason)
            return False
        self._counts.connects["ok"] += 1
        connection.grant = admitted.grant
        connection.take_up_to(self._limits.max_payload_bytes)
        self.health()
        self._events.presence_version = self._presence.version
        hello = hello_ok(
            self.services,
            connection,
            admitted,
            methods=self._table.advertised,
            health=self._health or {},
            state_version=self._events.state_version,
            uptime_ms=int((self._clock.monotonic() - self._started_at) * 1000),
        )
        connection.send(response(request_id, hello))
        self._join(connection, admitted.grant)
        return True

    def _join(self, connection: Connection, grant: Grant) -> None:
        self._events.add(connection)
        _log.info(
            "connection.opened",
            conn_id=connection.id[:8],
            client=grant.client.id,
            mode=grant.client.mode,
            role=grant.role,
            device=grant.device_id[:12],
            local=connection.upgrade.local,
        )
        if grant.client.mode != "cli":
            ip = "" if connection.upgrade.local else connection.upgrade.client_ip
            self._presence.joined(
                _presence_key(connection, grant),
                grant.client,
                ip=ip,
                device_id=grant.device_id,
                role=grant.role,
                scopes=sorted(grant.scopes),
            )
            self.tell_presence()

    def _leave(self, connection: Connection) -> None:
        grant = connection.grant
        if grant is None or not self._events.remove(connection):
            return
        _log.info("connection.closed", conn_id=connection.id[:8], client=grant.client.id)
        if grant.client.mode != "cli":
            self._presence.left(_presence_key(connection, grant))
            self.tell_presence()

    # --- ending --------------------------------------------------------------------

    def end_device(self, which: Callable[[Grant], bool], *, but: str = "") -> None:
        """Close live connections: what they send from now on is not handled.

        Args:
            which: says for a connection's grant whether it ends.
            but: id of a connection to leave out, so that it can be answered first.
        """
        for connection in self.connections:
            if connection.grant is not None and connection.id != but and which(connection.grant):
                connection.close(CLOSE_POLICY, REVOKED)

    async def stop(self, reason: str, *, restart_expected_ms: int | None = None) -> None:
        """Tell everybody, close every socket with 1012, and wait a moment for the closes to go out."""
        self._stopping = True
        if self._presence_timer is not None:
            self._presence_timer.cancel()
        self.broadcast(events.SHUTDOWN, {"reason": reason, "restartExpectedMs": restart_expected_ms})
        for connection in list(self._sockets):
            connection.close(CLOSE_RESTART, "service restart")
        self._check_quiet()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_WAIT_S):
                await self._quiet.wait()
        await self._tasks.close()

    def _check_quiet(self) -> None:
        if self._stopping and not self._sockets:
            self._quiet.set()


def outcome_of(refused: Refused) -> str:
    """A refusal's name among the figures: from the protocol's closed set of reasons."""
    return str((refused.details or {}).get("code", refused.code)).lower()


def _presence_key(connection: Connection, grant: Grant) -> str:
    return grant.device_id or grant.client.instance_id or connection.id


async def _receive_text(receive: AsgiReceive) -> str:
    message = await receive()
    if message["type"] != "websocket.receive":
        raise _Gone
    text = message.get("text")
    return str(text) if text is not None else bytes(message.get("bytes") or b"").decode(errors="replace")
