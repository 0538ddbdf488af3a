"""What an operator allows of the web (``policies/egress.toml``)."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy
from shared.errors import ConfigError
from shared.gatewayclient.models import SearchOffer, Slug

FILE = "policies/egress.toml"
SEARCH_KEY = "WEB_SEARCH_API_KEY"
WEBHOOK_KEY = "CRON_WEBHOOK_TOKEN"
"""What webhooks of scheduled jobs are signed in with. Source: the original's ``cron.webhookToken``."""
"""Name in ``.env`` of the search provider's key."""

_PATTERN = re.compile(
    r"(?P<host>\*|(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?::(?P<port>\*|[0-9]{1,5}))?"
)


def _normal_pattern(text: str) -> str:
    try:
        pattern = text.strip().lower()
        if not pattern.isascii():
            pattern = ".".join(part.encode("idna").decode() for part in pattern.split("."))
    except UnicodeError:
        raise ValueError(f"{text!r} is not a host name") from None
    match = _PATTERN.fullmatch(pattern)
    if match is None or (match["port"] not in {None, "*"} and not 0 < int(match["port"]) <= 65535):
        raise ValueError(
            f"{text!r} is not a host pattern: write example.org, *.example.org (everything below it) or * (every "
            "public name), with :8080 or :* behind it for other ports than 80 and 443"
        )
    return pattern if match["host"][0] != "[" else f"[{_address(match['host'])}]{pattern[len(match['host']) :]}"


def _address(bracketed: str) -> ipaddress.IPv6Address:
    try:
        return ipaddress.IPv6Address(bracketed[1:-1])
    except ValueError:
        raise ValueError(f"{bracketed!r} is not an IPv6 address") from None


HostPattern = Annotated[str, AfterValidator(_normal_pattern)]


class SearchPolicy(Strict):
    """Where `web_search` asks.

    Attributes:
        backend: ``searxng`` is an instance of your own, ``brave`` needs ``WEB_SEARCH_API_KEY`` in ``.env``; ``off``
            and agents are not offered the tool.
        url: base address of the SearXNG instance (its JSON format must be switched on); for Brave another address of
            its API than the usual one.
        timeout_s: how long the backend may take.
    """

    backend: Literal["off", "searxng", "brave"] = "off"
    url: str = Field(default="", max_length=500)
    timeout_s: float = Field(default=15, gt=0, le=60)


class GroupEgress(Strict):
    """What one group may reach beyond what its whole tenant may.

    Attributes:
        allow: host patterns such as ``docs.python.org`` or ``*.wikipedia.org``; ``*`` is every public name.
        search: whether it may search; unset means as the tenant.
    """

    allow: tuple[HostPattern, ...] = ()
    search: bool | None = None


class TenantEgress(Strict):
    """What the groups of one tenant may reach.

    Attributes:
        allow: host patterns for all of its groups.
        search: whether its groups may search, where a backend is configured.
        webhooks: host patterns of addresses that its scheduled jobs may tell of their outcome; https only.
    """

    allow: tuple[HostPattern, ...] = ()
    search: bool = True
    webhooks: tuple[HostPattern, ...] = ()
    groups: dict[Slug, GroupEgress] = Field(default_factory=dict)


class EgressPolicy(Strict):
    """Which web pages agents may read. Nothing is allowed until a host is listed; private addresses never are.

    Attributes:
        timeout_s: longest time of one fetch, redirects included.
        max_redirects: followed at most; each is decided about like the first address.
        max_bytes: largest body that is read.
        max_text_chars: characters of text in one answer; longer pages come in parts.
        run_requests: fetches, redirects and searches of one run, refused ones included.
        run_bytes: bytes of all bodies of one run.
        keep_days: how long the log of requests is kept.
        allow_loopback: let patterns reach this machine; for the sandbox's own web site, refused everywhere else.
    """

    timeout_s: float = Field(default=30, gt=0, le=120)
    max_redirects: int = Field(default=5, ge=0, le=20)
    max_bytes: int = Field(default=5 << 20, ge=1024, le=64 << 20)
    max_text_chars: int = Field(default=40_000, ge=1000, le=200_000)
    run_requests: int = Field(default=60, ge=1, le=10_000)
    run_bytes: int = Field(default=50 << 20, ge=1024, le=10 << 30)
    keep_days: int = Field(default=30, ge=1, le=3650)
    allow_loopback: bool = False
    search: SearchPolicy = SearchPolicy()
    tenants: dict[Slug, TenantEgress] = Field(default_factory=dict)

    def patterns(self, tenant: str, group: str) -> tuple[str, ...]:
        """Host patterns of a group, its tenant's first."""
        mine = self.tenants.get(tenant, TenantEgress())
        return mine.allow + mine.groups.get(group, GroupEgress()).allow

    def webhooks(self, tenant: str) -> tuple[str, ...]:
        """Host patterns of a tenant's webhooks."""
        return self.tenants.get(tenant, TenantEgress()).webhooks

    def may_search(self, tenant: str, group: str) -> bool:
        """Whether a group may search."""
        return self.search_offer(tenant).includes(group)

    def search_offer(self, tenant: str) -> SearchOffer:
        """Which groups of a tenant are offered the search."""
        mine = self.tenants.get(tenant, TenantEgress())
        if self.search.backend == "off":
            return SearchOffer()
        others = (name for name, group in mine.groups.items() if group.search not in {None, mine.search})
        return SearchOffer(everybody=mine.search, exceptions=tuple(others))


def load_egress(paths: Paths, *, sandbox: bool, search_key: str) -> EgressPolicy:
    """Read the policy files.

    Args:
        paths: where the operator's copy lies.
        sandbox: whether this is the sandbox.
        search_key: the search provider's key, to be there when the policy needs one.

    Raises:
        ConfigError: every problem with its file, line and key; loopback outside the sandbox; a search backend that
            lacks its address or key.
    """
    policy = load_policy("egress", EgressPolicy, paths)
    if policy.allow_loopback and not sandbox:
        raise ConfigError(
            f"{FILE}: allow_loopback would let agents reach this machine's own services and is refused outside the "
            "sandbox: remove the line",
            code="egress.loopback",
        )
    if policy.search.backend == "searxng" and not policy.search.url.startswith(("http://", "https://")):
        raise ConfigError(f"{FILE}: search.url must be the address of your SearXNG instance", code="egress.search")
    if policy.search.backend == "brave" and not search_key:
        raise ConfigError(f'{FILE}: search.backend = "brave" needs {SEARCH_KEY} in .env', code="egress.search")
    return policy
