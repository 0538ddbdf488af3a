"""Publishing at Threads. Source: reference notes on the Meta APIs, §3.

``auto_publish_text`` is never used: with a lost answer there would be no id to ask about.
"""

from __future__ import annotations

from shared.http.client import HttpPool
from shared.secrets.files import Secret
from shared.social.graph import Graph, figures_of, media_fields, posts_of, quota_of, text_of
from shared.social.models import ContainerStatus, Content, Kind, List, LivePost, Media, Network, Quota

_KINDS: dict[str, Kind] = {"TEXT_POST": "text", "IMAGE": "image", "VIDEO": "video", "CAROUSEL_ALBUM": "carousel"}

_METRICS = "views,likes,replies,reposts,quotes,shares"


class ThreadsClient:
    """`SocialClient` of Threads.

    Args:
        http: sends.
        base: root address with the version.
    """

    network: Network = "threads"
    can_delete = True

    def __init__(self, http: HttpPool, base: str) -> None:
        self._graph = Graph("threads", http, base)

    async def create_item(self, token: Secret, media: Media) -> str:
        """Make a carousel's child."""
        form = {"media_type": media.kind.upper(), "is_carousel_item": "true", **media_fields(media)}
        return await self._graph.post("/me/threads", token, form, "create")

    async def create(self, token: Secret, content: Content, children: tuple[str, ...]) -> str:
        """Make the container of a post."""
        form = {"media_type": content.kind.upper()}
        if content.text:
            form["text"] = content.text
        if content.kind in {"image", "video"}:
            form |= media_fields(content.media[0])
        if content.kind == "carousel":
            form["children"] = ",".join(children)
        more = {"reply_to_id": content.reply_to, "topic_tag": content.topic_tag, "link_attachment": content.link}
        form |= {name: value for name, value in more.items() if value}
        return await self._graph.post("/me/threads", token, form, "create")

    async def status(self, token: Secret, container: str) -> ContainerStatus:
        """How far a container is."""
        answer = await self._graph.get(f"/{container}", token, {"fields": "id,status,error_message"})
        return self._graph.status_of(answer, "status", "error_message")

    async def publish(self, token: Secret, container: str) -> str:
        """Put a container online."""
        return await self._graph.post("/me/threads_publish", token, {"creation_id": container}, "publish")

    async def recent(self, token: Secret, where: List = "posts", limit: int = 25) -> list[LivePost]:
        """The latest of a list; replies have one of their own, stories do not exist, other kinds are left out."""
        fields = {"fields": "id,text,media_type,timestamp,permalink", "limit": str(limit)}
        answer = await self._graph.get("/me/replies" if where == "replies" else "/me/threads", token, fields)
        return posts_of(answer, _KINDS, text="text")

    async def permalink(self, token: Secret, media_id: str) -> str:
        """Where a post is seen."""
        return text_of(await self._graph.get(f"/{media_id}", token, {"fields": "id,permalink"}), "permalink")

    async def quota(self, token: Secret) -> Quota:
        """How many posts are left."""
        return quota_of(await self._graph.get("/me/threads_publishing_limit", token, {"fields": "quota_usage,config"}))

    async def insights(self, token: Secret, media_id: str, kind: Kind) -> dict[str, int]:  # noqa: ARG002 - protocol
        """How a post is doing."""
        return figures_of(await self._graph.get(f"/{media_id}/insights", token, {"metric": _METRICS}))

    async def delete(self, token: Secret, media_id: str) -> None:
        """Take a post offline; 100 a day, with the permission ``threads_delete``."""
        await self._graph.delete(f"/{media_id}", token)
