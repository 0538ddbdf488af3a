"""Threads and Instagram of the offline world behind one loopback port, and the person who allows an app."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.meta.auth import Quirks, meta_auth
from gateway.sandbox.meta.tokens import App, Grant, MetaTokens, Network
from gateway.sandbox.models.wire import EmulatorApp, LoggedRequest
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Internal, NotFound
from shared.http.unixserver import AsgiListeners

_HOST = "127.0.0.1"
VERSIONS: dict[Network, str] = {"threads": "v1.0", "instagram": "v25.0"}


class MetaWorld:
    """Emulators of both networks.

    Args:
        faults: what goes wrong; upstream names are ``threads`` and ``instagram``.
        port: loopback port; 0 takes a free one.
        clock: for ages and expiry of tokens.
    """

    def __init__(self, *, faults: FaultPlan | None = None, port: int = 0, clock: Clock = SYSTEM_CLOCK) -> None:
        self.requests: list[LoggedRequest] = []
        self.tokens = MetaTokens(clock)
        self.faults = faults or FaultPlan()
        self.quirks = Quirks()
        self._clock = clock
        self._port = port
        self._listeners: AsgiListeners | None = None

    async def __aenter__(self) -> MetaWorld:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen.

        Raises:
            Occupied: the port is taken.
        """
        app = EmulatorApp(
            {network: meta_auth(network, VERSIONS[network], self.tokens, self.quirks) for network in VERSIONS},
            faults=self.faults,
            clock=self._clock,
            requests=self.requests,
            revoke=lambda _upstream, token: self.tokens.revoke(token),
        )
        self._listeners = AsgiListeners(app, with_reset=True)
        self._port = await self._listeners.add_tcp(_HOST, self._port, state={})

    async def stop(self) -> None:
        """Stop listening; requests under way are cut."""
        if self._listeners is not None:
            await self._listeners.close(0.0)
            self._listeners = None

    def base(self, network: Network) -> str:
        """In place of every address of a network."""
        if not self._port:
            raise Internal("the Meta emulators have no address before start()")
        return f"http://{_HOST}:{self._port}/{network}"

    def endpoints(self, network: Network) -> dict[str, Any]:
        """The network's section of policies/oauth.toml that points here."""
        base = self.base(network)
        return {"authorize_url": f"{base}/oauth/authorize", "token_base": base, "graph_base": base}

    def new_app(self, network: Network, redirect_uri: str) -> App:
        """Register an app, as in Meta's dashboard."""
        app = App(str(secrets.randbelow(10**15) + 10**15), secrets.token_hex(16), redirect_uri)
        self.tokens.register(network, app)
        return app

    def generate(self, network: Network, app: App, scopes: tuple[str, ...]) -> Grant:
        """The dashboard's User Token Generator."""
        return self.tokens.issue(network, app.app_id, scopes, long=True, generated=True)

    def allow(self, network: Network, url: str) -> str:
        """Play the person who opens the sign-in address and allows the app; gives the address the browser ends on.

        Raises:
            NotFound: the page would show an error: unknown app, or another redirect address than registered.
        """
        query = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        app = self.tokens.apps[network].get(query.get("client_id", ""))
        if app is None or app.redirect_uri != query.get("redirect_uri") or query.get("response_type") != "code":
            raise NotFound("the sign-in page shows an error instead of asking")
        code = self.tokens.issue_code(network, app, tuple(query.get("scope", "").split(",")))
        return f"{app.redirect_uri}?{urlencode({'code': code, 'state': query.get('state', '')})}#_"

    def deny(self, url: str) -> str:
        """Play the person who refuses."""
        query = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        refusal = {
            "error": "access_denied",
            "error_reason": "user_denied",
            "error_description": "The user denied your request",
            "state": query.get("state", ""),
        }
        return f"{query.get('redirect_uri', '')}?{urlencode(refusal)}#_"

    def of(self, network: Network, op: str = "") -> list[LoggedRequest]:
        """The log's requests to a network (and operation)."""
        return [entry for entry in self.requests if entry.upstream == network and op in {"", entry.op}]
