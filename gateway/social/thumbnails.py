"""Small pictures for those who look at a post: made here from the very bytes that were accepted, with no address."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from gateway.social.checks import Checks
from gateway.social.hosting.convert import to_jpeg
from gateway.social.models import Job
from gateway.social.views import thumbnails_of
from shared.errors import GatewayError, NotFound

WIDTH: Final = 240
MOST_BYTES: Final = 48 << 10
_KEPT: Final = 64


class Thumbnails:
    """Makes thumbnails and remembers the latest.

    Args:
        checks: looks at pictures.
    """

    def __init__(self, checks: Checks) -> None:
        self._checks = checks
        self._made: OrderedDict[str, bytes] = OrderedDict()

    async def of(self, job: Job, number: int) -> bytes:
        """A JPEG, at most 240 pixels wide and 48 KiB.

        Args:
            job: the post.
            number: which of its pictures, from 1; a cover is the last.

        Raises:
            NotFound: there is no such picture, or none any more.
        """
        if number not in thumbnails_of(job):
            raise NotFound(f"{job.id} has no picture {number} to be shown", code="social.media")
        media = job.content.files[number - 1]
        if (known := self._made.get(media.sha256)) is not None:
            self._made.move_to_end(media.sha256)
            return known
        try:
            found, _ = await self._checks.look(job.tenant, media)
            if found.sha256 != media.sha256:
                raise NotFound("the picture is not the one that was accepted", code="social.media")
            made = await asyncio.to_thread(to_jpeg, found.data, most_bytes=MOST_BYTES, width=WIDTH)
        except GatewayError as error:
            raise NotFound(f"picture {number} cannot be shown: {error.detail}", code="social.media") from None
        self._made[media.sha256] = made
        if len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return made
