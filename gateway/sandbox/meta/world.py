"""Threads and Instagram of the offline world behind one loopback port, and the person who allows an app."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.meta.auth import Quirks, meta_auth
from gateway.sandbox.meta.tokens import App, Grant, MetaTokens, Network
from gateway.sandbox.models.loopback import LoopbackWorld
from gateway.sandbox.models.wire import Emulator
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import NotFound

VERSIONS: dict[Network, str] = {"threads": "v1.0", "instagram": "v25.0"}


class MetaWorld(LoopbackWorld):
    """Emulators of both networks.

    Args:
        faults: what goes wrong; upstream names are ``threads`` and ``instagram``.
        port: loopback port; 0 takes a free one.
        clock: for ages and expiry of tokens.
    """

    def __init__(self, *, faults: FaultPlan | None = None, port: int = 0, clock: Clock = SYSTEM_CLOCK) -> None:
        super().__init__(faults=faults, port=port, clock=clock)
        self.tokens = MetaTokens(clock)
        self.quirks = Quirks()

    def base(self, network: Network) -> str:
        """In place of every address of a network."""
        return self._base(network)

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

    def _emulators(self) -> Mapping[str, Emulator]:
        return {network: meta_auth(network, VERSIONS[network], self.tokens, self.quirks) for network in VERSIONS}

    def _revoke(self, upstream: str, token: str) -> None:  # noqa: ARG002 - tokens of both networks are told apart
        self.tokens.revoke(token)
