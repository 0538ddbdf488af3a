"""What is to be posted, and what the networks answer."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from shared.config.strict import Strict

Network = Literal["threads", "instagram"]
Kind = Literal["text", "image", "video", "carousel", "reel", "story"]
MediaKind = Literal["image", "video"]
List = Literal["posts", "replies", "stories"]
"""Which of an account's own lists."""

HOSTED = "media:"

TITLES: dict[Network, str] = {"threads": "Threads", "instagram": "Instagram"}

QUOTA: dict[Network, int] = {"threads": 250, "instagram": 100}
"""Posts that a network takes from an account in any 24 hours. Source: reference notes on the Meta APIs, §3 §5."""


class PersonTag(Strict):
    """Somebody who is marked in a picture or video (Instagram).

    Attributes:
        username: without the @.
        x: where in a picture, from its left edge, as a share of its width; a video has no such place.
        y: the same from its top.
    """

    username: Annotated[str, Field(pattern=r"^[A-Za-z0-9._]{1,30}$")]
    x: Annotated[float, Field(ge=0, le=1)] | None = None
    y: Annotated[float, Field(ge=0, le=1)] | None = None


class Media(Strict):
    """One picture or video of a post.

    Attributes:
        url: where the network fetches it; ``media:`` and an id for a file that the gateway serves.
        alt_text: for people who do not see it.
        sha256: of the bytes behind the address when the post was accepted; empty before.
        kind: what it was found to be when the post was accepted.
        source: the address that was asked for, when what is posted was converted from it.
        name: the file's, for people.
        people: who is marked in it (Instagram).
    """

    url: Annotated[str, Field(min_length=1, max_length=2000)]
    alt_text: Annotated[str, Field(max_length=5000)] = ""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    kind: MediaKind = "image"
    source: Annotated[str, Field(max_length=2000)] = ""
    name: Annotated[str, Field(max_length=200)] = ""
    people: Annotated[tuple[PersonTag, ...], Field(max_length=50)] = ()

    @property
    def hosted(self) -> str:
        """Id of the file when the gateway serves it; empty for an address of somebody else's."""
        return self.url.removeprefix(HOSTED) if self.url.startswith(HOSTED) else ""


class Content(Strict):
    """A post as somebody wants it.

    Attributes:
        text: the text, or Instagram's caption.
        media: none makes a text post, one a picture, more a carousel.
        reply_to: media id of the post it answers (Threads).
        topic_tag: the post's one topic (Threads).
        link: shown as a card under a text post (Threads).
        story: it is a story (Instagram), seen for a day.
        convert: pictures the network does not take may be made into JPEGs.
        cover: a reel's picture while it does not play (Instagram).
        thumb_offset_ms: the moment of a reel that is its cover, in milliseconds (Instagram).
        share_to_feed: whether a reel also shows among the account's posts; the network's own choice when None.
    """

    network: Network
    text: Annotated[str, Field(max_length=20_000)] = ""
    media: Annotated[tuple[Media, ...], Field(max_length=50)] = ()
    reply_to: Annotated[str, Field(pattern=r"^[0-9]{0,40}$")] = ""
    topic_tag: Annotated[str, Field(max_length=200)] = ""
    link: Annotated[str, Field(max_length=2000)] = ""
    story: bool = False
    convert: bool = False
    cover: Media | None = None
    thumb_offset_ms: Annotated[int, Field(ge=0, le=3_600_000)] | None = None
    share_to_feed: bool | None = None

    @property
    def files(self) -> tuple[Media, ...]:
        """Everything that the network fetches."""
        return self.media if self.cover is None else (*self.media, self.cover)

    @property
    def list(self) -> List:
        """Where it is found once it is online."""
        if self.story:
            return "stories"
        return "replies" if self.reply_to else "posts"

    @property
    def kind(self) -> Kind:
        """What the networks call it."""
        if not self.media:
            return "text"
        if self.story:
            return "story"
        if len(self.media) > 1:
            return "carousel"
        if self.media[0].kind == "image":
            return "image"
        return "video" if self.network == "threads" else "reel"

    def digest(self, account: str) -> str:
        """Names exactly this post of an account, in hex: another text, picture or target is another digest."""
        parts: list[Any] = [
            account,
            self.network,
            self.kind,
            self.text,
            [[media.sha256 or media.url, media.alt_text] for media in self.media],
            self.reply_to,
            self.topic_tag,
            self.link,
        ]
        # Added later, and only where they are used: approvals of older posts keep counting.
        parts += [
            {name: value}
            for name, value in (
                ("people", [[tag.model_dump() for tag in media.people] for media in self.media]),
                ("cover", self.cover and (self.cover.sha256 or self.cover.url)),
                ("thumb_offset_ms", self.thumb_offset_ms),
                ("share_to_feed", self.share_to_feed),
            )
            if value not in (None, [[] for _ in self.media])
        ]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


ContainerState = Literal["IN_PROGRESS", "FINISHED", "PUBLISHED", "ERROR", "EXPIRED"]


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    """How far a container is.

    Attributes:
        state: the networks' own word.
        detail: what went wrong, for `ERROR`.
    """

    state: ContainerState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LivePost:
    """A post that is online, from the account's own list."""

    media_id: str
    text: str
    kind: Kind
    posted_at: datetime
    permalink: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """Posts in the network's rolling window, as its endpoint tells it.

    Attributes:
        used: posts in the window.
        total: posts it allows; 0 when the endpoint did not say.
        window_s: length of the window in seconds.
    """

    used: int
    total: int
    window_s: int
