"""Everything that can be told of a post before a network is asked."""

from __future__ import annotations

from gateway.social.media import MediaProbe
from gateway.social.models import PostRefused
from gateway.social.policy import SocialPolicy
from shared.social.models import Content
from shared.social.validate import Findings, check_content, check_image


class Checks:
    """Checks posts.

    Args:
        policy: the limits.
        media: looks at pictures.
    """

    def __init__(self, policy: SocialPolicy, media: MediaProbe) -> None:
        self._policy = policy
        self._media = media

    def text(self, content: Content) -> Findings:
        """What the request alone tells.

        Raises:
            PostRefused: with the first problem's code and all problems in words.
        """
        found = check_content(content, self._policy.instagram)
        _refuse(found)
        return found

    async def whole(self, content: Content) -> tuple[Findings, Content]:
        """Also what lies behind the addresses of its pictures; gives the content with their hashes.

        Raises:
            PostRefused: it is not possible like this.
        """
        found = self.text(content)
        media = []
        for number, item in enumerate(content.media, start=1):
            picture = await self._media.look(item.url)
            checked = check_image(content.network, picture.facts, place=f"picture {number}")
            _refuse(checked)
            found.warnings += checked.warnings
            media.append(item.model_copy(update={"sha256": picture.sha256}))
        return found, content.model_copy(update={"media": tuple(media)})


def _refuse(found: Findings) -> None:
    if found.problems:
        raise PostRefused(found.problems[0].code, "; ".join(problem.detail for problem in found.problems))
