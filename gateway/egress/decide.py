"""Whether a group may fetch an address: a pure decision. The network step after it can only refuse."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from gateway.egress.policy import FILE, EgressPolicy
from shared.errors import Invalid

_PORTS = {"http": 80, "https": 443}
_LONGEST_URL = 2048
_LONGEST_HOST = 253
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed address.

    Attributes:
        host: lower case, in its ASCII form, without brackets.
        path: path and query as they are sent.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def is_address(self) -> bool:
        """The host is an IP address."""
        return ":" in self.host or self.host.replace(".", "").isdigit()

    @property
    def authority(self) -> str:
        """Host and, unless it is the usual one, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole address, without a fragment."""
        return f"{self.scheme}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True)
class FetchVerdict:
    """Whether an address may be fetched, and why (not), in words for an agent.

    Attributes:
        host: for the log, as far as it could be read.
        target: when allowed.
    """

    allowed: bool
    reason: str
    host: str = ""
    target: Target | None = None


def parse_target(url: str) -> Target:
    """Take an address apart, strictly: what different programs read differently is refused.

    Raises:
        Invalid: it is no plain http or https address.
    """
    if len(url) > _LONGEST_URL:
        raise Invalid(f"the address is longer than {_LONGEST_URL} characters")
    if _FORBIDDEN.search(url):
        raise Invalid("the address holds a blank, a control character or a backslash")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid("the address cannot be read: its host or port is malformed") from None
    if parts.scheme not in _PORTS:
        raise Invalid("only http:// and https:// addresses can be fetched")
    if "@" in parts.netloc:
        raise Invalid("an address with a user name or password is not fetched")
    if port == 0:
        raise Invalid("there is no port 0")
    host = _host(parts.hostname or "")
    # What is not ASCII is sent percent-encoded; what is encoded already stays as it is.
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        f"?{quote(parts.query, safe=chr(37) + '/?:@!$&' + chr(39) + '()*+,;=~-._[]')}" if parts.query else ""
    )
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path)


def _host(text: str) -> str:
    if ":" in text:
        try:
            return str(ipaddress.IPv6Address(text))  # without a zone: scoped addresses are local
        except ValueError:
            raise Invalid("the host is not an IPv6 address") from None
    try:
        host = text.encode("idna").decode().lower().removesuffix(".")
    except UnicodeError:
        raise Invalid("the host is not a name") from None
    labels = host.split(".")
    if not host or len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise Invalid("the host is not a name")
    if _NUMBER.fullmatch(labels[-1]):
        # 127.1, 0x7f.1, 2130706433 and 0177.0.0.1 all mean 127.0.0.1 to some programs.
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise Invalid("the host is an unusual spelling of an IP address: use a name") from None
    return host


def matches(pattern: str, target: Target) -> bool:
    """Whether a host pattern of the policy covers an address."""
    name, _, port = pattern.rpartition(":") if re.search(r":(?:\*|[0-9]+)$", pattern) else (pattern, "", "")
    if port == "":
        if target.port not in _PORTS.values():
            return False
    elif port not in {"*", str(target.port)}:
        return False
    if name == "*":
        return not target.is_address
    if name.startswith("*."):
        return not target.is_address and target.host.endswith(name[1:])
    return name.strip("[]") == target.host


def decide_fetch(url: str, tenant: str, group: str, policy: EgressPolicy) -> FetchVerdict:
    """Decide whether the agent of a group may fetch an address.

    Args:
        url: as the agent, or a redirect, names it.
        tenant: the group's.
        group: on whose behalf.
        policy: the operator's.
    """
    try:
        target = parse_target(url)
    except Invalid as error:
        return FetchVerdict(allowed=False, reason=error.detail)
    for pattern in policy.patterns(tenant, group):
        if matches(pattern, target):
            return FetchVerdict(allowed=True, reason=f"allowed by {pattern}", host=target.host, target=target)
    return FetchVerdict(allowed=False, reason=_how_to_allow(target, tenant, group), host=target.host)


def decide_webhook(url: str, tenant: str, policy: EgressPolicy) -> FetchVerdict:
    """Decide whether a tenant may tell an address of something: https, and on a list of its own.

    Args:
        url: as the job names it.
        tenant: whose job it is.
        policy: the operator's.
    """
    try:
        target = parse_target(url)
    except Invalid as error:
        return FetchVerdict(allowed=False, reason=error.detail)
    if target.scheme != "https" and not policy.allow_loopback:
        return FetchVerdict(allowed=False, reason="a webhook goes to an https:// address only", host=target.host)
    for pattern in policy.webhooks(tenant):
        if matches(pattern, target):
            return FetchVerdict(allowed=True, reason=f"allowed by {pattern}", host=target.host, target=target)
    reason = (
        f"{target.host} is no address for webhooks: the operator can allow it by adding it to webhooks under "
        f"[tenants.{tenant}] in {FILE}, then `clawgate restart gateway`"
    )
    return FetchVerdict(allowed=False, reason=reason, host=target.host)


def _how_to_allow(target: Target, tenant: str, group: str) -> str:
    shown = target.host if ":" not in target.host else f"[{target.host}]"
    wanted = shown if target.port in _PORTS.values() else f"{shown}:{target.port}"
    return (
        f"{wanted} is not on the allow list of this group. Tell the people here: the operator can allow it by adding "
        f'"{wanted}" to allow under [tenants.{tenant}.groups.{group}] in {FILE}, then `clawgate restart gateway`.'
    )
