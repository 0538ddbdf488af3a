"""Signing in at Instagram, with Instagram's own login. Source: reference notes on the Meta APIs, §4."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from shared.oauth.meta import HttpUrl, MetaOAuth, MetaOAuthSettings, Network


class InstagramOAuthSettings(MetaOAuthSettings):
    """``[instagram]`` of policies/oauth.toml."""

    authorize_url: HttpUrl = "https://www.instagram.com/oauth/authorize"
    token_base: HttpUrl = "https://api.instagram.com"  # noqa: S105 - an address
    graph_base: HttpUrl = "https://graph.instagram.com"
    version: str = Field(default="v25.0", pattern=r"^v[0-9]+(\.[0-9]+)?$")
    scopes: tuple[str, ...] = (
        "instagram_business_basic",
        "instagram_business_content_publish",
        "instagram_business_manage_comments",
        "instagram_business_manage_insights",
    )


class InstagramOAuth(MetaOAuth):
    """`OAuthProvider` for Instagram business and creator accounts."""

    network: ClassVar[Network] = Network(
        name="instagram",
        title="Instagram",
        exchange_grant="ig_exchange_token",
        refresh_grant="ig_refresh_token",
        me_fields="id,user_id,username",
    )
