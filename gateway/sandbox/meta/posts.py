"""Containers and posts of the emulated networks: single use, expiry, rolling quotas, lags. Source: notes §3 §5 §9."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from gateway.sandbox.meta.tokens import Network
from shared.clock import Clock

CONTAINER_LIFETIME = timedelta(hours=24)
WINDOW = timedelta(hours=24)
CONTAINER_LIMIT = 400


@dataclass(slots=True)
class Behaviour:
    """How the networks feel today; a test or a drill changes it at any time.

    Attributes:
        processing_reads: how often a new container's status reads as still being processed.
        status_lag: how often a published container's status still reads ``FINISHED``.
        list_lag: how often the account's list is read before a new post is in it.
        republish: what a second publish of a container does.
        quota: posts in 24 hours.
        fetches: really download pictures from loopback addresses.
        embed_token: oEmbed wants an app's token.
    """

    processing_reads: int = 0
    status_lag: int = 0
    list_lag: int = 0
    republish: Literal["error", "same_id", "duplicate"] = "error"
    quota: dict[Network, int] = field(default_factory=lambda: {"threads": 250, "instagram": 100})
    fetches: bool = True
    embed_token: bool = False


@dataclass(slots=True)
class Container:
    """Something that may become one post."""

    container_id: str
    network: Network
    kind: str
    text: str
    created_at: datetime
    urls: tuple[str, ...] = ()
    is_video: bool = False
    children: tuple[str, ...] = ()
    reply_to: str = ""
    is_item: bool = False
    problem: str = ""
    media_id: str = ""
    reads_left: int = 0
    lag_left: int = 0


@dataclass(slots=True)
class Post:
    """Something that is online."""

    media_id: str
    network: Network
    kind: str
    text: str
    posted_at: datetime
    urls: tuple[str, ...]
    reply_to: str
    container_id: str
    is_video: bool = False
    lists_left: int = 0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A picture or video that the emulator downloaded, as the networks' crawler would; it keeps small ones."""

    url: str
    status: int
    content_type: str
    size: int
    body: bytes = b""


class MetaPosts:
    """All containers and posts of both networks.

    Attributes:
        live: what is online, oldest first.
        fetched: downloads that were made.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ids = itertools.count(17_900_000_000_000_001)
        self._containers: dict[str, Container] = {}
        self._published_at: dict[Network, list[datetime]] = {"threads": [], "instagram": []}
        self.behaviour = Behaviour()
        self.live: list[Post] = []
        self.fetched: list[Fetched] = []

    @property
    def now(self) -> datetime:
        """The networks' time."""
        return self._clock.now()

    def posts(self, network: Network) -> list[Post]:
        """What is online at a network, oldest first."""
        return [post for post in self.live if post.network == network]

    def containers(self, network: Network) -> list[Container]:
        """All containers of a network, used or not."""
        return [container for container in self._containers.values() if container.network == network]

    def add(self, container: Container) -> Container:
        """Keep a new container."""
        container.container_id = str(next(self._ids))
        container.created_at = self.now
        container.reads_left = self.behaviour.processing_reads
        self._containers[container.container_id] = container
        return container

    def container(self, network: Network, container_id: str) -> Container | None:
        """A container by its id."""
        found = self._containers.get(container_id)
        return found if found is not None and found.network == network else None

    def post(self, network: Network, media_id: str) -> Post | None:
        """A post by its id."""
        return next((post for post in self.posts(network) if post.media_id == media_id), None)

    def has_room(self, network: Network) -> bool:
        """Whether a further container may be made; Instagram allows 400 in 24 hours."""
        recent = [c for c in self.containers(network) if self.now - c.created_at < WINDOW]
        return network == "threads" or len(recent) < CONTAINER_LIMIT

    def used(self, network: Network) -> int:
        """Posts in the rolling window; deleting one does not give it back."""
        return sum(1 for moment in self._published_at[network] if self.now - moment < WINDOW)

    def look(self, container: Container) -> str:
        """A container's status, as one reading of it tells."""
        if container.media_id:
            if container.lag_left:
                container.lag_left -= 1
                return "FINISHED"
            return "PUBLISHED"
        if self.now - container.created_at >= CONTAINER_LIFETIME:
            return "EXPIRED"
        if container.problem:
            return "ERROR"
        if container.reads_left:
            container.reads_left -= 1
            return "IN_PROGRESS"
        return "FINISHED"

    def is_ready(self, container: Container) -> bool:
        """Whether it can be published, or be part of a carousel."""
        return not container.reads_left and not container.problem

    def is_expired(self, container: Container) -> bool:
        """Whether its day is over."""
        return self.now - container.created_at >= CONTAINER_LIFETIME

    def put_online(self, container: Container) -> Post:
        """Make the post of a container."""
        parts = [self._containers[child] for child in container.children if child in self._containers]
        post = Post(
            media_id=str(next(self._ids)),
            network=container.network,
            kind=container.kind,
            text=container.text,
            posted_at=self.now,
            urls=container.urls or tuple(url for part in parts for url in part.urls),
            reply_to=container.reply_to,
            container_id=container.container_id,
            is_video=container.is_video,
            lists_left=self.behaviour.list_lag,
        )
        self.live.append(post)
        self._published_at[container.network].append(self.now)
        container.media_id = container.media_id or post.media_id
        container.lag_left = self.behaviour.status_lag
        return post

    def listed(self, network: Network, where: str) -> list[Post]:
        """One of the account's own lists, newest first, as one reading of it tells."""
        shown: list[Post] = []
        for post in reversed(self.posts(network)):
            place = "stories" if post.kind == "STORIES" else "replies" if post.reply_to else "posts"
            if place != where:
                continue
            if post.lists_left:
                post.lists_left -= 1
            else:
                shown.append(post)
        return shown

    def delete(self, post: Post) -> None:
        """Take a post offline."""
        self.live.remove(post)
