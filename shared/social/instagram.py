"""Publishing at Instagram with Instagram Login. Source: reference notes on the Meta APIs, §5.

There is no call to delete a post with this login.
"""

from __future__ import annotations

from shared.http.client import HttpPool
from shared.secrets.files import Secret
from shared.social.graph import Graph, figures_of, media_fields, posts_of, quota_of, text_of
from shared.social.models import ContainerStatus, Content, Kind, List, LivePost, Media, Network, Quota

_KINDS: dict[str, Kind] = {"IMAGE": "image", "VIDEO": "reel", "CAROUSEL_ALBUM": "carousel"}
_STORIES: dict[str, Kind] = {"IMAGE": "story", "VIDEO": "story"}

_METRICS = "views,reach,likes,comments,saved,shares"


class InstagramClient:
    """`SocialClient` of Instagram.

    Args:
        http: sends.
        base: root address with the version.
    """

    network: Network = "instagram"

    def __init__(self, http: HttpPool, base: str) -> None:
        self._graph = Graph("instagram", http, base)

    async def create_item(self, token: Secret, media: Media) -> str:
        """Make a carousel's child."""
        kind = {"media_type": "VIDEO"} if media.kind == "video" else {}
        form = {"is_carousel_item": "true", **kind, **media_fields(media)}
        return await self._graph.post("/me/media", token, form, "create")

    async def create(self, token: Secret, content: Content, children: tuple[str, ...]) -> str:
        """Make the container of a post."""
        form = {"caption": content.text} if content.text else {}
        match content.kind:
            case "carousel":
                form |= {"media_type": "CAROUSEL", "children": ",".join(children)}
            case "story":
                form |= {"media_type": "STORIES", **media_fields(content.media[0])}
            case "reel":
                form |= {"media_type": "REELS", **media_fields(content.media[0])}
            case _:
                form |= media_fields(content.media[0])
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

    async def insights(self, token: Secret, media_id: str) -> dict[str, int]:
        """How a post is doing."""
        return figures_of(await self._graph.get(f"/{media_id}/insights", token, {"metric": _METRICS}))
