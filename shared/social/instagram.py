"""Publishing at Instagram with Instagram Login. Source: reference notes on the Meta APIs, §5.

There is no call to delete a post with this login.
"""

from __future__ import annotations

from shared.http.client import HttpPool
from shared.secrets.files import Secret
from shared.social.graph import Graph, picture_fields, posts_of, quota_of, text_of
from shared.social.models import ContainerStatus, Content, Kind, LivePost, Media, Network, Quota

_KINDS: dict[str, Kind] = {"IMAGE": "image", "CAROUSEL_ALBUM": "carousel"}


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
        return await self._graph.post(
            "/me/media", token, {"is_carousel_item": "true", **picture_fields(media)}, "create"
        )

    async def create(self, token: Secret, content: Content, children: tuple[str, ...]) -> str:
        """Make the container of a post."""
        form = {"caption": content.text} if content.text else {}
        if content.kind == "carousel":
            form |= {"media_type": "CAROUSEL", "children": ",".join(children)}
        else:
            form |= picture_fields(content.media[0])
        return await self._graph.post("/me/media", token, form, "create")

    async def status(self, token: Secret, container: str) -> ContainerStatus:
        """How far a container is."""
        answer = await self._graph.get(f"/{container}", token, {"fields": "id,status_code,status"})
        return self._graph.status_of(answer, "status_code", "status")

    async def publish(self, token: Secret, container: str) -> str:
        """Put a container online."""
        return await self._graph.post("/me/media_publish", token, {"creation_id": container}, "publish")

    async def recent(self, token: Secret, *, replies: bool = False, limit: int = 25) -> list[LivePost]:
        """The account's latest posts; there are no replies that are posts, and other kinds are left out."""
        if replies:
            return []
        fields = {"fields": "id,caption,media_type,timestamp,permalink", "limit": str(limit)}
        return posts_of(await self._graph.get("/me/media", token, fields), _KINDS, text="caption")

    async def permalink(self, token: Secret, media_id: str) -> str:
        """Where a post is seen."""
        return text_of(await self._graph.get(f"/{media_id}", token, {"fields": "id,permalink"}), "permalink")

    async def quota(self, token: Secret) -> Quota:
        """How many posts are left; the endpoint is believed, the documents disagree."""
        fields = {"fields": "config,quota_usage"}
        return quota_of(await self._graph.get("/me/content_publishing_limit", token, fields))
