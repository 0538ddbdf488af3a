"""``clawgate posts embed`` and the agents' ``embed_post``: how a public post is shown on a page."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from gateway.credentials.meta import setting
from gateway.social.policy import OembedPolicy
from shared.errors import Invalid
from shared.gatewayclient.models import PostEmbed
from shared.http.client import HttpPool
from shared.lifecycle.control import Operation
from shared.secrets.files import Secret
from shared.social.models import Network
from shared.social.oembed import embed
from shared.social.problems import SocialError

Embed = Callable[[str, str], Awaitable[PostEmbed]]
"""For a tenant, how a public post's address is embedded; raises `Invalid` and `SocialError`."""

_APPS: Final[tuple[tuple[Network, str, str], ...]] = (("threads", "THREADS", "TH|"), ("instagram", "META", ""))
"""Network, what the names of its app begin with, what its app token begins with."""


def embedding(http: HttpPool, policy: OembedPolicy, env: Callable[[], Mapping[str, str]]) -> Embed:
    """Asks the networks; the tenant's own app of ``.env`` or the vault is used where one wants a token."""
    bases: dict[Network, str] = {"threads": policy.threads, "instagram": policy.instagram}

    async def ask(tenant: str, url: str) -> PostEmbed:
        tokens = await asyncio.to_thread(lambda: app_tokens(env(), tenant))
        return PostEmbed.model_validate(await embed(http, url, bases=bases, app_tokens=tokens))

    return ask


def embed_operation(ask: Embed, tenants: Callable[[], Collection[str]]) -> Operation:
    """The operation for the control socket.

    Args:
        ask: asks the networks.
        tenants: the tenants there are, each with apps of its own. The operator names one; else they are tried in turn.
    """

    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        url = params.get("url")
        if not isinstance(url, str) or not url:
            raise Invalid("url is missing")
        tenant = str(params.get("tenant") or "")
        if tenant and tenant not in tenants():
            raise Invalid(f"there is no tenant {tenant!r}: it is one of {', '.join(sorted(tenants()))}")
        *others, last = [tenant] if tenant else sorted(tenants()) or [""]
        for name in others:
            with contextlib.suppress(SocialError):
                return (await ask(name, url)).model_dump(mode="json")
        return (await ask(last, url)).model_dump(mode="json")

    return answer


def app_tokens(env: Mapping[str, str], tenant: str) -> dict[Network, Secret]:
    """Tokens of a tenant's apps: the Threads app's, and for Instagram the Meta app's, which is another one; pure.

    Args:
        env: what ``.env`` and the vault set.
        tenant: whose apps; one tenant never speaks as the app of another.
    """
    found: dict[Network, Secret] = {}
    for network, app, mark in _APPS:
        app_id, secret = (setting(env, tenant, f"{app}_{part}") for part in ("APP_ID", "APP_SECRET"))
        if app_id and secret:
            found[network] = Secret(f"{mark}{app_id}|{secret}")
    return found
