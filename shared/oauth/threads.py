"""Signing in at Threads. Source: reference notes on the Meta APIs, §2."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import Field

from shared.errors import Unavailable
from shared.oauth.meta import HttpUrl, MetaOAuth, MetaOAuthSettings, Network
from shared.oauth.models import LoginNeeded, Token


class ThreadsOAuthSettings(MetaOAuthSettings):
    """``[threads]`` of policies/oauth.toml."""

    authorize_url: HttpUrl = "https://threads.net/oauth/authorize"
    token_base: HttpUrl = "https://graph.threads.net"  # noqa: S105 - an address
    graph_base: HttpUrl = "https://graph.threads.net"
    version: str = Field(default="v1.0", pattern=r"^v[0-9]+(\.[0-9]+)?$")
    scopes: tuple[str, ...] = (
        "threads_basic",
        "threads_content_publish",
        "threads_read_replies",
        "threads_manage_replies",
        "threads_manage_insights",
    )


class ThreadsOAuth(MetaOAuth):
    """`OAuthProvider` for Threads."""

    network: ClassVar[Network] = Network(
        name="threads",
        title="Threads",
        exchange_grant="th_exchange_token",
        refresh_grant="th_refresh_token",
        me_fields="id,username",
    )

    async def _lifetime(self, token: Token) -> tuple[datetime | None, datetime | None]:
        """Threads tells about a token when asked with it, though only to testers of the app."""
        value = token.access.reveal()
        path = f"/{self._settings.version}/debug_token"
        try:
            body = await self._ask(
                path, {"access_token": value, "input_token": value}, what="question when the token ends"
            )
        except (Unavailable, LoginNeeded):
            return None, None
        data = body.get("data")
        facts = data if isinstance(data, dict) else {}
        return _moment(facts.get("expires_at")), _moment(facts.get("issued_at"))


def _moment(value: Any) -> datetime | None:  # noqa: ANN401 - JSON
    try:
        return datetime.fromtimestamp(int(value), UTC) if value else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None
