"""The network's say in a fetch: where a name leads, and whether we may go there. It can only refuse."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from gateway.egress.decide import Target
from shared.errors import Denied, Unavailable
from shared.execpolicy.addresses import is_public

_DNS_TIMEOUT_S = 10.0
_MOST_ADDRESSES = 4


def refusal(address: str, *, allow_loopback: bool = False) -> str:
    """Why an IP address must not be connected to; empty when it may be."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return f"{address} is not a plain IP address"
    if is_public(ip) or (allow_loopback and ip.is_loopback):
        return ""
    return f"{address} is not a public address"


async def checked_addresses(target: Target, *, allow_loopback: bool = False) -> list[str]:
    """Where a target leads, every address checked; connect to one of these and to nothing else.

    Raises:
        Denied: one of its addresses is not public: a name that leads to both kinds is not trusted at all.
        Unavailable: the name is not known, or nobody answers who knows.
    """
    try:
        async with asyncio.timeout(_DNS_TIMEOUT_S):
            found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise Unavailable(f"the host {target.host} is not known", code="egress.dns") from None
    except TimeoutError:
        raise Unavailable(f"nobody answers where {target.host} is", code="egress.dns") from None
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if reason := refusal(address, allow_loopback=allow_loopback):
            raise Denied(
                f"{target.host} leads to a place that is never fetched from: {reason}", code="egress.private_address"
            )
    return addresses[:_MOST_ADDRESSES]
