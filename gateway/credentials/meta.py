"""Threads and Instagram at the gateway: a tenant's app, and the line of ``.env`` that shows its token.

The apps are in the gateway's ``.env``. NanoClaw, whose ``.env`` this once was, has the plain names
(``THREADS_APP_ID``); any tenant has its own with its name before them (``OPENCLAW_THREADS_APP_ID``), because two
tenants use two apps and two accounts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from gateway.credentials.environment import prefix_of
from gateway.credentials.views import Kind
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.envfile import read_env
from shared.config.envwrite import write_back
from shared.errors import ConfigError, Conflict, Unavailable
from shared.http.client import HttpPool
from shared.oauth.instagram import InstagramOAuth, InstagramOAuthSettings
from shared.oauth.meta import MetaApp, MetaOAuth
from shared.oauth.models import Token
from shared.oauth.threads import ThreadsOAuth, ThreadsOAuthSettings
from shared.obs.log import get_logger
from shared.secrets.files import Secret

_log = get_logger(__name__)

MetaProvider = Literal["threads", "instagram"]

REDIRECTS: Mapping[Kind, str] = {"nanoclaw": "https://localhost:3000/callback", "openclaw": "https://localhost/"}
"""Registered with Meta by the policy; another one is set with ``THREADS_REDIRECT_URI``."""


def env_names(tenant: str, name: str) -> tuple[str, ...]:
    """Names of a tenant's setting in ``.env``; the first that is set counts."""
    prefixed = f"{prefix_of(tenant)}{name}"
    return (prefixed, name) if tenant == "nanoclaw" else (prefixed,)


def setting(env: Mapping[str, str], tenant: str, name: str) -> str:
    """A tenant's setting; empty when it is not set."""
    return next((value for key in env_names(tenant, name) if (value := env.get(key, ""))), "")


def app_of(provider: MetaProvider, tenant: str, env: Mapping[str, str], *, kind: Kind, env_file: Path) -> MetaApp:
    """The app a tenant signs in with.

    Args:
        provider: which network.
        tenant: whose app.
        env: what ``.env`` and the vault set.
        kind: what the tenant runs; decides the usual redirect address.
        env_file: for the message.

    Raises:
        ConfigError: id or secret is missing; names the keys.
    """
    prefix = provider.upper()
    app_id, secret = (setting(env, tenant, f"{prefix}_{part}") for part in ("APP_ID", "APP_SECRET"))
    missing = [
        env_names(tenant, f"{prefix}_{part}")[-1]
        for part, value in (("APP_ID", app_id), ("APP_SECRET", secret))
        if not value
    ]
    if missing:
        raise ConfigError(
            f"{tenant} has no {provider} app: {env_file} or the vault (clawgate secrets set NAME) needs "
            f"{' and '.join(missing)}, from the app's page in Meta's dashboard (the {provider.title()} app id, not the "
            "one of Facebook)",
            code="config.meta_app",
        )
    redirect = setting(env, tenant, f"{prefix}_REDIRECT_URI") or REDIRECTS[kind]
    return MetaApp(app_id, Secret(secret), redirect, tenant)


def provider_of(
    provider: MetaProvider,
    app: MetaApp,
    http: HttpPool,
    *,
    threads: ThreadsOAuthSettings | None = None,
    instagram: InstagramOAuthSettings | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> MetaOAuth:
    """The sign-in of one network for one app."""
    if provider == "threads":
        return ThreadsOAuth(threads or ThreadsOAuthSettings(), app, http, clock=clock)
    return InstagramOAuth(instagram or InstagramOAuthSettings(), app, http, clock=clock)


def token_names(provider: MetaProvider, tenant: str) -> tuple[str, ...]:
    """Names of the token that ``.env`` shows, and at first may give."""
    return env_names(tenant, f"{provider.upper()}_ACCESS_TOKEN")


class ShownToken:
    """The line of ``.env`` that shows a tenant's token: read once at the start, written after each change.

    The policy wants NanoClaw's Threads token there. Another one is written only where somebody has put its name.

    Args:
        provider: which network.
        tenant: whose.
        kind: what the tenant runs.
        env_file: the gateway's ``.env``.
    """

    def __init__(self, provider: MetaProvider, tenant: str, kind: Kind, env_file: Path) -> None:
        self.provider: MetaProvider = provider
        self.tenant = tenant
        self.env_file = env_file
        self.names = token_names(provider, tenant)
        self._is_wanted = provider == "threads" and kind == "nanoclaw"

    def read(self) -> tuple[str, str]:
        """The token there and the user it is said to belong to; empty when ``.env`` does not say. Reads a file.

        Raises:
            ConfigError: others can read ``.env``.
        """
        env = read_env(self.env_file)
        prefix = self.provider.upper()
        # An app's own user ids differ between its two networks' APIs at Instagram, so only this one can be compared.
        user = setting(env, self.tenant, f"{prefix}_USER_ID") if self.provider == "threads" else ""
        return setting(env, self.tenant, f"{prefix}_ACCESS_TOKEN").strip(), "" if user == "me" else user.strip()

    async def write(self, token: Token | None) -> None:
        """Show a token, or none any more; what could not be written is logged, because the vault has it."""
        try:
            await asyncio.to_thread(self._write, token)
        except (ConfigError, Conflict, Unavailable) as error:
            _log.warning("credentials.view", tenant=self.tenant, path=str(self.env_file), detail=error.detail)

    def _write(self, token: Token | None) -> None:
        is_there = any(name in read_env(self.env_file) for name in self.names)
        if is_there or (self._is_wanted and token is not None):
            write_back(self.env_file, self.names, token.access if token is not None else Secret(""))
