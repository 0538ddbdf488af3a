"""Looks at a picture behind a public address before a network is told to fetch it.

Files of our own are not served to the networks: there is no public media host, so a picture must be online already.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from gateway.social.models import PostRefused
from shared.errors import Unavailable
from shared.execpolicy.addresses import is_public
from shared.http.fetch import fetch_file
from shared.social.images import ImageFacts, read_image

_LIMIT = 8 << 20
_OK = 200
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Picture:
    """What is behind an address right now."""

    facts: ImageFacts
    sha256: str


class MediaProbe:
    """Fetches pictures to check and to hash them; the bytes are thrown away.

    Args:
        allow_private: also addresses of this machine and its network, for the offline world.
    """

    def __init__(self, *, allow_private: bool = False) -> None:
        self._allow_private = allow_private

    async def look(self, url: str) -> Picture:
        """Fetch a picture.

        Raises:
            PostRefused: `media_unreachable`: it is private, missing, redirected, behind a login, or too slow.
        """
        address = await self._address_of(url)
        try:
            file = await fetch_file(url, address=address, limit=_LIMIT)
        except Unavailable as error:
            raise _unreachable(url, error.detail) from None
        if file.status != _OK:
            raise _unreachable(url, f"it answers HTTP {file.status}; it must answer 200 without a login")
        if not file.content_type.startswith("image/"):
            raise _unreachable(url, "it is not served as a picture (content type image/…)")
        return Picture(read_image(file.body), hashlib.sha256(file.body).hexdigest())

    async def _address_of(self, url: str) -> str:
        """The one address that is both checked and called, so that a name cannot change its mind in between."""
        parts = urlsplit(url)
        try:
            port = parts.port or _PORTS.get(parts.scheme, 0)
            found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        except (OSError, ValueError, UnicodeError):
            raise _unreachable(url, "its host is not known") from None
        addresses = [str(entry[4][0]) for entry in found]
        if not self._allow_private and not all(is_public(ipaddress.ip_address(one)) for one in addresses):
            raise _unreachable(url, "it is on a private address, which no network can fetch")
        return addresses[0]


def _unreachable(url: str, why: str) -> PostRefused:
    return PostRefused("media_unreachable", f"{url[:120]}: {why}")
