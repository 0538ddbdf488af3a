"""The token endpoints of one network. Source: reference notes on the Meta APIs, §1 §2 §4 §9."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from gateway.sandbox.meta.authorize import authorize_page
from gateway.sandbox.meta.tokens import ACCOUNTS, YOUNGEST, Grant, MetaTokens, Network
from gateway.sandbox.models.consent import query_of
from gateway.sandbox.models.wire import Operation, Reply, Request

_EXCHANGE: dict[Network, str] = {"threads": "th_exchange_token", "instagram": "ig_exchange_token"}
_REFRESH: dict[Network, str] = {"threads": "th_refresh_token", "instagram": "ig_refresh_token"}
_BASIC: dict[Network, str] = {"threads": "threads_basic", "instagram": "instagram_business_basic"}


@dataclass(slots=True)
class Quirks:
    """What differs between the documents and the years.

    Attributes:
        wrapped: Instagram's newer answer, a list in ``data``; false gives the older flat one.
    """

    wrapped: bool = True


def meta_auth(network: Network, version: str, tokens: MetaTokens, quirks: Quirks) -> list[Operation]:
    """Sign-in and token calls of a network."""
    api = _Auth(network, tokens, quirks)
    return [
        Operation("GET", "/oauth/authorize", "oauth.authorize", authorize_page(network, tokens)),
        Operation("POST", "/oauth/access_token", "oauth.code", api.code),
        Operation("GET", "/access_token", "oauth.exchange", api.exchange),
        Operation("GET", "/refresh_access_token", "oauth.refresh", api.refresh),
        Operation("GET", f"/{version}/me", "me", api.me),
        Operation("GET", f"/{version}/debug_token", "debug_token", api.debug),
    ]


def graph_error(message: str, code: int, status: int = 400, subcode: int = 0) -> Reply:
    """An error in the Graph shape."""
    error: dict[str, Any] = {"message": message, "type": "OAuthException", "code": code}
    if subcode:
        error["error_subcode"] = subcode
    error["fbtrace_id"] = "A" + secrets.token_urlsafe(15).replace("-", "x")
    return Reply.of({"error": error}, status)


class _Auth:
    def __init__(self, network: Network, tokens: MetaTokens, quirks: Quirks) -> None:
        self._network: Network = network
        self._tokens = tokens
        self._quirks = quirks

    async def code(self, request: Request) -> Reply:
        form = request.form()
        app = self._tokens.apps[self._network].get(form.get("client_id", ""))
        if app is None or form.get("client_secret") != app.secret:
            return graph_error("Error validating client secret.", 101)
        if form.get("grant_type") != "authorization_code":
            return _code_error("Invalid grant type")
        scopes = self._tokens.redeem(self._network, form.get("code", ""), app, form.get("redirect_uri", ""))
        if scopes is None:
            return _code_error("Matching code was not found or was already used")
        grant = self._tokens.issue(self._network, app.app_id, scopes, long=False)
        answer = {"access_token": grant.value, "user_id": ACCOUNTS[self._network].user_id}
        if self._network == "instagram" and self._quirks.wrapped:
            user = str(answer["user_id"])
            return Reply.of({"data": [{**answer, "user_id": user, "permissions": ",".join(scopes)}]})
        return Reply.of(answer)

    async def exchange(self, request: Request) -> Reply:
        query = query_of(request)
        if query.get("grant_type") != _EXCHANGE[self._network]:
            return graph_error("Unsupported request", 100)
        short = self._live(query.get("access_token", ""))
        if isinstance(short, Reply):
            return short
        if query.get("client_secret") != self._tokens.apps[self._network][short.app_id].secret:
            return graph_error("Error validating client secret.", 101)
        if short.long:
            return graph_error("Session key invalid: this token cannot be exchanged", 452)
        return self._long(short)

    async def refresh(self, request: Request) -> Reply:
        query = query_of(request)
        if query.get("grant_type") != _REFRESH[self._network]:
            return graph_error("Unsupported request", 100)
        old = self._live(query.get("access_token", ""))
        if isinstance(old, Reply):
            return old
        if _BASIC[self._network] not in old.scopes:
            return graph_error("Application does not have permission for this action", 10)
        if not old.long or self._tokens.now - old.issued_at < YOUNGEST:
            return graph_error("The token cannot be refreshed yet", 100)
        return self._long(old)

    async def me(self, request: Request) -> Reply:
        grant = self._live(request.bearer() or query_of(request).get("access_token", ""))
        if isinstance(grant, Reply):
            return grant
        account = ACCOUNTS[self._network]
        answer = {"id": str(account.user_id), "username": account.username}
        if self._network == "instagram":
            # The id is this app's own name of the account; user_id is the account's everywhere.
            answer |= {"id": "17" + str(account.user_id)[::-1], "user_id": str(account.user_id)}
        return Reply.of(answer)

    async def debug(self, request: Request) -> Reply:
        query = query_of(request)
        asker = self._live(query.get("access_token", ""))
        if isinstance(asker, Reply):
            return asker
        grant = self._tokens.find(self._network, query.get("input_token", ""))
        if grant is None:
            return Reply.of({"data": {"is_valid": False}})
        return Reply.of(
            {
                "data": {
                    "type": "USER",
                    "is_valid": not grant.revoked and self._tokens.now < grant.expires_at,
                    "issued_at": int(grant.issued_at.timestamp()),
                    "expires_at": int(grant.expires_at.timestamp()),
                    "scopes": list(grant.scopes),
                    "user_id": str(ACCOUNTS[self._network].user_id),
                }
            }
        )

    def _long(self, before: Grant) -> Reply:
        grant = self._tokens.issue(self._network, before.app_id, before.scopes, long=True)
        seconds = int((grant.expires_at - grant.issued_at).total_seconds())
        return Reply.of({"access_token": grant.value, "token_type": "bearer", "expires_in": seconds})

    def _live(self, value: str) -> Grant | Reply:
        return live_grant(self._tokens, self._network, value)


def live_grant(tokens: MetaTokens, network: Network, value: str) -> Grant | Reply:
    """A token that counts, or the refusal."""
    grant = tokens.find(network, value)
    if grant is None:
        return graph_error("Cannot parse access token", 190)
    if grant.revoked:
        return graph_error("The user has removed the app", 190, subcode=458)
    if tokens.now >= grant.expires_at:
        return graph_error("Session has expired", 190, subcode=463)
    return grant


def _code_error(message: str) -> Reply:
    return Reply.of({"error_type": "OAuthException", "code": 400, "error_message": message}, 400)
