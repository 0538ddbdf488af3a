"""The page on which a person allows an app at Threads or Instagram. Source: reference notes on the Meta APIs, §2 §4."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlencode

from gateway.sandbox.meta.tokens import ACCOUNTS, MetaTokens, Network
from gateway.sandbox.models.consent import DECISION, asked, denial, gone_to, query_of, refused
from gateway.sandbox.models.wire import Reply, Request

_TITLES: dict[Network, str] = {"threads": "Threads", "instagram": "Instagram"}


def authorize_page(network: Network, tokens: MetaTokens) -> Callable[[Request], Awaitable[Reply]]:
    """``GET /oauth/authorize``."""

    async def authorize(request: Request) -> Reply:
        query = query_of(request)
        if (problem := problem_of(tokens, network, query)) is not None:
            return refused(_TITLES[network], problem)
        match query.get(DECISION):
            case "allow":
                return gone_to(allowed_address(tokens, network, query))
            case "refuse":
                return gone_to(denied_address(query))
            case _:
                return asked(_TITLES[network], ACCOUNTS[network].username, query)

    return authorize


def problem_of(tokens: MetaTokens, network: Network, query: Mapping[str, str]) -> str | None:
    """What is wrong with a request; None when the person may be asked."""
    app = tokens.apps[network].get(query.get("client_id", ""))
    if app is None:
        return "there is no app of this id"
    if app.redirect_uri != query.get("redirect_uri"):
        return "the redirect address is not the one that is registered"
    return None if query.get("response_type") == "code" else "response_type is not code"


def allowed_address(tokens: MetaTokens, network: Network, query: Mapping[str, str]) -> str:
    """Where the browser ends when the person allows the app; the request is right."""
    app = tokens.apps[network][query["client_id"]]
    code = tokens.issue_code(network, app, tuple(query.get("scope", "").split(",")))
    return f"{app.redirect_uri}?{urlencode({'code': code, 'state': query.get('state', '')})}#_"


def denied_address(query: Mapping[str, str]) -> str:
    """Where the browser ends when the person refuses."""
    refusal = denial(query.get("state", ""), error_reason="user_denied")
    return f"{query.get('redirect_uri', '')}?{urlencode(refusal)}#_"
