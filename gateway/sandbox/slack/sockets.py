"""Socket Mode: tickets, greetings, envelopes that come again until they are acknowledged, and farewells."""

from __future__ import annotations

import asyncio
import itertools
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.slack.models import App, Json
from gateway.sandbox.slack.world import TEAM, World
from shared.lifecycle.tasks import TaskPool

UPSTREAM = "slack"
TICKET_PATH = "/slack/link/"
_GOING_AWAY = 1001
_GRACE_S = 0.05


@dataclass(frozen=True, slots=True)
class Redelivery:
    """When an event is sent again.

    Attributes:
        ack_within_s: how long an acknowledgement may take.
        delays_s: waits before each further try; after the last one the event is dropped.
    """

    ack_within_s: float = 3.0
    delays_s: tuple[float, ...] = (0.0, 60.0, 300.0)


@dataclass(slots=True)
class Sent:
    """One envelope on its way, for tests to look at."""

    envelope_id: str
    event: Json
    attempt: int
    acked: asyncio.Event = field(default_factory=asyncio.Event)


_Frame = Json | Callable[[], None] | None
"""An object to send, something to do after what was sent before, or the end."""


class SocketHub:
    """All Socket Mode connections of a workspace.

    Attributes:
        sent: every envelope ever sent, in order.
        dropped: events that nobody acknowledged after all tries.
    """

    def __init__(self, world: World, faults: FaultPlan, redelivery: Redelivery) -> None:
        self._faults = faults
        self._redelivery = redelivery
        self._tickets: dict[str, App] = {}
        self._connections: dict[str, list[_Connection]] = {}
        self._open: dict[str, Sent] = {}
        self._turn = itertools.count()
        self._tasks = TaskPool("slack.sockets")
        self.sent: list[Sent] = []
        self.dropped: list[Json] = []
        world.listen(self._deliver)

    def ticket(self, app: App) -> str:
        """The query of an address that is good for one connection."""
        ticket = secrets.token_urlsafe(16)
        self._tickets[ticket] = app
        return f"ticket={ticket}&app_id={app.id}"

    def connected(self, app: App) -> int:
        """How many connections an app has."""
        return len(self._connections.get(app.id, ()))

    def disconnect(self, app: App, reason: str = "refresh_requested", *, grace_s: float = _GRACE_S) -> None:
        """Take leave of every connection of an app, and close it after a while."""
        for connection in list(self._connections.get(app.id, ())):
            connection.say_goodbye(reason, grace_s)

    def cut(self, app: App) -> None:
        """Break every connection of an app without a word."""
        for connection in list(self._connections.get(app.id, ())):
            connection.reset()

    async def close(self) -> None:
        """Stop sending again what was not acknowledged."""
        await self._tasks.close()

    # --- sending -----------------------------------------------------------------------------------------------------

    def _deliver(self, app: App, event: Json) -> None:
        payload = {
            "token": "legacy",
            "team_id": TEAM,
            "api_app_id": app.id,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{secrets.token_hex(5).upper()}",
            "event_time": int(float(event["event_ts"])),
            "authorizations": [{"team_id": TEAM, "user_id": app.user.id, "is_bot": True}],
        }
        # The first try is made here and now, so that events keep their order.
        sent = self._send(app, payload, 0)
        self._tasks.start(self._see_to(app, payload, sent), name="event")

    async def _see_to(self, app: App, payload: Json, sent: Sent | None) -> None:
        for attempt, delay_s in enumerate((*self._redelivery.delays_s, None), start=1):
            if sent is not None and await self._was_acked(sent):
                return
            if delay_s is None:
                self.dropped.append(payload["event"])
                return
            await asyncio.sleep(delay_s)
            sent = self._send(app, payload, attempt)

    async def _was_acked(self, sent: Sent) -> bool:
        try:
            async with asyncio.timeout(self._redelivery.ack_within_s):
                await sent.acked.wait()
        except TimeoutError:
            return False
        finally:
            self._open.pop(sent.envelope_id, None)
        return True

    def _send(self, app: App, payload: Json, attempt: int) -> Sent | None:
        connections = self._connections.get(app.id)
        if not connections:
            return None
        connection = connections[next(self._turn) % len(connections)]
        sent = Sent(secrets.token_hex(16), payload["event"], attempt)
        fault = self._faults.take(UPSTREAM, f"socket.event.{payload['event']['type']}")
        self.sent.append(sent)
        if fault is not None and not fault.applied and connection.strike(fault):
            return sent
        if fault is None or fault.kind != "drop_ack":
            self._open[sent.envelope_id] = sent
        frame = {
            "envelope_id": sent.envelope_id,
            "type": "events_api",
            "accepts_response_payload": False,
            "payload": payload if fault is None or fault.kind != "malformed" else {"event": fault.body},
            "retry_attempt": attempt,
            "retry_reason": "timeout" if attempt else "",
        }
        connection.push(frame)
        if fault is not None and fault.kind == "duplicate":
            connection.push(frame)
        if fault is not None and fault.applied:
            connection.strike(fault)
        return sent

    def acknowledge(self, envelope_id: object) -> None:
        """Note that an envelope was taken."""
        sent = self._open.get(envelope_id) if isinstance(envelope_id, str) else None
        if sent is not None:
            sent.acked.set()

    # --- connections -------------------------------------------------------------------------------------------------

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """One WebSocket, from the upgrade to its end."""
        await receive()
        query = parse_qs(scope["query_string"].decode("latin-1"))
        app = self._tickets.pop(query.get("ticket", [""])[0], None)
        fault = self._faults.take(UPSTREAM, "socket.connect")
        if fault is not None and fault.kind == "reset":
            scope["state"]["reset"]()
            return
        if fault is not None and fault.kind == "stall":
            await asyncio.sleep(fault.seconds)
        if scope["path"] != TICKET_PATH or app is None or (fault is not None and fault.kind == "status"):
            status = fault.status if fault is not None and fault.status else int(HTTPStatus.FORBIDDEN)
            await send({"type": "websocket.http.response.start", "status": status, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b""})
            return
        await send({"type": "websocket.accept"})
        connections = self._connections.setdefault(app.id, [])
        connection = _Connection(self, scope, receive, send)
        connection.push(_hello(app, len(connections) + 1))
        connections.append(connection)
        try:
            await connection.run()
        finally:
            connections.remove(connection)


class _Connection:
    """One client's socket: reads in the caller's task, sends in one of its own, in order."""

    def __init__(self, hub: SocketHub, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        self._hub = hub
        self._reset: Callable[[], None] = scope["state"]["reset"]
        self._receive, self._send = receive, send
        self._frames: asyncio.Queue[_Frame] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def push(self, frame: Json) -> None:
        self._frames.put_nowait(frame)

    def reset(self) -> None:
        self._frames.put_nowait(self._reset)

    def say_goodbye(self, reason: str, grace_s: float) -> None:
        self.push({"type": "disconnect", "reason": reason, "debug_info": {"host": "sandbox"}})
        self._loop.call_later(grace_s, self._frames.put_nowait, None)

    def strike(self, fault: Fault) -> bool:
        """Misbehave; true when that takes the place of sending."""
        match fault.kind:
            case "reset":
                self.reset()
            case "close":
                self._frames.put_nowait(None)
            case "reconnect":
                self.say_goodbye("refresh_requested", _GRACE_S)
                return False
            case _:
                return False
        return True

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(self._write())
            while (event := await self._receive())["type"] != "websocket.disconnect":
                self._heard(event)
            writer.cancel()

    def _heard(self, event: Json) -> None:
        try:
            message = json.loads(event.get("text") or event.get("bytes") or b"")
        except ValueError:
            message = None
        if isinstance(message, dict):
            self._hub.acknowledge(message.get("envelope_id"))

    async def _write(self) -> None:
        while (frame := await self._frames.get()) is not None:
            if callable(frame):
                frame()
                return
            await self._send({"type": "websocket.send", "text": json.dumps(frame, ensure_ascii=False)})
        await self._send({"type": "websocket.close", "code": _GOING_AWAY})


def _hello(app: App, count: int) -> Json:
    return {
        "type": "hello",
        "num_connections": count,
        "connection_info": {"app_id": app.id},
        "debug_info": {"host": "sandbox", "approximate_connection_time": 18060},
    }
