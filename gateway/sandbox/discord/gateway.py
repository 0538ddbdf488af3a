"""The gateway WebSocket: handshake, heartbeats, resume, ordered sending, and misbehaviour on request."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import parse_qs

from gateway.sandbox.discord.asgi import Receive, Scope, Send, until_gone
from gateway.sandbox.discord.limits import LimitPolicy
from gateway.sandbox.discord.models import (
    ALL_INTENTS,
    KNOWN_INTENT_BITS,
    PRIVILEGED,
    Application,
    Intent,
    Json,
    User,
    dump_compact,
)
from gateway.sandbox.discord.sessions import Frame, Session
from gateway.sandbox.discord.snowflake import parse_snowflake
from gateway.sandbox.discord.wire import Viewer
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import EDGE_PAGE, Fault, FaultPlan

FRAME_LIMIT_BYTES = 4_096
FRAMES_PER_MINUTE = 120
HEARTBEAT_GRACE = 1.5
"""A client may be this many intervals late before the session times out."""
_DAY_S = 86_400.0
_LINGER_S = 2.0

_DISPATCH, _HEARTBEAT, _IDENTIFY, _PRESENCE, _VOICE, _RESUME = 0, 1, 2, 3, 4, 6
_RECONNECT, _MEMBERS, _INVALID, _HELLO, _ACK = 7, 8, 9, 10, 11
UNKNOWN_ERROR, BAD_OPCODE, DECODE_ERROR, NOT_IDENTIFIED, BAD_TOKEN = 4000, 4001, 4002, 4003, 4004
TWICE_IDENTIFIED, BAD_SEQ, TOO_MANY, TIMED_OUT, BAD_SHARD = 4005, 4007, 4008, 4009, 4010
BAD_VERSION, BAD_INTENTS, DISALLOWED_INTENTS = 4012, 4013, 4014


class _Close(Exception):
    """End the connection with this close code."""

    def __init__(self, code: int) -> None:
        super().__init__(str(code))
        self.code = code


@dataclass(frozen=True, slots=True)
class _Disrupt:
    kind: str
    code: int = UNKNOWN_ERROR
    resumable: bool = True


@dataclass(frozen=True, slots=True)
class _Stall:
    seconds: float


_Outgoing = Frame | _Disrupt | _Stall | dict[str, Any] | None


class GatewayServer:
    """Accepts gateway connections for a world."""

    def __init__(self, world: World, faults: FaultPlan, limits: LimitPolicy, *, heartbeat_ms: int) -> None:
        self.world, self.faults, self.limits = world, faults, limits
        self.heartbeat_ms = heartbeat_ms
        self.url = ""

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One WebSocket, from the upgrade to its end."""
        fault = self.faults.take("discord", "gateway.connect")
        await receive()
        if fault is not None and not fault.applied and await self._refused(fault, scope, receive, send):
            return
        await send({"type": "websocket.accept"})
        if fault is not None and fault.kind == "close":
            await send({"type": "websocket.close", "code": fault.status or UNKNOWN_ERROR})
            return
        await _Connection(self, scope, receive, send).run()

    async def _refused(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> bool:
        if fault.kind == "stall":
            await asyncio.sleep(fault.seconds)
            return False
        if fault.kind in ("status", "edge_page"):
            body, kind = fault.payload() or (EDGE_PAGE, "text/html")
            headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
            headers += [(name.lower().encode(), value.encode()) for name, value in fault.headers.items()]
            status = fault.status or int(HTTPStatus.SERVICE_UNAVAILABLE)
            await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
            await send({"type": "websocket.http.response.body", "body": body})
            return True
        if fault.kind == "reset":
            scope["state"]["reset"]()
            await until_gone(receive)
            return True
        return False


class _Connection:
    """One client's socket. Reads in the caller's task, sends in a task of its own, in order."""

    def __init__(self, server: GatewayServer, scope: Scope, receive: Receive, send: Send) -> None:
        self._server = server
        self._world = server.world
        self._receive, self._send = receive, send
        self._reset: Callable[[], None] = scope["state"]["reset"]
        self._query = {k: v[-1] for k, v in parse_qs(scope["query_string"].decode("latin-1")).items()}
        self._deflate = zlib.compressobj() if self._query.get("compress") == "zlib-stream" else None
        self._outbox: asyncio.Queue[_Outgoing] = asyncio.Queue()
        self._session: Session | None = None
        self._loop = asyncio.get_running_loop()
        self._beat_at = self._loop.time()
        self._frames_at: list[float] = []
        self._mute_acks = False
        self._we_closed = False

    # --- what sessions and drills ask of a connection ---

    def deliver(self, frame: Frame) -> None:
        self._outbox.put_nowait(frame)

    def disrupt(self, kind: str, *, code: int = UNKNOWN_ERROR, resumable: bool = True) -> None:
        self._outbox.put_nowait(_Disrupt(kind, code, resumable))

    # --- life ---

    async def run(self) -> None:
        self._outbox.put_nowait({"op": _HELLO, "d": {"heartbeat_interval": self._server.heartbeat_ms, "_trace": []}})
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(self._write())
            try:
                await self._read()
            except _Close as closing:
                self.disrupt("close", code=closing.code)
            finally:
                self._outbox.put_nowait(None)
                self._leave()
                await asyncio.wait({writer}, timeout=_LINGER_S)
                writer.cancel()

    def _leave(self) -> None:
        if self._session is not None:
            self._world.sessions.detach(self._session, self)
            self._announce("gateway.disconnect", {"session_id": self._session.id})

    async def _read(self) -> None:
        if self._query.get("v", "10") not in ("9", "10"):
            raise _Close(BAD_VERSION)
        if self._query.get("encoding", "json") != "json":
            raise _Close(DECODE_ERROR)
        while True:
            allowed_s = self._server.heartbeat_ms / 1000 * HEARTBEAT_GRACE
            try:
                async with asyncio.timeout_at(self._beat_at + allowed_s):
                    event = await self._receive()
            except TimeoutError:
                raise _Close(TIMED_OUT) from None
            if event["type"] == "websocket.disconnect":
                self._client_left(int(event.get("code") or 0))
                return
            await self._handle(_decode(event))

    def _client_left(self, code: int) -> None:
        """A client that says goodbye with 1000 or 1001 gives its session up."""
        if code in (1000, 1001) and not self._we_closed and self._session is not None:
            session = self._session
            if session.connection is self:
                self._world.sessions.end(session)

    async def _handle(self, frame: Json) -> None:
        now = self._loop.time()
        self._frames_at = [at for at in self._frames_at if now - at < 60] + [now]
        if len(self._frames_at) > FRAMES_PER_MINUTE:
            raise _Close(TOO_MANY)
        op, data = frame.get("op"), frame.get("d")
        if op == _HEARTBEAT:
            await self._heartbeat(data)
        elif op == _IDENTIFY:
            await self._identify(data)
        elif op == _RESUME:
            await self._resume(data)
        elif op in (_PRESENCE, _VOICE, _MEMBERS):
            if self._session is None:
                raise _Close(NOT_IDENTIFIED)
            if op == _MEMBERS:
                self._send_members(data)
        else:
            raise _Close(BAD_OPCODE)

    async def _heartbeat(self, seq: object) -> None:
        self._beat_at = self._loop.time()
        if isinstance(seq, int) and self._session is not None and seq > self._session.seq:
            raise _Close(BAD_SEQ)
        fault = self._server.faults.take("discord", "gateway.heartbeat")
        if fault is not None and not fault.applied and fault.kind != "drop_ack":
            await self._strike(fault)
        if not self._mute_acks and not (fault is not None and fault.kind == "drop_ack"):
            self._outbox.put_nowait({"op": _ACK})
        if fault is not None and fault.applied and fault.kind != "drop_ack":
            await self._strike(fault)

    async def _identify(self, data: object) -> None:
        if self._session is not None:
            raise _Close(TWICE_IDENTIFIED)
        if not isinstance(data, dict) or not isinstance(data.get("token"), str):
            raise _Close(DECODE_ERROR)
        fault = self._server.faults.take("discord", "gateway.identify")
        if fault is not None and not fault.applied:
            if fault.kind == "token_revoked":
                self._revoke(data["token"])
            elif await self._strike(fault):
                return
        user = self._world.state.user_by_token(data["token"].removeprefix("Bot "))
        if user is None:
            raise _Close(BAD_TOKEN)
        application = self._world.state.applications.get(user.id)
        intents = ALL_INTENTS if application is None else _check_intents(application, data)
        shard = data.get("shard")
        if shard is not None and not _is_shard(shard):
            raise _Close(BAD_SHARD)
        if application is not None and not self._may_identify(application):
            return
        session = self._session = self._world.sessions.open(Viewer(user.id, intents), user.token)
        session.connection = self
        self._welcome(session, user, shard)
        self._announce("gateway.identify", {"session_id": session.id, "intents": int(intents)})
        if fault is not None and fault.applied:
            await self._strike(fault)

    def _may_identify(self, application: Application) -> bool:
        now = self._world.clock.now().timestamp()
        recent = [at for at in application.identifies if now - at < _DAY_S]
        limits = self._server.limits
        if recent and now - recent[-1] < limits.identify_interval_s:
            self._outbox.put_nowait({"op": _INVALID, "d": False})
            return False
        if len(recent) >= limits.identify_limit:
            application.identifies = []
            self._world.rotate_token(application)
            raise _Close(BAD_TOKEN)
        application.identifies = [*recent, now]
        return True

    def _welcome(self, session: Session, user: User, shard: object) -> None:
        state, scribe, viewer = self._world.state, self._world.core.scribe, session.viewer
        guilds = [guild for guild in state.guilds.values() if user.id in guild.members]
        ready: Json = {
            "v": 10,
            "user": scribe.own_user(user),
            "guilds": [{"id": str(guild.id), "unavailable": True} for guild in guilds],
            "private_channels": [],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": self._server.url,
            "relationships": [],
            "_trace": [],
        }
        if shard is not None:
            ready["shard"] = shard
        if user.bot:
            ready["application"] = {"id": str(user.id), "flags": state.applications[user.id].flags}
        else:
            dms = [c for c in state.channels.values() if c.is_dm and user.id in c.recipient_ids]
            ready["private_channels"] = [scribe.channel(channel, user.id) for channel in dms]
        session.push("READY", ready)
        if viewer.intents & Intent.GUILDS:
            for guild in guilds:
                session.push("GUILD_CREATE", scribe.guild_create(guild, viewer))

    async def _resume(self, data: object) -> None:
        if self._session is not None:
            raise _Close(TWICE_IDENTIFIED)
        if not isinstance(data, dict) or not isinstance(data.get("token"), str):
            raise _Close(DECODE_ERROR)
        fault = self._server.faults.take("discord", "gateway.resume")
        session = self._world.sessions.find(str(data.get("session_id")))
        if fault is not None and not fault.applied:
            if fault.kind == "invalid_session" and not fault.flag("resumable") and session is not None:
                self._world.sessions.end(session)
            if fault.kind == "token_revoked":
                self._revoke(data["token"])
            elif await self._strike(fault):
                return
        user = self._world.state.user_by_token(data["token"].removeprefix("Bot "))
        if user is None:
            raise _Close(BAD_TOKEN)
        seq = data.get("seq")
        if session is None or session.viewer.user_id != user.id or session.token != user.token:
            self._outbox.put_nowait({"op": _INVALID, "d": False})
            return
        if not isinstance(seq, int) or seq > session.seq:
            raise _Close(BAD_SEQ)
        if not session.can_replay(seq):
            self._world.sessions.end(session)
            self._outbox.put_nowait({"op": _INVALID, "d": False})
            return
        self._take_over(session, seq)
        if fault is not None and fault.applied:
            await self._strike(fault)

    def _take_over(self, session: Session, seq: int) -> None:
        if session.connection is not None:
            session.connection.disrupt("close", code=UNKNOWN_ERROR)
        missed = session.after(seq)
        self._session, session.connection, session.lost_at = session, self, None
        for frame in missed:
            self.deliver(frame)
        session.push("RESUMED", {"_trace": []})
        self._announce("gateway.resume", {"session_id": session.id, "replayed": len(missed)})

    def _send_members(self, data: object) -> None:
        if not isinstance(data, dict) or self._session is None:
            raise _Close(DECODE_ERROR)
        guild = self._world.state.guilds.get(parse_snowflake(data.get("guild_id")) or 0)
        if guild is None or self._session.viewer.user_id not in guild.members:
            return
        wanted = data.get("user_ids")
        ids = [parse_snowflake(i) for i in wanted] if isinstance(wanted, list) else None
        if isinstance(wanted, str | int):
            ids = [parse_snowflake(wanted)]
        prefix = str(data.get("query") or "").lower()
        users = self._world.state.users
        found = [m for m in guild.members.values() if ids is None and users[m.user_id].name.lower().startswith(prefix)]
        found = [m for m in guild.members.values() if m.user_id in ids] if ids is not None else found
        limit = data.get("limit")
        limit = limit if isinstance(limit, int) and limit > 0 else len(found)
        chunk: Json = {
            "guild_id": str(guild.id),
            "members": [self._world.core.scribe.member(member) for member in found[:limit]],
            "chunk_index": 0,
            "chunk_count": 1,
            "not_found": [str(i) for i in ids or () if i not in guild.members],
        }
        if data.get("presences"):
            chunk["presences"] = []
        if data.get("nonce") is not None:
            chunk["nonce"] = data["nonce"]
        self._session.push("GUILD_MEMBERS_CHUNK", chunk)

    # --- sending ---

    async def _write(self) -> None:
        try:
            while (item := await self._outbox.get()) is not None:
                if isinstance(item, Frame):
                    going_on = await self._write_dispatch(item)
                elif isinstance(item, _Disrupt):
                    going_on = await self._apply(item)
                elif isinstance(item, _Stall):
                    await asyncio.sleep(item.seconds)
                    going_on = True
                else:
                    going_on = await self._put(dump_compact(item))
                if not going_on:
                    return
        except OSError:  # the client is gone; the reader notices by itself
            return

    async def _put(self, text: str) -> Literal[True]:
        if self._deflate is None:
            await self._send({"type": "websocket.send", "text": text})
        else:
            data = self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
            await self._send({"type": "websocket.send", "bytes": data})
        return True

    async def _write_dispatch(self, frame: Frame) -> bool:
        faults = self._server.faults
        fault = faults.take("discord", "gateway.dispatch") or faults.take("discord", f"gateway.dispatch.{frame.name}")
        if fault is None:
            return await self._put(frame.text)
        if fault.kind == "malformed":
            data = fault.body if fault.body is not None else {"id": None, "author": None}
            return await self._put(dump_compact({"t": frame.name, "s": frame.seq, "op": _DISPATCH, "d": data}))
        if fault.kind == "stall":
            await asyncio.sleep(fault.seconds)
            return await self._put(frame.text)
        if fault.kind == "token_revoked" and self._session is not None:
            self._revoke(self._session.token)
        if fault.applied or fault.kind == "duplicate":
            await self._put(frame.text)
        if fault.kind == "duplicate":
            return await self._put(frame.text)
        going_on = await self._apply(_as_disruption(fault))
        if going_on and not fault.applied:
            await self._put(frame.text)
        return going_on

    async def _apply(self, item: _Disrupt) -> bool:
        """Misbehave; false when nothing more can be sent."""
        if item.kind == "drop_ack":
            self._mute_acks = True
        elif item.kind == "reconnect":
            await self._put(dump_compact({"op": _RECONNECT, "d": None}))
        elif item.kind == "invalid_session":
            if not item.resumable and self._session is not None:
                self._world.sessions.end(self._session)
            await self._put(dump_compact({"op": _INVALID, "d": item.resumable}))
        elif item.kind == "reset":
            self._we_closed = True
            self._reset()
            return False
        elif item.kind == "close":
            self._we_closed = True
            await self._send({"type": "websocket.close", "code": item.code})
            return False
        return True

    async def _strike(self, fault: Fault) -> bool:
        """Carry out a fault on a client's frame; true when the frame must not be processed."""
        if fault.kind == "stall":
            if fault.applied:
                self._outbox.put_nowait(_Stall(fault.seconds))
            else:
                await asyncio.sleep(fault.seconds)
            return False
        if fault.kind == "token_revoked":
            if self._session is not None:
                self._revoke(self._session.token)
            return False
        if fault.kind == "close":
            raise _Close(fault.status or UNKNOWN_ERROR)
        if fault.kind in ("reset", "reconnect", "invalid_session", "drop_ack"):
            self._outbox.put_nowait(_as_disruption(fault))
            return fault.kind != "drop_ack"
        return False

    def _revoke(self, token: str) -> None:
        user = self._world.state.user_by_token(token.removeprefix("Bot "))
        if user is not None and user.id in self._world.state.applications:
            self._world.rotate_token(self._world.state.applications[user.id])

    # --- telling ---

    def _announce(self, kind: str, data: Json) -> None:
        if self._session is None:
            return
        user_id = self._session.viewer.user_id
        self._world.core.record(kind, self._world.state.users[user_id], None, data)
        self._status(user_id)

    def _status(self, user_id: int) -> None:
        online = self._world.sessions.online(user_id)
        self._world.sessions.announce("BOT_STATUS", {"user_id": str(user_id), "online": online})


def _decode(event: Mapping[str, Any]) -> Json:
    text: str | None = event.get("text")
    data: bytes = text.encode() if text is not None else event.get("bytes") or b""
    try:
        frame = json.loads(data) if len(data) <= FRAME_LIMIT_BYTES else None
    except ValueError:
        frame = None
    if not isinstance(frame, dict):
        raise _Close(DECODE_ERROR)
    return frame


def _check_intents(application: Application, data: Json) -> Intent:
    intents = data.get("intents")
    if isinstance(intents, bool) or not isinstance(intents, int) or not 0 <= intents <= KNOWN_INTENT_BITS:
        raise _Close(BAD_INTENTS)
    if intents & PRIVILEGED & ~application.intents_allowed:
        raise _Close(DISALLOWED_INTENTS)
    return Intent(intents)


def _is_shard(value: object) -> bool:
    match value:
        case [int(number), int(count)]:
            return 0 <= number < count
    return False


def _as_disruption(fault: Fault) -> _Disrupt:
    return _Disrupt(
        fault.kind, fault.status or UNKNOWN_ERROR, fault.flag("resumable", default=fault.kind != "invalid_session")
    )
