"""What an operator says of the tunnel (``policies/tunnel.toml``)."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from gateway.tunnel.services import problem_of_service
from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy
from shared.errors import ConfigError

FILE = "policies/tunnel.toml"
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")


def _host(name: str) -> str:
    name = name.strip().lower()
    if name and not _HOST.fullmatch(name):
        raise ValueError(f"{name!r} is not a host name such as claw.example.org (no scheme, no port, no path)")
    return name


def _service(service: str) -> str:
    if service and (problem := problem_of_service(service)):
        raise ValueError(problem)
    return service


def _loopback_address(address: str) -> str:
    host, _, port = address.rpartition(":")
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback or not port.isdecimal() or not 0 < int(port) <= 65535:
        raise ValueError(f"{address!r} is not a loopback address with a port, such as 127.0.0.1:20241")
    return address


HostName = Annotated[str, AfterValidator(_host)]
Service = Annotated[str, AfterValidator(_service)]


class AccessPolicy(Strict):
    """Cloudflare Access before the Control UI.

    Attributes:
        team: the team's name; empty for no Access.
        audiences: AUD tags of the application; one of them must be in a visitor's token.
    """

    team: str = Field(default="", pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$")
    audiences: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{16,128}$")], ...] = ()

    @model_validator(mode="after")
    def _both(self) -> AccessPolicy:
        if bool(self.team) != bool(self.audiences):
            raise ValueError("team and audiences belong together: cloudflared checks both, or nothing")
        return self


class TunnelPolicy(Strict):
    """Everything in ``policies/tunnel.toml``.

    Attributes:
        name: the tunnel's name or id; empty: there is none.
        hostname: where people open the Control UI.
        service: where the Control UI listens here.
        media_hostname: where Meta fetches a post's files; empty: nowhere.
        media_service: where those files are served here.
        credentials_file: JSON that lets cloudflared run this one tunnel.
        config_file: what cloudflared reads.
        metrics: cloudflared's own listener.
        access: a login before the Control UI.
    """

    name: str = Field(default="", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$|^$")
    hostname: HostName = ""
    service: Service = "http://localhost:18789"
    media_hostname: HostName = ""
    media_service: Service = ""
    credentials_file: str = "/etc/cloudflared/tunnel.json"
    config_file: str = "/etc/cloudflared/config.yml"
    metrics: Annotated[str, AfterValidator(_loopback_address)] = "127.0.0.1:20241"
    access: AccessPolicy = AccessPolicy()

    @model_validator(mode="after")
    def _complete(self) -> TunnelPolicy:
        if self.name and not self.hostname:
            raise ValueError("a tunnel needs a hostname")
        if bool(self.media_hostname) != bool(self.media_service):
            raise ValueError("media_hostname and media_service belong together")
        if self.media_hostname and self.media_hostname == self.hostname:
            raise ValueError("media_hostname must be a name of its own: the Control UI's may have a login before it")
        return self

    @property
    def origin(self) -> str:
        """What a browser that came through the tunnel gives as its origin."""
        return f"https://{self.hostname}"


def load_tunnel(paths: Paths) -> TunnelPolicy:
    """The policy in force.

    Raises:
        ConfigError: a key is wrong (each named with file and line), or no tunnel is set up.
    """
    policy = load_policy("tunnel", TunnelPolicy, paths)
    if not policy.name:
        where = paths.policies / "tunnel.toml"
        raise ConfigError(
            f"no tunnel is set up: write name and hostname into {where}, see docs/tunnel.md", code="tunnel.none"
        )
    return policy
