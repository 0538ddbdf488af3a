"""The emulated Slack behind one loopback port: tokens, limits, faults, and exact answers."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.models.wire import Emulator, EmulatorApp, LoggedRequest, Operation, Reply, Request
from gateway.sandbox.slack.errors import ApiError
from gateway.sandbox.slack.limits import TIERS, Limits, Rule
from gateway.sandbox.slack.methods import METHODS, Call, Caller, Method
from gateway.sandbox.slack.models import App
from gateway.sandbox.slack.sockets import TICKET_PATH, UPSTREAM, Redelivery, SocketHub
from gateway.sandbox.slack.world import World
from shared.errors import Internal
from shared.http.unixserver import AsgiListeners

_HOST = "127.0.0.1"
_UNKNOWN_METHOD = Reply.of({"ok": False, "error": "unknown_method"})


class SlackEmulator:
    """Serves a world.

    People use the same Web API with a token of their own (`World.token_of`), which acts as them.

    Args:
        world: the workspace.
        faults: what goes wrong; the upstream's name is ``slack``, operations are methods and ``socket.…``.
        port: loopback port; 0 takes a free one.
        limits: how often methods may be called; none for any.
        redelivery: when events are sent again.

    Attributes:
        requests: every call, in order.
        sockets: Socket Mode, with drills for its end.
    """

    def __init__(
        self,
        world: World,
        faults: FaultPlan | None = None,
        *,
        port: int = 0,
        limits: Mapping[str, Rule] = TIERS,
        redelivery: Redelivery | None = None,
    ) -> None:
        self.world = world
        self.faults = faults or FaultPlan()
        self.limits = Limits(world.clock, limits)
        self.requests: list[LoggedRequest] = []
        self.sockets = SocketHub(world, self.faults, redelivery or Redelivery())
        self._port = port
        self._listeners: AsgiListeners | None = None
        operations = [
            Operation(verb, f"/api/{method.name}", method.name, partial(self._serve, method))
            for method in METHODS.values()
            for verb in ("GET", "POST")
        ]
        self._api = EmulatorApp(
            {"slack": Emulator(UPSTREAM, operations, not_found=_UNKNOWN_METHOD)},
            faults=self.faults,
            clock=world.clock,
            requests=self.requests,
            revoke=lambda _upstream, token: world.revoked.add(token),
        )

    async def __aenter__(self) -> SlackEmulator:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen.

        Raises:
            Occupied: the port is taken.
        """
        self._listeners = AsgiListeners(self._app, with_reset=True)
        self._port = await self._listeners.add_tcp(_HOST, self._port, state={})

    async def stop(self) -> None:
        """Stop listening; what is under way is cut."""
        await self.sockets.close()
        if self._listeners is not None:
            await self._listeners.close(0.0)
            self._listeners = None

    @property
    def api_base(self) -> str:
        """In place of the real API's address."""
        if not self._port:
            raise Internal("the Slack emulator has no address before start()")
        return f"http://{_HOST}:{self._port}/slack/api"

    @property
    def unknown_routes(self) -> list[str]:
        """Calls of methods that do not exist here."""
        return [entry.path for entry in self.requests if entry.op == "unknown"]

    def of(self, method: str) -> list[LoggedRequest]:
        """The calls of a method."""
        return [entry for entry in self.requests if entry.op == method]

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope["type"] == "websocket":
            await self.sockets.serve(scope, receive, send)
        else:
            await self._api(scope, receive, send)

    async def _serve(self, method: Method, request: Request) -> Reply:
        headers: dict[str, str] = {}
        try:
            arguments = _arguments(request)
            token = request.bearer() or ("" if method.token == "app" else str(arguments.get("token") or ""))  # noqa: S105
            caller = self._caller(token)
            if caller.app is not None:
                headers["X-OAuth-Scopes"] = ",".join(caller.scopes)
            self.limits.spend(token, method.name, str(arguments.get("channel") or ""))
            call = Call(self.world, caller, arguments, self._socket_address)
            method.check(call)
            return Reply.of({"ok": True} | method.work(call), headers=headers)
        except ApiError as error:
            return Reply.of(error.body(), error.status, headers | error.headers)

    def _caller(self, token: str) -> Caller:
        if not token:
            raise ApiError("not_authed")
        if token in self.world.revoked:
            raise ApiError("token_revoked")
        for app in self.world.apps.values():
            if token == app.bot_token:
                return Caller(app, app.user, app.scopes)
            if token == app.app_token:
                return Caller(app, None, app.app_scopes)
        person = self.world.people_tokens.get(token)
        if person is None:
            raise ApiError("invalid_auth")
        return Caller(None, person, ())

    def _socket_address(self, app: App) -> str:
        return f"ws://{_HOST}:{self._port}{TICKET_PATH}?{self.sockets.ticket(app)}"


def _arguments(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").startswith("application/json"):
        if not isinstance(request.json, dict):
            raise ApiError("invalid_json")
        return dict(request.json)
    query = {name: values[0] for name, values in parse_qs(request.log.query).items()}
    return query | request.form()
