"""Threads and Instagram of the offline world behind one loopback port, and the person who allows an app.

``/feed/`` under the same address shows what is online.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.meta.auth import Quirks, graph_error, meta_auth
from gateway.sandbox.meta.authorize import allowed_address, denied_address, problem_of
from gateway.sandbox.meta.feed import feed
from gateway.sandbox.meta.posts import MetaPosts
from gateway.sandbox.meta.publishing import Publishing
from gateway.sandbox.meta.tokens import App, Grant, MetaTokens, Network
from gateway.sandbox.models.loopback import LoopbackWorld
from gateway.sandbox.models.wire import Emulator, Operation
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import NotFound
from shared.oauth.threads import ThreadsOAuthSettings

VERSIONS: dict[Network, str] = {"threads": "v1.0", "instagram": "v25.0"}


class _NetworkEmulator(Emulator):
    """Sign-in calls have fixed paths, publishing calls have ids in them."""

    def __init__(self, network: Network, sign_in: list[Operation], publishing: Publishing) -> None:
        super().__init__(network, sign_in, not_found=graph_error("Unknown path components", 2500, 404))
        self._publishing = publishing

    def find(self, method: str, path: str) -> Operation:
        """The operation meant by a request."""
        return self._publishing.find(method, path) or super().find(method, path)


class MetaWorld(LoopbackWorld):
    """Emulators of both networks.

    Args:
        faults: what goes wrong; upstream names are ``threads`` and ``instagram``.
        port: loopback port; 0 takes a free one.
        clock: for ages and expiry of tokens.
        memory: where tokens outlive the world; None forgets them.
    """

    def __init__(
        self,
        *,
        faults: FaultPlan | None = None,
        port: int = 0,
        clock: Clock = SYSTEM_CLOCK,
        memory: Path | None = None,
    ) -> None:
        super().__init__(faults=faults, port=port, clock=clock, memory=memory)
        self.tokens = MetaTokens(clock)
        self.quirks = Quirks()
        self.posts = MetaPosts(clock)

    def _emulator(self, network: Network) -> Emulator:
        return _NetworkEmulator(
            network,
            meta_auth(network, VERSIONS[network], self.tokens, self.quirks),
            Publishing(network, VERSIONS[network], self.tokens, self.posts),
        )

    def base(self, network: Network) -> str:
        """In place of every address of a network."""
        return self._base(network)

    @property
    def feed_url(self) -> str:
        """Shows what is online."""
        return f"{self._base('feed')}/"

    def endpoints(self, network: Network) -> dict[str, Any]:
        """The network's section of policies/oauth.toml that points here."""
        base = self.base(network)
        section: dict[str, Any] = {"authorize_url": f"{base}/oauth/authorize", "token_base": base, "graph_base": base}
        if network == "threads":
            # Not asked for by default: an app may not have it.
            section["scopes"] = [*ThreadsOAuthSettings().scopes, "threads_delete"]
        return section

    def new_app(self, network: Network, redirect_uri: str) -> App:
        """Register an app, as in Meta's dashboard."""
        return self.register_app(
            network, App(str(secrets.randbelow(10**15) + 10**15), secrets.token_hex(16), redirect_uri)
        )

    def register_app(self, network: Network, app: App) -> App:
        """Register an app whose id and secret are known already."""
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
        query = _query_of(url)
        if (problem := problem_of(self.tokens, network, query)) is not None:
            raise NotFound(f"the sign-in page shows an error instead of asking: {problem}")
        return allowed_address(self.tokens, network, query)

    def deny(self, url: str) -> str:
        """Play the person who refuses."""
        return denied_address(_query_of(url))

    def _emulators(self) -> Mapping[str, Emulator]:
        return {**{network: self._emulator(network) for network in VERSIONS}, "feed": feed(self.posts)}

    def _issued(self) -> MetaTokens:
        return self.tokens

    def _revoke(self, upstream: str, token: str) -> None:  # noqa: ARG002 - tokens of both networks are told apart
        self.tokens.revoke(token)


def _query_of(url: str) -> dict[str, str]:
    return {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
