"""Publishing at Instagram with Instagram Login. Source: reference notes on the Meta APIs, §5.

There is no call to delete a post with this login.
"""

from __future__ import annotations

import json

from shared.http.client import HttpPool
from shared.secrets.files import Secret
from shared.social.graph import Graph, figures_of, media_fields, posts_of, quota_of, text_of
from shared.social.models import ContainerStatus, Content, Kind, List, LivePost, Media, Network, Quota
from shared.social.problems import SocialError

_KINDS: dict[str, Kind] = {"IMAGE": "image", "VIDEO": "reel", "CAROUSEL_ALBUM": "carousel"}
_STORIES: dict[str, Kind] = {"IMAGE": "story", "VIDEO": "story"}

# Of the kinds FEED and REELS, and of STORY; a name that a kind does not have refuses the whole question.
_METRICS = "views,reach,likes,comments,saved,shares,total_interactions"
_STORY_METRICS = "views,reach,replies,shares,navigation,total_interactions"


class InstagramClient:
    """`SocialClient` of Instagram.

    Args:
        http: sends.
        base: root address with the version.
    """

    network: Network = "instagram"
    can_delete = False

    def __init__(self, http: HttpPool, base: str) -> None:
        self._graph = Graph("instagram", http, base)

    async def create_item(self, token: Secret, media: Media) -> str:
        """Make a carousel's child."""
        kind = {"media_type": "VIDEO"} if media.kind == "video" else {}
        form = {"is_carousel_item": "true", **kind, **_fields(media)}
        return await self._graph.post("/me/media", token, form, "create")

    async def create(self, token: Secret, content: Content, children: tuple[str, ...]) -> str:
        """Make the container of a post."""
        form = {"caption": content.text} if content.text else {}
        match content.kind:
            case "carousel":
                form |= {"media_type": "CAROUSEL", "children": ",".join(children)}
            case "story":
                form |= {"media_type": "STORIES", **_fields(content.media[0])}
            case "reel":
                form |= {"media_type": "REELS", **_fields(content.media[0]), **_reel(content)}
            case _:
                form |= _fields(content.media[0])
        return await self._graph.post("/me/media", token, form, "create")

    async def status(self, token: Secret, container: str) -> ContainerStatus:
        """How far a container is."""
        answer = await self._graph.get(f"/{container}", token, {"fields": "id,status_code,status"})
        return self._graph.status_of(answer, "status_code", "status")

    async def publish(self, token: Secret, container: str) -> str:
        """Put a container online."""
        return await self._graph.post("/me/media_publish", token, {"creation_id": container}, "publish")

    async def recent(self, token: Secret, where: List = "posts", limit: int = 25) -> list[LivePost]:
        """The latest of a list; there are no replies that are posts, stories are in a list of their own."""
        if where == "replies":
            return []
        fields = {"fields": "id,caption,media_type,timestamp,permalink", "limit": str(limit)}
        path, kinds = ("/me/stories", _STORIES) if where == "stories" else ("/me/media", _KINDS)
        return posts_of(await self._graph.get(path, token, fields), kinds, text="caption")

    async def permalink(self, token: Secret, media_id: str) -> str:
        """Where a post is seen."""
        return text_of(await self._graph.get(f"/{media_id}", token, {"fields": "id,permalink"}), "permalink")

    async def quota(self, token: Secret) -> Quota:
        """How many posts are left; the endpoint is believed, the documents disagree."""
        fields = {"fields": "config,quota_usage"}
        return quota_of(await self._graph.get("/me/content_publishing_limit", token, fields))

    async def insights(self, token: Secret, media_id: str, kind: Kind) -> dict[str, int]:
        """How a post is doing; a story's figures exist for 24 hours."""
        metrics = _STORY_METRICS if kind == "story" else _METRICS
        return figures_of(await self._graph.get(f"/{media_id}/insights", token, {"metric": metrics}))

    async def delete(self, token: Secret, media_id: str) -> None:  # noqa: ARG002 - the protocol's
        """There is no such call with this login; `can_delete` says so."""
        raise SocialError("Instagram has no call to delete a post", action="refused", post_code="permission_missing")


def _fields(media: Media) -> dict[str, str]:
    tags = [tag.model_dump(exclude_none=True) for tag in media.people]
    return media_fields(media) | ({"user_tags": json.dumps(tags)} if tags else {})


def _reel(content: Content) -> dict[str, str]:
    form: dict[str, str] = {}
    if content.cover is not None:
        form["cover_url"] = content.cover.url
    if content.thumb_offset_ms is not None:
        form["thumb_offset"] = str(content.thumb_offset_ms)
    if content.share_to_feed is not None:
        form["share_to_feed"] = "true" if content.share_to_feed else "false"
    return form
