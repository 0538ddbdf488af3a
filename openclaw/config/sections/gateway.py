"""``gateway`` of ``openclaw.json``: where it listens, who may connect, how changes are taken up."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from openclaw.config.policy import exact_origin
from openclaw.config.sections.base import Count, Free, Positive, SecretText, Section


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is no address or network such as 10.0.0.5 or 10.0.0.0/24") from None
    return value


Origin = Annotated[str, AfterValidator(exact_origin)]
Network = Annotated[str, AfterValidator(_network)]


class RateLimit(Section):
    """How often a visitor may fail to sign in before having to wait.

    Attributes:
        max_attempts: failures within the window.
        window_ms: length of the window in milliseconds.
        lockout_ms: how long to wait then, in milliseconds.
        exempt_loopback: the original's; browsers are limited everywhere here.
    """

    max_attempts: Annotated[int, Field(ge=1)] = 10
    window_ms: Positive = 60_000
    lockout_ms: Positive = 300_000
    exempt_loopback: bool = True


class TrustedProxyAuth(Section):
    """Sign-in by a header of a proxy; not in this product."""

    user_header: str
    required_headers: list[str] = []
    allow_users: list[str] = []


class GatewayAuth(Section):
    """How clients prove who they are.

    Attributes:
        mode: only ``token`` is served here; another mode is named by doctor and a token is asked for all the same.
        token: what a browser or command needs; ``${OPENCLAW_GATEWAY_TOKEN}`` takes the one the gateway holds.
        rate_limit: how often a visitor may fail.
    """

    mode: Literal["none", "token", "password", "trusted-proxy"] = "token"
    token: SecretText | None = None
    password: SecretText | None = None
    allow_tailscale: bool | None = None
    rate_limit: RateLimit | None = None
    trusted_proxy: TrustedProxyAuth | None = None


class ControlUi(Section):
    """The page in the browser.

    Attributes:
        enabled: serve it; the WebSocket is served either way.
        allowed_origins: origins beside loopback that may connect, each exactly ``https://host[:port]``.
    """

    enabled: bool = True
    base_path: str | None = None
    root: str | None = None
    allowed_origins: list[Origin] = []
    allow_insecure_auth: bool | None = None
    dangerously_disable_device_auth: bool | None = None
    dangerously_allow_host_header_origin_fallback: bool | None = None


class Reload(Section):
    """What happens when the file changes while the gateway runs.

    Attributes:
        mode: ``hybrid`` applies what it can and restarts for the rest · ``hot`` applies what it can and says what
            waits for a restart · ``restart`` restarts for every change · ``off`` waits for the next start.
        debounce_ms: how long the file must have stayed the same, in milliseconds.
    """

    mode: Literal["hybrid", "hot", "restart", "off"] = "hybrid"
    debounce_ms: Annotated[int, Field(ge=0, le=60_000)] = 300


class ToolPolicy(Section):
    """Tools over HTTP; not in this product."""

    allow: list[str] = []
    deny: list[str] = []


class Tls(Section):
    """Own certificates; a tunnel or proxy ends TLS here."""

    enabled: bool = False
    auto_generate: bool | None = None
    cert_path: str | None = None
    key_path: str | None = None
    ca_path: str | None = None


class Endpoint(Section):
    """One endpoint for programs; limits and pictures of the original are taken and not used.

    Attributes:
        enabled: serve it; can only switch off what ``policies/openclaw.toml`` switches on.
    """

    enabled: bool = False
    max_body_bytes: Count | None = None
    max_image_parts: Count | None = None
    max_total_image_bytes: Count | None = None
    max_url_parts: Count | None = None
    images: Free | None = None
    files: Free | None = None


class Endpoints(Section):
    """What programs may ask over HTTP.

    Attributes:
        chat_completions: ``POST /v1/chat/completions``.
        responses: ``POST /v1/responses``.
    """

    chat_completions: Endpoint = Endpoint()
    responses: Endpoint = Endpoint()


class SecurityHeaders(Section):
    """Headers of every answer; set in ``policies/openclaw.toml`` here."""

    strict_transport_security: str | bool | None = None


class Http(Section):
    """HTTP beside the Control UI.

    Attributes:
        endpoints: what programs may ask.
    """

    endpoints: Endpoints = Endpoints()
    security_headers: SecurityHeaders | None = None


class Gateway(Section):
    """The gateway.

    Attributes:
        mode: ``local``; a remote gateway is named with ``--url`` here.
        port: of the Control UI and the WebSocket.
        bind: who can reach the port; ``policies/openclaw.toml`` says how far this may go.
        trusted_proxies: addresses or networks whose ``X-Forwarded-For`` names the real client.
        http: which endpoints for programs are served; can only switch off what ``policies/openclaw.toml`` switches on.
    """

    mode: Literal["local", "remote"] = "local"
    port: Annotated[int, Field(ge=0, le=65535)] = 18789
    bind: Literal["auto", "lan", "loopback", "custom", "tailnet"] = "loopback"
    custom_bind_host: str | None = None
    auth: GatewayAuth = GatewayAuth()
    control_ui: ControlUi = ControlUi()
    trusted_proxies: list[Network] = []
    allow_real_ip_fallback: bool | None = None
    reload: Reload = Reload()
    tools: ToolPolicy | None = None
    channel_health_check_minutes: Count | None = None
    tailscale: Free | None = None
    remote: Free | None = None
    tls: Tls | None = None
    http: Http = Http()
    nodes: Free | None = None
