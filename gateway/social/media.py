"""Looks at a picture or video behind a public address before a network is told to fetch it."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from dataclasses import dataclass

from gateway.egress.addresses import checked_addresses
from gateway.egress.decide import parse_target
from gateway.social.models import PostRefused
from shared.errors import GatewayError
from shared.http.client import Headers
from shared.http.pinned import PinnedHttp
from shared.social.images import ImageFacts, read_image
from shared.social.videos import VideoFacts, is_video, read_video

_PICTURE_BYTES = 8 << 20
_IN_MEMORY = 8 << 20
_CALL_S = 20.0
_WHOLE_S = 100.0
_OK = 200
_HEADERS: Headers = (
    (b"User-Agent", b"Mozilla/5.0 (compatible; Clawgate)"),
    (b"Accept", b"image/*, video/*"),
    (b"Accept-Encoding", b"identity"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What is behind an address right now.

    Attributes:
        data: a picture's bytes; empty for a video.
    """

    facts: ImageFacts | VideoFacts
    sha256: str
    data: bytes = b""


class MediaProbe:
    """Fetches pictures and videos to check and to hash them.

    Args:
        allow_loopback: also addresses of this machine, for the offline world.
        max_video_bytes: larger videos are not looked at.
    """

    def __init__(self, *, allow_loopback: bool = False, max_video_bytes: int = 100 << 20) -> None:
        self._http = PinnedHttp()
        self._allow_loopback = allow_loopback
        self._max_video_bytes = max_video_bytes

    async def look(self, url: str) -> Found:
        """Fetch a picture or video from an address that was checked.

        Raises:
            PostRefused: `media_unreachable`: it is private, missing, redirected, behind a login, or too slow;
                `media_too_large`: a video that is larger than policy looks at.
        """
        try:
            async with asyncio.timeout(_WHOLE_S):
                return await self._look(url)
        except PostRefused:
            raise
        except (GatewayError, TimeoutError) as error:
            why = error.detail if isinstance(error, GatewayError) else "it takes too long"
            raise _unreachable(url, why) from None

    async def _look(self, url: str) -> Found:
        target = parse_target(url)
        address = (await checked_addresses(target, allow_loopback=self._allow_loopback))[0]
        digest, size, head = hashlib.sha256(), 0, b""
        call = self._http.stream("GET", target.url, address=address, headers=_HEADERS, timeout_s=_CALL_S)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as body:
            async with call as answer:
                if answer.status != _OK:
                    raise _unreachable(url, f"it answers HTTP {answer.status}; it must answer 200 without a login")
                kind = answer.header("content-type").partition("/")[0]
                if kind not in {"image", "video"}:
                    raise _unreachable(url, "it is not served as a picture or video (content type image/… or video/…)")
                limit = _PICTURE_BYTES if kind == "image" else self._max_video_bytes
                async for chunk in answer.aiter_bytes():
                    size += len(chunk)
                    digest.update(chunk)
                    head = head or chunk[:16]
                    await asyncio.to_thread(body.write, chunk)
                    if size > limit:
                        # One byte more than is allowed tells that it is too large.
                        break
            if kind == "video" and size > limit:
                detail = f"{url[:120]} is a video larger than {limit:,} bytes (max_video_bytes in policies/social.toml)"
                raise PostRefused("media_too_large", detail)
            body.seek(0)
            if is_video(head):
                facts = await asyncio.to_thread(read_video, body, size)
                return Found(facts, digest.hexdigest())
            data = await asyncio.to_thread(body.read)
            return Found(read_image(data), digest.hexdigest(), data)


def _unreachable(url: str, why: str) -> PostRefused:
    return PostRefused("media_unreachable", f"{url[:120]}: {why}")
