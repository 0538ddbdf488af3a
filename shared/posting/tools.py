"""What agents hear about posting: the arguments of the tools, what they mean, and what became of a post."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final, Protocol

from pydantic import ValidationError

from shared.errors import Invalid
from shared.gatewayclient.models import KeptFile, PostEmbed, PostInfo, PostRequest
from shared.social.models import Content, Media, Network

PUBLISH: Final = (
    "Post at a social network for the owner. It may need the owner's approval; the answer says what happens next. If "
    "it says that a post may be online, never post it again: use post_status. Links and mentions count; use dry_run to "
    "check a draft. Instagram needs at least one picture or video."
)
STATUS: Final = "See what became of this chat's posts."
EMBED: Final = (
    "Get the HTML that shows a public post of Threads or Instagram on a web page (oEmbed). It is for showing alone: do "
    "not keep, read out or analyse it; it holds a script of the network."
)
EMBED_URL: Final[Mapping[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 500,
    "description": "The post's address, such as https://www.threads.com/@name/post/CODE.",
}
POST_ID: Final[Mapping[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "description": "Id of a post, as publish_post said; left out: the latest ones.",
}
_EVERYBODY: Final = "*"
_PICTURES: Final = 20
_PERSON: Final[Mapping[str, Any]] = {
    "type": "object",
    "properties": {
        "username": {"type": "string", "minLength": 1, "maxLength": 31},
        "picture": {"type": "integer", "minimum": 1, "maximum": _PICTURES, "description": "Which one; left out: 1."},
        "x": {"type": "number", "minimum": 0, "maximum": 1},
        "y": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["username"],
    "additionalProperties": False,
}


def publish_properties(networks: Collection[str]) -> dict[str, dict[str, Any]]:
    """JSON schemas of ``publish_post``'s arguments.

    Args:
        networks: those the agent may post at.
    """
    return {
        "network": {"type": "string", "enum": sorted(networks), "description": "Where."},
        "text": _text("The text, or Instagram's caption, exactly as it shall appear.", 5000),
        "images": {
            "type": "array",
            "description": "Public https addresses of pictures or videos; several make a carousel.",
            "items": _text("An address.", 2000),
            "maxItems": _PICTURES,
        },
        "files": {
            "type": "array",
            "description": "Pictures or videos of your working directory; they come after those of images.",
            "items": _text("A path.", 1000),
            "maxItems": _PICTURES,
        },
        "alts": {
            "type": "array",
            "description": "Alternative texts, in the order of images and files; an empty one for none.",
            "items": {"type": "string", "maxLength": 1000},
            "maxItems": _PICTURES,
        },
        "people": {
            "type": "array",
            "description": "Instagram: who is marked; x and y, from 0 to 1, say where in a picture.",
            "items": _PERSON,
            "maxItems": _PICTURES,
        },
        "cover": _text("Instagram: address of the JPEG that a video shows while it does not play.", 2000),
        "thumb_offset_ms": {
            "type": "integer",
            "minimum": 0,
            "description": "Instagram: in place of cover, the moment of the video that is shown.",
        },
        "share_to_feed": {"type": "boolean", "description": "Instagram: whether a video also shows among the posts."},
        "convert": {"type": "boolean", "description": "Make pictures of kinds the network refuses into JPEGs."},
        "story": {"type": "boolean", "description": "Instagram: one picture or video as a story, without text."},
        "reply_to": {"type": "string", "pattern": "^[0-9]{1,40}$", "description": "Threads: media id answered."},
        "topic": _text("Threads: the one topic of the post.", 50),
        "link": _text("Threads: an address shown as a card under a text without pictures.", 2000),
        "at": _text("When, with its offset: 2030-05-01T09:00+02:00. Left out: now.", 40),
        "dry_run": {"type": "boolean", "description": "Only check; nothing is kept or posted."},
    }


def _text(description: str, longest: int) -> dict[str, Any]:
    return {"type": "string", "description": description, "minLength": 1, "maxLength": longest}


FILE_BYTES: Final = 32 << 20
"""Largest file that is handed over; the gateway may take less."""


class FileGateway(Protocol):
    """Who takes files; `GatewayClient` does."""

    async def keep_file(self, name: str, data: bytes, *, convert: bool = False) -> KeptFile:
        """Hand over a file that is to be posted."""
        ...


class PostGateway(FileGateway, Protocol):
    """Who posts; `GatewayClient` does."""

    async def publish_post(self, request: PostRequest) -> PostInfo:
        """Hand over a post."""
        ...

    async def embed_post(self, url: str) -> PostEmbed:
        """How a public post is embedded."""
        ...

    async def posts(self, group: str) -> list[PostInfo]:
        """A group's latest posts."""
        ...

    async def post(self, post_id: str, group: str) -> PostInfo:
        """One of a group's posts."""
        ...


def networks_of(group: str, allowed: Mapping[Network, Collection[str]]) -> list[Network]:
    """Where a group's agent may post; the gateway checks it again at every post.

    Args:
        group: by its name in policies/social.toml.
        allowed: groups by network, ``*`` for all.
    """
    return [network for network, groups in allowed.items() if {group, _EVERYBODY}.intersection(groups)]


async def hand_over(
    gateway: FileGateway, arguments: Mapping[str, Any], read: Callable[[str], Awaitable[bytes]]
) -> list[KeptFile]:
    """Give the gateway the files that ``publish_post`` names.

    Args:
        gateway: keeps them.
        arguments: they fit the schema.
        read: a file of the agent's own folder, whole.

    Raises:
        Invalid: one cannot be read or is not taken.
    """
    paths = [str(path) for path in arguments.get("files") or ()]
    convert = arguments.get("convert") is True
    return [
        await gateway.keep_file(path.rpartition("/")[2] or "file", await read(path), convert=convert) for path in paths
    ]


def read_request(arguments: Mapping[str, Any], *, group: str, key: str, files: Sequence[KeptFile] = ()) -> PostRequest:
    """The post that arguments of ``publish_post`` mean.

    Args:
        arguments: they fit the schema.
        group: whose agent asks.
        key: names the place in the run, so that a repeated run does not post again.
        files: handed over before.

    Raises:
        Invalid: in words for the agent.
    """
    urls = [*(str(url) for url in arguments.get("images") or ()), *(file.url for file in files)]
    cover = str(arguments.get("cover") or "").strip()
    try:
        content = Content(
            network=arguments["network"],
            # Not trimmed: it is posted as it was written.
            text=str(arguments.get("text") or ""),
            media=_media(urls, arguments),
            story=arguments.get("story") is True,
            convert=arguments.get("convert") is True,
            reply_to=str(arguments.get("reply_to") or "").strip(),
            topic_tag=str(arguments.get("topic") or "").strip(),
            link=str(arguments.get("link") or "").strip(),
            cover=Media(url=cover) if cover else None,
            thumb_offset_ms=arguments.get("thumb_offset_ms"),
            share_to_feed=arguments.get("share_to_feed"),
        )
        return PostRequest(
            content=content,
            group=group,
            at=_moment(str(arguments.get("at") or "").strip()),
            idempotency_key=key,
            dry_run=arguments.get("dry_run") is True,
        )
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"not posted: {place}: {first['msg']}") from None


def _media(urls: Sequence[str], arguments: Mapping[str, Any]) -> tuple[Media, ...]:
    alts, people = list(arguments.get("alts") or ()), list(arguments.get("people") or ())
    if len(alts) > len(urls):
        raise Invalid("not posted: alts: there are more alternative texts than pictures and videos")
    marked: list[list[dict[str, Any]]] = [[] for _ in urls]
    for person in people:
        if not isinstance(person, dict):
            raise Invalid("not posted: people: each is an object with a username")
        number = person.get("picture", 1)
        if not isinstance(number, int) or not 1 <= number <= len(urls):
            raise Invalid(f"not posted: people: there is no picture {number}")
        marked[number - 1].append({name: value for name, value in person.items() if name != "picture"})
    shown = zip_longest(urls, alts, marked, fillvalue="")
    return tuple(Media(url=url, alt_text=alt, people=tags) for url, alt, tags in shown)


def refused(error: Invalid) -> Invalid:
    """A refusal as the agent reads it."""
    if error.code != "idempotency_conflict":
        return error
    # The key is a place in the run: an earlier try of the run said something else here.
    earlier = "an earlier try of this run handed in another post here; look at post_status before you go on"
    return Invalid(f"not posted: {earlier}, and call publish_post again if this one is wanted too", code=error.code)


def accepted(info: PostInfo) -> str:
    """What the agent reads after handing a post over."""
    return told(info) + "".join(f"\nnote: {warning}" for warning in info.warnings)


def told(info: PostInfo) -> str:
    """A post in one line."""
    first = " ".join(info.text.split())[:60]
    return f"{info.id or 'dry run'} [{info.state}] {info.network} {first!r}: {info.summary}"


def told_all(infos: list[PostInfo]) -> str:
    """Posts, one a line."""
    return "\n".join(told(info) for info in infos) or "this chat has not posted anything; publish_post does"


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Invalid(f"at: {text!r} is not a time with its offset, such as 2030-05-01T09:00+02:00")
    return moment
