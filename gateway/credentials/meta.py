"""Threads and Instagram at the gateway: which app a tenant signs in with, and what follows a renewal.

The apps are in the gateway's ``.env``. NanoClaw, whose ``.env`` this once was, has the plain names
(``THREADS_APP_ID``); any tenant has its own with its name before them (``OPENCLAW_THREADS_APP_ID``), because two
tenants use two apps and two accounts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Literal

from gateway.credentials.environment import prefix_of
from gateway.credentials.views import Kind, ViewProblem, write_views
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.envwrite import write_back
from shared.config.paths import Paths
from shared.errors import ConfigError, Conflict, Unavailable
from shared.http.client import HttpPool
from shared.oauth.instagram import InstagramOAuth, InstagramOAuthSettings
from shared.oauth.meta import MetaApp, MetaOAuth
from shared.oauth.models import Token
from shared.oauth.threads import ThreadsOAuth, ThreadsOAuthSettings
from shared.secrets.files import Secret

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


async def after_renewal(
    paths: Paths,
    tenant: str,
    tokens: Mapping[str, Token],
    *,
    kind: Kind,
    copilot_expires_at: datetime | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> list[ViewProblem]:
    """What follows a login or a renewal: NanoClaw's Threads token goes back into ``.env``, views are written.

    Call it with the new tokens stored already. It never raises for a file: what could not be written is returned.

    Args:
        paths: of the installation.
        tenant: whose.
        tokens: all of that tenant's, by provider.
        kind: what the tenant runs.
        copilot_expires_at: of the Copilot bearer in use; None when none was bought yet.
        clock: dates the views.
    """
    problems = await asyncio.to_thread(
        write_views, paths, tenant, tokens, kind=kind, copilot_expires_at=copilot_expires_at, clock=clock
    )
    threads = tokens.get("threads")
    if threads is not None and kind == "nanoclaw":
        name = env_names(tenant, "THREADS_ACCESS_TOKEN")
        try:
            await asyncio.to_thread(write_back, paths.env_file, name, threads.access)
        except (ConfigError, Conflict, Unavailable) as error:
            problems.append(ViewProblem(paths.env_file, error))
    return problems
