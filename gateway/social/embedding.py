"""``clawgate posts embed``: how a public post is shown on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gateway.social.policy import OembedPolicy
from shared.errors import Invalid
from shared.http.client import HttpPool
from shared.lifecycle.control import Operation
from shared.secrets.files import Secret
from shared.social.models import Network
from shared.social.oembed import embed


def embed_operation(http: HttpPool, policy: OembedPolicy, env: Callable[[], Mapping[str, str]]) -> Operation:
    """The operation for the control socket; app ids and secrets of ``.env`` are used where a network wants a token."""

    async def answer(params: dict[str, Any]) -> dict[str, Any]:
        url = params.get("url")
        if not isinstance(url, str) or not url:
            raise Invalid("url is missing")
        bases: dict[Network, str] = {"threads": policy.threads, "instagram": policy.instagram}
        return await embed(http, url, bases=bases, app_tokens=app_tokens(env()))

    return answer


def app_tokens(env: Mapping[str, str]) -> dict[Network, Secret]:
    """Tokens of the apps: the Threads app's, and for Instagram the Meta app's, which is another one."""
    found: dict[Network, Secret] = {}
    if env.get("THREADS_APP_ID") and env.get("THREADS_APP_SECRET"):
        found["threads"] = Secret(f"TH|{env['THREADS_APP_ID']}|{env['THREADS_APP_SECRET']}")
    if env.get("META_APP_ID") and env.get("META_APP_SECRET"):
        found["instagram"] = Secret(f"{env['META_APP_ID']}|{env['META_APP_SECRET']}")
    return found
