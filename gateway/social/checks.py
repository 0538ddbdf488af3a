"""Everything that can be told of a post before a network is asked."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from gateway.social.hosting.service import MediaHost, read_facts
from gateway.social.media import Found, MediaProbe
from gateway.social.models import PostRefused
from gateway.social.policy import SocialPolicy
from shared.errors import NotFound
from shared.social.images import ImageFacts
from shared.social.models import Content, Media
from shared.social.validate import Findings, check_content, check_cover, check_fields, check_image, check_video
from shared.social.videos import VideoFacts


class Checks:
    """Checks posts.

    Args:
        policy: the limits.
        media: looks at what lies behind addresses.
        host: keeps the files that the gateway serves.
    """

    def __init__(self, policy: SocialPolicy, media: MediaProbe, host: MediaHost) -> None:
        self._policy = policy
        self._media = media
        self._host = host

    def text(self, content: Content) -> Findings:
        """What the request alone tells.

        Raises:
            PostRefused: with the first problem's code and all problems in words.
        """
        found = check_content(content, self._policy.instagram)
        _refuse(found)
        return found

    async def whole(self, tenant: str, content: Content) -> tuple[Findings, Content]:
        """Also its pictures and videos; gives the content with their kinds and hashes, converted where that was asked.

        Raises:
            PostRefused: it is not possible like this.
        """
        found = self.text(content)
        media, facts = [], list[ImageFacts | VideoFacts]()
        for number, item in enumerate(content.media, start=1):
            known, seen = await self._one(tenant, content, item, f"picture {number}")
            media.append(known)
            facts.append(seen)
        checked = content.model_copy(update={"media": tuple(media)})
        for number, seen in enumerate(facts, start=1):
            if isinstance(seen, VideoFacts):
                problems = check_video(checked, seen, place=f"video {number}")
            else:
                problems = check_image(content.network, seen, place=f"picture {number}")
            _refuse(problems)
            found.warnings += problems.warnings
        _refuse(check_fields(checked))
        if content.cover is not None:
            seen_cover, name = await self.look(tenant, content.cover)
            _refuse(check_cover(seen_cover.facts))
            cover = content.cover.model_copy(update={"sha256": seen_cover.sha256, "name": name})
            checked = checked.model_copy(update={"cover": cover})
        return found, checked

    async def _one(
        self, tenant: str, content: Content, item: Media, place: str
    ) -> tuple[Media, ImageFacts | VideoFacts]:
        seen, name = await self.look(tenant, item)
        if isinstance(seen.facts, VideoFacts):
            return item.model_copy(update={"sha256": seen.sha256, "kind": "video", "name": name}), seen.facts
        if content.convert and check_image(content.network, seen.facts, place=place).problems:
            kept = await self._host.keep_as_jpeg(tenant, name or place, seen.data)
            _, data = await self._host.read(tenant, kept.media_id)
            update = {"url": kept.url, "sha256": kept.sha256, "source": item.url, "name": kept.name}
            return item.model_copy(update=update), read_facts(data)
        return item.model_copy(update={"sha256": seen.sha256, "name": name}), seen.facts

    async def look(self, tenant: str, item: Media) -> tuple[Found, str]:
        """What a medium is right now, and its name for people.

        Raises:
            PostRefused: it cannot be had.
        """
        if not item.hosted:
            return await self._media.look(item.url), urlsplit(item.url).path.rpartition("/")[2][:200]
        try:
            kept, data = await self._host.read(tenant, item.hosted)
        except NotFound as error:
            raise PostRefused("media_unreachable", error.detail) from None
        return Found(read_facts(data), hashlib.sha256(data).hexdigest(), data), kept.name


def _refuse(found: Findings) -> None:
    if found.problems:
        raise PostRefused(found.problems[0].code, "; ".join(problem.detail for problem in found.problems))
