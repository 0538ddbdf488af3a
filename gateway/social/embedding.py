"""``clawgate posts embed`` and the agents' ``embed_post``: how a public post is shown on a page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gateway.social.policy import OembedPolicy
from shared.errors import Invalid
from shared.gatewayclient.models import PostEmbed
from shared.http.client import HttpPool
from shared.lifecycle.control import Operation
from shared.secrets.files import Secret
from shared.social.models import Network
from shared.social.oembed import embed

Embed = Callable[[str], Awaitable[PostEmbed]]
"""How a public post's address is embedded; raises `Invalid` and `SocialError`."""


def embedding(http: HttpPool, policy: OembedPolicy, env: Callable[[], Mapping[str, str]]) -> Embed:
    """Asks the networks; app ids and secrets of ``.env`` are used where one wants a token."""
    bases: dict[Network, str] = {"threads": policy.threads, "instagram": policy.instagram}

    async def ask(url: str) -> PostEmbed:
        return PostEmbed.model_validate(await embed(http, url, bases=bases, app_tokens=app_tokens(env())))

    return ask


def embed_operation(ask: Embed) -> Operation:
    """The operation for the control socket."""

    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        url = params.get("url")
        if not isinstance(url, str) or not url:
            raise Invalid("url is missing")
        return (await ask(url)).model_dump(mode="json")

    return answer


def app_tokens(env: Mapping[str, str]) -> dict[Network, Secret]:
    """Tokens of the apps: the Threads app's, and for Instagram the Meta app's, which is another one."""
    found: dict[Network, Secret] = {}
    if env.get("THREADS_APP_ID") and env.get("THREADS_APP_SECRET"):
        found["threads"] = Secret(f"TH|{env['THREADS_APP_ID']}|{env['THREADS_APP_SECRET']}")
    if env.get("META_APP_ID") and env.get("META_APP_SECRET"):
        found["instagram"] = Secret(f"{env['META_APP_ID']}|{env['META_APP_SECRET']}")
    return found
