"""Looks at a picture behind a public address before a network is told to fetch it.

Files of our own are not served to the networks: there is no public media host, so a picture must be online already.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass

from gateway.egress.addresses import checked_addresses
from gateway.egress.decide import parse_target
from gateway.social.models import PostRefused
from shared.errors import GatewayError
from shared.http.client import Headers
from shared.http.pinned import PinnedHttp
from shared.social.images import ImageFacts, read_image

_LIMIT = 8 << 20
_CALL_S = 20.0
_OK = 200
_HEADERS: Headers = (
    (b"User-Agent", b"Mozilla/5.0 (compatible; Clawgate)"),
    (b"Accept", b"image/*"),
    (b"Accept-Encoding", b"identity"),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """What is behind an address right now."""

    facts: ImageFacts
    sha256: str


class MediaProbe:
    """Fetches pictures to check and to hash them; the bytes are thrown away.

    Args:
        allow_loopback: also addresses of this machine, for the offline world.
    """

    def __init__(self, *, allow_loopback: bool = False) -> None:
        self._http = PinnedHttp()
        self._allow_loopback = allow_loopback

    async def look(self, url: str) -> Picture:
        """Fetch a picture from an address that was checked.

        Raises:
            PostRefused: `media_unreachable`: it is private, missing, redirected, behind a login, or too slow.
        """
        try:
            async with asyncio.timeout(_CALL_S):
                return await self._look(url)
        except PostRefused:
            raise
        except (GatewayError, TimeoutError) as error:
            why = error.detail if isinstance(error, GatewayError) else "it takes too long"
            raise _unreachable(url, why) from None

    async def _look(self, url: str) -> Picture:
        target = parse_target(url)
        address = (await checked_addresses(target, allow_loopback=self._allow_loopback))[0]
        body = bytearray()
        call = self._http.stream("GET", target.url, address=address, headers=_HEADERS, timeout_s=_CALL_S)
        async with call as answer:
            if answer.status != _OK:
                raise _unreachable(url, f"it answers HTTP {answer.status}; it must answer 200 without a login")
            if not answer.header("content-type").startswith("image/"):
                raise _unreachable(url, "it is not served as a picture (content type image/…)")
            async for chunk in answer.aiter_bytes():
                body += chunk
                # One byte more than is allowed tells that it is too large.
                if len(body) > _LIMIT:
                    break
        data = bytes(body[: _LIMIT + 1])
        return Picture(read_image(data), hashlib.sha256(data).hexdigest())


def _unreachable(url: str, why: str) -> PostRefused:
    return PostRefused("media_unreachable", f"{url[:120]}: {why}")
