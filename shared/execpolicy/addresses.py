"""Which hosts a command may name: public ones, in their plain spelling."""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import SplitResult, urlsplit

from shared.execpolicy.models import Endpoint, Finding

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]\.?", re.IGNORECASE)
_URL = re.compile(r"[\x21-\x7e]+")
_PRIVATE_NAMES = re.compile(
    r"(?:^|\.)(?:localhost|localdomain|local|internal|intranet|private|corp|home|lan|arpa|test|invalid|onion)\.?$",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)\.?")
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # carrier-grade NAT; some clouds keep their metadata service in it
        "168.63.129.16/32",  # Azure's platform address, public by its number
        "192.0.0.0/24",  # protocol assignments, and Oracle's metadata service
        "192.88.99.0/24",  # relays of 6to4
        "64:ff9b:1::/48",  # local-use NAT64
        "::ffff:0:0:0/96",  # IPv4 translated
        "fec0::/10",  # site-local
    )
)


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether an address is somebody else's on the internet, also when it is wrapped into IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and (address in _NAT64 or int(address) >> 32 == 0):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    if any(address in network for network in _NOT_PUBLIC):  # whatever this Python's tables say
        return False
    return address.is_global and not address.is_multicast


def judge_url(text: str) -> tuple[Endpoint | None, Finding | None]:
    """Where a URL leads, and what speaks against it.

    The text decides; what a name resolves to is checked when the command is about to run.
    """
    if not _URL.fullmatch(text) or "\\" in text:
        return None, Finding("ask", "url-form", f"the URL {text[:80]!r} has characters that belong percent-encoded")
    scheme, separator, _ = text.partition("://")
    if not separator:
        return None, Finding("ask", "url-form", f"{text[:80]!r} is not a full URL: write https://…")
    if scheme.lower() not in _PORTS:
        return None, Finding("deny", "url-scheme", f"only http and https URLs are allowed, not {scheme[:20]}:")
    try:
        parts = urlsplit(text)
        port = _PORTS[scheme.lower()] if parts.port is None else parts.port
    except ValueError:
        port = 0
    if not port:
        return None, Finding("ask", "url-form", f"the URL {text[:80]!r} cannot be read")
    host = parts.hostname or ""
    if problem := _judge_host(host, parts):
        return None, problem
    endpoint = Endpoint(host.rstrip("."), port, scheme.lower())
    if parts.username is not None or "@" in parts.netloc:
        return endpoint, Finding("ask", "url-credentials", "the URL carries a user name: use -u, or leave it out")
    return endpoint, None


def _judge_host(host: str, parts: SplitResult) -> Finding | None:
    if parts.netloc.rpartition("@")[2].startswith("["):
        return _judge_ipv6(host)
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return _judge_ipv4(host)
    if not host or "%" in host or _PRIVATE_NAMES.search(host):
        return Finding("deny", "private-address", f"{host or 'no host'!r} is not a public host")
    if not _HOST.fullmatch(host) or len(host) > 253:
        return Finding("deny", "private-address", f"{host[:80]!r} is not a public host name")
    return None


def _judge_ipv4(host: str) -> Finding | None:
    """IPv4 in every spelling that the C library accepts: decimal, hexadecimal, octal, shortened."""
    try:
        address = ipaddress.IPv4Address(socket.inet_aton(host.rstrip(".")))
    except (OSError, ValueError):
        return Finding("deny", "private-address", f"{host[:80]!r} is not an address")
    if not is_public(address):
        return Finding("deny", "private-address", f"{host} is {address}, which is not a public address")
    if str(address) != host:
        return Finding("ask", "odd-address", f"{host} is another spelling of {address}")
    return None


def _judge_ipv6(host: str) -> Finding:
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return Finding("deny", "private-address", f"{host[:80]!r} is not an address")
    if not is_public(address):
        return Finding("deny", "private-address", f"[{host}] is not a public address")
    return Finding("ask", "odd-address", f"[{host}] is a bare IPv6 address: use the host's name")
