"""The emulator as one thing to start and stop: Discord's face on one port, the people's on another."""

from __future__ import annotations

from urllib.parse import unquote

from gateway.sandbox.discord import rest_interactions, rest_messages, rest_places
from gateway.sandbox.discord.asgi import App, Receive, Request, Response, Scope, Send
from gateway.sandbox.discord.gateway import FRAME_LIMIT_BYTES, GatewayServer
from gateway.sandbox.discord.limits import LimitPolicy, RateLimiter
from gateway.sandbox.discord.models import Attachment
from gateway.sandbox.discord.people import PeopleServer
from gateway.sandbox.discord.rest import RestServer, Seen
from gateway.sandbox.discord.snowflake import parse_snowflake
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan
from shared.http.unixserver import AsgiListeners
from shared.obs.log import get_logger

_log = get_logger(__name__)

HEARTBEAT_MS = 41_250
"""What Discord's HELLO asks for."""
_HOST = "127.0.0.1"
_GATEWAY_PATHS = ("/gw", "/gw/", "/")
_KEEP_ALIVE_S = 5
_CLOSE_S = 2.0


class DiscordEmulator:
    """Serves a `World`. May be stopped and started again on the same ports; sessions stay resumable meanwhile.

    Attributes:
        world: the emulated Discord.
        faults: the plan asked before each call; more can be queued at any time.
    """

    def __init__(
        self,
        world: World,
        faults: FaultPlan,
        *,
        port: int = 0,
        people_port: int = 0,
        limits: LimitPolicy | None = None,
        heartbeat_ms: int = HEARTBEAT_MS,
    ) -> None:
        """Prepare; nothing listens yet.

        Args:
            world: what to serve.
            faults: what goes wrong.
            port: for bots (REST, gateway, attachments); 0 takes a free one and keeps it over a restart.
            people_port: for people (page and JSON API); likewise.
            limits: rate limits, Discord-like unless given.
            heartbeat_ms: interval told to clients.
        """
        self.world, self.faults = world, faults
        policy = limits or LimitPolicy()
        routes = [*rest_places.ROUTES, *rest_messages.ROUTES, *rest_interactions.ROUTES]
        self._rest = RestServer(world, faults, policy, routes)
        self._gateway = GatewayServer(world, faults, policy, heartbeat_ms=heartbeat_ms)
        self._people = PeopleServer(world, faults, self._rest)
        self._port, self._people_port = port, people_port
        self._listeners: list[AsgiListeners] = []

    @property
    def api_base(self) -> str:
        """The REST root, for ``discord.http.Route.BASE``."""
        return f"http://{_HOST}:{self._port}/api/v10"

    @property
    def gateway_url(self) -> str:
        """The gateway's address, for ``DiscordWebSocket.DEFAULT_GATEWAY``."""
        return f"ws://{_HOST}:{self._port}/gw/"

    @property
    def page_url(self) -> str:
        """The people's page; its JSON API is below ``api/``."""
        return f"http://{_HOST}:{self._people_port}/"

    @property
    def limiter(self) -> RateLimiter:
        """The rate limits, with what they refused."""
        return self._rest.limiter

    @property
    def requests(self) -> list[Seen]:
        """The newest API requests, oldest first."""
        return list(self._rest.requests)

    @property
    def unknown_routes(self) -> list[str]:
        """Calls for which there is no route; a faithful client of a faithful emulator makes none."""
        return self._rest.unknown_routes

    async def start(self) -> None:
        """Listen on both ports.

        Raises:
            Occupied: a port is taken.
        """
        bots, people = _listeners(self._bots_app), _listeners(self._people_app)
        try:
            self._port = await bots.add_tcp(_HOST, self._port, state={})
            self._people_port = await people.add_tcp(_HOST, self._people_port, state={})
        except BaseException:
            await bots.cut()
            raise
        self._listeners = [bots, people]
        self._gateway.url = self._rest.gateway_url = self.gateway_url
        self.world.core.cdn.base_url = f"http://{_HOST}:{self._port}"
        await self.world.flush()
        _log.info("discord_emulator.started", api=self.api_base, page=self.page_url)

    async def stop(self) -> None:
        """Cut all connections, stop listening and save the world."""
        for listeners in self._listeners:
            await listeners.cut()
        self._listeners = []
        await self.world.flush()

    async def __aenter__(self) -> DiscordEmulator:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _bots_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            if scope["path"] in _GATEWAY_PATHS:
                await self._gateway.serve(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 4000})
        elif scope["path"].startswith("/attachments/"):
            await self._attachment(Request.of(scope, receive)).send(send)
        else:
            await self._rest.serve(scope, receive, send)

    async def _people_app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4000})
        else:
            await self._people.serve(scope, receive, send)

    def _attachment(self, request: Request) -> Response:
        world = self.world
        parts = request.path.strip("/").split("/")
        if not world.core.cdn.accepts(request.path, request.query, world.state.signing_key) or len(parts) != 4:
            return Response(404, b"This content is no longer available.", "text/plain;charset=UTF-8")
        channel_id, attachment_id = parse_snowflake(parts[1]) or 0, parse_snowflake(parts[2]) or 0
        found = self._find_attachment(channel_id, attachment_id, unquote(parts[3]))
        data = world.core.cdn.get(attachment_id) if found is not None else None
        if found is None or data is None:
            return Response(404, b"This content is no longer available.", "text/plain;charset=UTF-8")
        headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
        return Response(200, data, found.content_type, headers)

    def _find_attachment(self, channel_id: int, attachment_id: int, filename: str) -> Attachment | None:
        for message in self.world.state.messages.get(channel_id, {}).values():
            for attachment in message.attachments:
                if attachment.id == attachment_id and attachment.filename == filename:
                    return attachment
        return None


def _listeners(app: App) -> AsgiListeners:
    return AsgiListeners(
        app,
        ws_max_bytes=FRAME_LIMIT_BYTES * 64,
        ws_ping_s=None,
        ws_close_s=_CLOSE_S,
        keep_alive_s=_KEEP_ALIVE_S,
        with_reset=True,
    )
