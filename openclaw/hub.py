"""Connections: the handshake, the dispatch of requests, broadcasts, ticks, presence and the end.

Each socket has a reader (the ASGI task), a writer task and a few tasks for requests under way. Nothing here blocks on
a slow client: see `openclaw.connection`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from openclaw.connection import LIMITS, AsgiSend, Connection, Grant, Limits
from openclaw.devices import Asking, Devices
from openclaw.health import health
from openclaw.limiter import AttemptLimiter
from openclaw.presence import Presence
from openclaw.protocol import events, handshake
from openclaw.protocol.errors import (
    CLOSE_NORMAL,
    CLOSE_POLICY,
    CLOSE_RESTART,
    CLOSE_TOO_BIG,
    ProtocolError,
    Refused,
    from_exception,
    invalid,
    problems,
)
from openclaw.protocol.frames import (
    PROTOCOL_VERSION,
    SERVER_VERSION,
    ConnectParams,
    RequestFrame,
    Role,
    encode,
    event,
    response,
)
from openclaw.protocol.registry import Call, Method, MethodTable, authorize, read_params, unknown_method
from openclaw.protocol.scopes import allows, event_scope
from openclaw.services import Services
from openclaw.sessions import AGENT_ID, MAIN_KEY, MAIN_SESSION
from openclaw.store import TokenRow
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.errors import GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.secrets.files import Secret

_log = get_logger(__name__)

AsgiReceive = Callable[[], Awaitable[dict[str, Any]]]

MAX_UNAUTHORIZED: Final = 10
_HEALTH_MAX_AGE_S: Final = 1.0
_HEALTH_TELL_S: Final = 5.0
_HEALTH_REFRESH_S: Final = 60.0
_CLOSE_WAIT_S: Final = 1.0
REVOKED: Final = "device access ended"


@dataclass(frozen=True, slots=True)
class HubPolicy:
    """What the hub must know of the policy.

    Attributes:
        allowed_origins: exact origins beside loopback.
        trusted_proxies: networks whose ``X-Forwarded-For`` is believed.
    """

    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    max_attempts: int = 10
    window_s: float = 60.0
    lockout_s: float = 300.0


class _Gone(Exception):
    """The other side closed the socket."""


class Hub:
    """All connections of one gateway.

    Args:
        secret: the gateway token.
        table: the methods there are.
    """

    def __init__(
        self,
        secret: Secret,
        devices: Devices,
        presence: Presence,
        table: MethodTable,
        policy: HubPolicy,
        *,
        limits: Limits = LIMITS,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._secret = secret
        self._devices = devices
        self._presence = presence
        self._table = table
        self._policy = policy
        self._limits = limits
        self._clock = clock
        self._limiter = AttemptLimiter(policy.max_attempts, policy.window_s, policy.lockout_s, clock)
        self._connections: dict[str, Connection] = {}
        self._sockets: set[Connection] = set()
        self._services: Services | None = None
        self._seq = 0
        self._health_version = 1
        self._health: dict[str, Any] | None = None
        self._health_at = float("-inf")
        self._health_told_at = clock.monotonic()
        self._tasks = TaskPool("hub")
        self._started_at = clock.monotonic()
        self._stopping = False
        self._quiet = asyncio.Event()

    def attach(self, services: Services) -> None:
        """Hand over what the methods need; call once, before the first connection."""
        self._services = services

    @property
    def services(self) -> Services:
        """What the methods need."""
        if self._services is None:
            raise RuntimeError("the hub has no services yet")
        return self._services

    def start(self) -> None:
        """Begin to tick."""
        self._tasks.start(self._tick(), name="tick")

    @property
    def connections(self) -> list[Connection]:
        """Connections after their handshake."""
        return list(self._connections.values())

    # --- events --------------------------------------------------------------------

    def broadcast(self, name: str, payload: dict[str, Any], *, state_version: bool = False) -> None:
        """Tell every connection that may hear it; encoded once, numbered once."""
        self._seq += 1
        version = self._state_version() if state_version else None
        text = encode(event(name, payload, seq=self._seq, state_version=version))
        droppable = events.is_droppable(name, payload)
        scope = event_scope(name)
        for connection in list(self._connections.values()):
            if connection.grant is not None and allows(connection.grant.scopes, scope):
                connection.send_text(text, droppable=droppable)

    def tell_tool(self, connection_id: str, payload: dict[str, Any]) -> None:
        """Send a tool event to the one connection that asked for the run, if it wants tool events."""
        connection = self._connections.get(connection_id)
        if connection is not None and connection.grant is not None and "tool-events" in connection.grant.caps:
            connection.send_text(encode(event(events.AGENT, payload)), droppable=True)

    def _state_version(self) -> dict[str, int]:
        return {"presence": self._presence.version, "health": self._health_version}

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._limits.tick_s)
            self.broadcast(events.TICK, {"ts": unix_ms(self._clock.now())})
            if self._connections and self._clock.monotonic() - self._health_at > _HEALTH_REFRESH_S:
                self.health()

    def _tell_presence(self) -> None:
        self.broadcast(events.PRESENCE, {"presence": self._presence.listing()}, state_version=True)

    def health(self, *, fresh: bool = False) -> dict[str, Any]:
        """The health payload, at most a second old; everybody is told of a newer one now and then."""
        now = self._clock.monotonic()
        if self._health is None or fresh or now - self._health_at > _HEALTH_MAX_AGE_S:
            self._health, self._health_at = health(self.services), now
            if now - self._health_told_at > _HEALTH_TELL_S:
                self._health_told_at = now
                self._health_version += 1
                self.broadcast(events.HEALTH, self._health, state_version=True)
        return self._health

    # --- one socket ----------------------------------------------------------------

    async def serve(self, peer: str, headers: Mapping[str, str], receive: AsgiReceive, send: AsgiSend) -> None:
        """Accept one WebSocket and handle it until it ends.

        Args:
            peer: the TCP peer's address.
            headers: of the upgrade request, names in lower case.
            receive: ASGI's.
            send: ASGI's.
        """
        await receive()
        await send({"type": "websocket.accept"})
        upgrade = handshake.read_upgrade(peer, headers, self._policy.trusted_proxies)
        connection = Connection(upgrade, self._limits)
        self._sockets.add(connection)
        pool = TaskPool(f"ws.{connection.id[:8]}")
        writer = pool.start(connection.write_out(send), name="writer")
        now = unix_ms(self._clock.now())
        connection.send(event(events.CHALLENGE, {"nonce": connection.nonce, "ts": now}))
        reader = pool.start(self._converse(connection, receive, pool), name="reader")
        try:
            await asyncio.wait([reader, writer], return_when=asyncio.FIRST_COMPLETED)
            if connection.is_closing():
                await asyncio.wait([writer], timeout=self._limits.close_grace_s)
        finally:
            self._leave(connection)
            await pool.close()
            self._sockets.discard(connection)
            self._check_quiet()

    async def _converse(self, connection: Connection, receive: AsgiReceive, pool: TaskPool) -> None:
        try:
            if await self._shake_hands(connection, receive):
                await self._read(connection, receive, pool)
        except _Gone:
            connection.gone()

    async def _receive_text(self, receive: AsgiReceive) -> str:
        message = await receive()
        if message["type"] != "websocket.receive":
            raise _Gone
        text = message.get("text")
        return str(text) if text is not None else bytes(message.get("bytes") or b"").decode(errors="replace")

    async def _shake_hands(self, connection: Connection, receive: AsgiReceive) -> bool:
        """Read the first frame and let the connection in; false when it is being closed."""
        try:
            async with asyncio.timeout(self._limits.handshake_s):
                text = await self._receive_text(receive)
        except TimeoutError:
            connection.close(CLOSE_NORMAL)
            return False
        if len(text) > self._limits.max_hello_bytes:
            connection.close(CLOSE_TOO_BIG)
            return False
        try:
            frame = from_json(text)
        except ValueError:
            connection.close(CLOSE_NORMAL)
            return False
        request_id = _request_id(frame)
        try:
            hello, grant = await self._admit(connection, frame)
        except Refused as refused:
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
        connection.grant = grant
        connection.send(response(request_id, hello))
        self._join(connection, grant)
        return True

    async def _admit(self, connection: Connection, frame: object) -> tuple[dict[str, Any], Grant]:
        """The handshake's checks in the protocol's order.

        Raises:
            Refused: with the answer to give and the close that follows.
        """
        if self._stopping:
            raise Refused("UNAVAILABLE", "service restart", close_code=CLOSE_RESTART)
        params = _connect_params(frame)
        handshake.check_protocol(params)
        role = handshake.check_role(params)
        handshake.check_origin(params, connection.upgrade, self._policy.allowed_origins)
        shared = handshake.check_shared_secret(params.auth, self._secret.reveal())
        source = self._source(connection.upgrade)
        if source and self._limiter.locked_for_s(source):
            shared = "rate_limited"
        if params.device is None:
            scopes = handshake.decide_missing_device(params, role, shared_ok=shared == "ok")
            self._enforce(shared, params, source)
            grant = Grant(params.client, role, frozenset(scopes), frozenset(params.caps))
            return self._hello(connection, None), grant
        handshake.verify_device(params, role, nonce=connection.nonce, now_ms=unix_ms(self._clock.now()))
        by_token = shared not in {"ok", "rate_limited"} and self._by_device_token(params, role)
        if not by_token and params.auth.device_token and shared in {"token_missing", "token_mismatch"}:
            shared = "device_token_mismatch"
        self._enforce("ok" if by_token else shared, params, source)
        asking = self._asking(connection, params, role)
        await self._pair(asking, connection.upgrade)
        token, row = await self._devices.admit(asking)
        grant = Grant(
            params.client,
            role,
            frozenset(params.scopes),
            frozenset(params.caps),
            device_id=params.device.id,
            by_device_token=by_token,
        )
        return self._hello(connection, (token, row)), grant

    def _source(self, upgrade: handshake.Upgrade) -> str:
        """Whom failures count against; empty for programs at this machine, which are not limited.

        Browsers at this machine share one count, visitors that come through a tunnel to this machine another: they
        must not be able to lock the owner out.
        """
        if upgrade.local:
            return "local" if upgrade.origin else ""
        return "forwarded" if handshake.is_loopback_ip(upgrade.client_ip) else upgrade.client_ip

    def _enforce(self, reason: handshake.AuthReason, params: ConnectParams, source: str) -> None:
        if reason == "ok":
            if source:
                self._limiter.passed(source)
            return
        # Who has no token yet is not guessing.
        if source and reason != "token_missing":
            self._limiter.failed(source)
        raise handshake.refuse_auth(reason, params)

    def _by_device_token(self, params: ConnectParams, role: Role) -> bool:
        candidate = params.auth.device_token or params.auth.token
        device = params.device
        return bool(candidate and device and self._devices.check_token(device.id, role, candidate, params.scopes))

    def _asking(self, connection: Connection, params: ConnectParams, role: Role) -> Asking:
        if params.device is None:
            raise ValueError("no device was presented")
        upgrade = connection.upgrade
        remote_ip = None if upgrade.local or handshake.is_loopback_ip(upgrade.client_ip) else upgrade.client_ip
        return Asking(
            device_id=params.device.id,
            public_key=params.device.public_key,
            client=params.client,
            role=role,
            scopes=tuple(params.scopes),
            remote_ip=remote_ip,
        )

    async def _pair(self, asking: Asking, upgrade: handshake.Upgrade) -> None:
        knock = handshake.Knock(
            public_key=asking.public_key,
            role=asking.role,
            scopes=asking.scopes,
            platform=asking.client.platform,
            device_family=asking.client.device_family or "",
            client_id=asking.client.id,
            local=upgrade.local,
            has_origin=bool(upgrade.origin),
        )
        decision = handshake.decide_pairing(knock, self._devices.known(asking.device_id))
        if decision.kind == "approve":
            await self._devices.approve_silently(asking)
        elif decision.kind == "ask":
            request_id = await self._devices.ask(asking)
            raise Refused(
                "NOT_PAIRED",
                "pairing required",
                details={"code": "PAIRING_REQUIRED", "requestId": request_id, "reason": decision.reason},
            )

    def _hello(self, connection: Connection, issued: tuple[str, TokenRow] | None) -> dict[str, Any]:
        services = self.services
        hello: dict[str, Any] = {
            "type": "hello-ok",
            "protocol": PROTOCOL_VERSION,
            "server": {"version": SERVER_VERSION, "connId": connection.id},
            "features": {"methods": self._table.advertised, "events": list(events.ADVERTISED)},
            "snapshot": {
                "presence": self._presence.listing(),
                "health": self.health(),
                "stateVersion": self._state_version(),
                "uptimeMs": int((self._clock.monotonic() - self._started_at) * 1000),
                "configPath": str(services.folder / "openclaw.json"),
                "stateDir": str(services.folder),
                "sessionDefaults": {
                    "defaultAgentId": AGENT_ID,
                    "mainKey": MAIN_KEY,
                    "mainSessionKey": MAIN_SESSION,
                    "scope": "per-sender",
                },
                "authMode": "token",
            },
            "policy": {
                "maxPayload": self._limits.max_payload_bytes,
                "maxBufferedBytes": self._limits.max_buffered_bytes,
                "tickIntervalMs": int(self._limits.tick_s * 1000),
            },
        }
        if issued is not None:
            token, row = issued
            hello["auth"] = {
                "deviceToken": token,
                "role": row.role,
                "scopes": list(row.scopes),
                "issuedAtMs": unix_ms(row.rotated_at or row.created_at),
            }
        return hello

    def _join(self, connection: Connection, grant: Grant) -> None:
        self._connections[connection.id] = connection
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
            self._tell_presence()

    def _leave(self, connection: Connection) -> None:
        grant = connection.grant
        if grant is None or self._connections.pop(connection.id, None) is None:
            return
        _log.info("connection.closed", conn_id=connection.id[:8], client=grant.client.id)
        if grant.client.mode != "cli":
            self._presence.left(_presence_key(connection, grant))
            self._tell_presence()

    # --- requests ------------------------------------------------------------------

    async def _read(self, connection: Connection, receive: AsgiReceive, pool: TaskPool) -> None:
        slots = asyncio.Semaphore(self._limits.in_flight)
        while not connection.is_closing():
            text = await self._receive_text(receive)
            if connection.is_closing():
                return
            request = self._parse(connection, text)
            if request is not None:
                await slots.acquire()
                task = pool.start(self._answer(connection, request), name=request.method[:40])
                task.add_done_callback(lambda _task: slots.release())

    def _parse(self, connection: Connection, text: str) -> RequestFrame | None:
        try:
            return RequestFrame.model_validate_json(text)
        except ValidationError as error:
            try:
                frame = from_json(text)
            except ValueError:
                _log.warning("frame.ignored", conn_id=connection.id[:8], reason="not JSON", chars=len(text))
                return None
            refusal = invalid(f"invalid request frame: {problems(error)}")
            connection.send(refusal.frame(_request_id(frame)))
            return None

    async def _answer(self, connection: Connection, request: RequestFrame) -> None:
        grant = connection.grant
        if grant is None or connection.is_closing():
            return
        call = Call(self.services, connection, grant, request.id)
        try:
            payload = await self._handle(call, request)
        except ProtocolError as error:
            connection.send(error.frame(request.id))
            self._count_unauthorized(connection, error)
        except GatewayError as error:
            connection.send(from_exception(error).frame(request.id))
        except Exception:  # noqa: BLE001 - a handler's defect must not cost the client its connection
            _log.exception("method.failed", method=request.method, conn_id=connection.id[:8])
            connection.send(ProtocolError("UNAVAILABLE", f"internal error in {request.method}").frame(request.id))
        else:
            connection.unauthorized = 0
            connection.send(response(request.id, payload))
        for later in call.after:
            later()

    async def _handle(self, call: Call, request: RequestFrame) -> object:
        method: Method | None = self._table.get(request.method)
        authorize(request.method, method, call.grant)
        if method is None:
            raise unknown_method(request.method)
        return await method.handler(call, read_params(method, request.params))

    def _count_unauthorized(self, connection: Connection, error: ProtocolError) -> None:
        if not error.message.startswith("unauthorized role"):
            connection.unauthorized = 0
            return
        connection.unauthorized += 1
        if connection.unauthorized > MAX_UNAUTHORIZED:
            connection.close(CLOSE_POLICY, "repeated unauthorized calls")

    # --- ending --------------------------------------------------------------------

    def end_device(self, device_id: str, role: str | None, *, token_only: bool = False, but: str = "") -> None:
        """Close a device's live connections: what they send from now on is not handled.

        Args:
            device_id: whose.
            role: only in this role; None for all.
            token_only: only those that came in with the device token.
            but: id of a connection to leave out, so that it can be answered first.
        """
        for connection in self.connections:
            grant = connection.grant
            if grant is None or grant.device_id != device_id or role not in (None, grant.role):
                continue
            if token_only and not grant.by_device_token:
                continue
            if connection.id == but:
                continue
            connection.close(CLOSE_POLICY, REVOKED)

    async def stop(self, reason: str, *, restart_expected_ms: int | None = None) -> None:
        """Tell everybody, close every socket with 1012, and wait a moment for the closes to go out."""
        self._stopping = True
        self.broadcast(events.SHUTDOWN, {"reason": reason, "restartExpectedMs": restart_expected_ms})
        for connection in list(self._sockets):
            connection.close(CLOSE_RESTART, "service restart")
        self._check_quiet()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), _CLOSE_WAIT_S)
        await self._tasks.close()

    def _check_quiet(self) -> None:
        if self._stopping and not self._sockets:
            self._quiet.set()


def _presence_key(connection: Connection, grant: Grant) -> str:
    return grant.device_id or grant.client.instance_id or connection.id


def _request_id(frame: object) -> str:
    request_id = frame.get("id") if isinstance(frame, dict) else None
    return request_id if isinstance(request_id, str) and request_id else "invalid"


def _connect_params(frame: object) -> ConnectParams:
    try:
        request = RequestFrame.model_validate(frame)
    except ValidationError as error:
        raise Refused(
            "INVALID_REQUEST",
            f"invalid request frame: {problems(error)}",
            close_reason="invalid request frame",
        ) from None
    if request.method != "connect":
        raise Refused("INVALID_REQUEST", "invalid handshake: first request must be connect")
    try:
        return ConnectParams.model_validate({} if request.params is None else request.params)
    except ValidationError as error:
        raise Refused("INVALID_REQUEST", f"invalid connect params: {problems(error)}") from None
