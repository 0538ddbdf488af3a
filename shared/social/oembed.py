"""How a public post is shown on a page: the networks' oEmbed. Source: reference notes on the Meta APIs, §6."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from shared.errors import Invalid
from shared.http.client import HttpPool
from shared.secrets.files import Secret
from shared.social.models import TITLES, Network
from shared.social.problems import SocialError, read_problem

_READ_S: Final = 30.0
_FIRST_ERROR: Final = 300
_HOSTS: Final[Mapping[str, Network]] = {
    "threads.net": "threads",
    "threads.com": "threads",
    "instagram.com": "instagram",
}
_PATHS: Final[Mapping[Network, re.Pattern[str]]] = {
    "threads": re.compile(r"/(@[A-Za-z0-9._]{1,40}/post|t)/[A-Za-z0-9_-]{1,60}/?"),
    "instagram": re.compile(r"/([A-Za-z0-9._]{1,40}/)?(p|reel|tv)/[A-Za-z0-9_-]{1,60}/?"),
}
_WITH_TOKEN: Final = frozenset({"permission_missing", "auth_expired", "rate_limited"})


def network_of(url: str) -> Network:
    """The network of a post's public address.

    Raises:
        Invalid: it is no such address.
    """
    parts = urlsplit(url)
    network = _HOSTS.get((parts.hostname or "").removeprefix("www."))
    if parts.scheme != "https" or network is None or not _PATHS[network].fullmatch(parts.path):
        raise Invalid(
            f"{url[:120]!r} is no address of a public post, such as https://www.threads.com/@name/post/CODE or "
            "https://www.instagram.com/p/CODE/"
        )
    return network


async def embed(
    http: HttpPool, url: str, *, bases: Mapping[Network, str], app_tokens: Mapping[Network, Secret]
) -> dict[str, Any]:
    """The networks' answer for a post: asked without a token first, and with the app's where that is refused.

    Args:
        http: sends.
        url: the post's public address.
        bases: oEmbed addresses.
        app_tokens: ``TH|id|secret`` and ``id|secret``; may be empty.

    Raises:
        Invalid: it is no post's address.
        SocialError: the network does not give it.
    """
    network = network_of(url)
    try:
        return await _ask(http, network, bases[network], url, None)
    except SocialError as error:
        token = app_tokens.get(network)
        if token is None or error.post_code not in _WITH_TOKEN:
            raise
        return await _ask(http, network, bases[network], url, token)


async def _ask(http: HttpPool, network: Network, base: str, url: str, token: Secret | None) -> dict[str, Any]:
    headers = [(b"Accept", b"application/json")]
    if token is not None:
        headers.append((b"Authorization", f"Bearer {token.reveal()}".encode()))
    query = urlencode({"url": url, "maxwidth": "658"})
    answer = await http.request("GET", f"{base}?{query}", headers=headers, body=b"", read_timeout_s=_READ_S)
    if answer.status >= _FIRST_ERROR:
        raise read_problem(network, "read", answer.status, answer.body)
    try:
        document = json.loads(answer.body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("html"), str):
        raise SocialError(f"{TITLES[network]}: no oEmbed answer", action="unreadable", post_code="upstream_unavailable")
    return {name: document.get(name) for name in ("type", "version", "html", "provider_name", "provider_url", "width")}
