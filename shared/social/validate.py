"""What a network would refuse, said before it is asked. Source: reference notes on the Meta APIs, §3 §5 §7."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from shared.config.strict import Strict
from shared.obs.redact import redact_text
from shared.social.images import ImageFacts
from shared.social.models import TITLES, Content, Media, Network
from shared.social.videos import VideoFacts

PostCode = Literal[
    "text_too_long",
    "empty_post",
    "too_many_links",
    "too_many_hashtags",
    "too_many_tags",
    "invalid_field",
    "carousel_size",
    "media_required",
    "media_format_unsupported",
    "media_too_large",
    "media_unreachable",
    "media_rejected",
    "media_processing_timeout",
    "secret_in_content",
    "auth_expired",
    "permission_missing",
    "quota_exceeded",
    "rate_limited",
    "blocked_by_platform",
    "container_not_found",
    "upstream_unavailable",
    "publish_outcome_unknown",
    "schedule_missed",
    "approval_rejected",
    "idempotency_conflict",
    "duplicate_content",
    "posting_not_allowed",
    "held",
]
"""Stable codes for people and programs; docs/posts.md explains each."""


class InstagramLimits(Strict):
    """Instagram's caption limits; they have changed before, so an operator can.

    Attributes:
        caption: characters of a caption.
        hashtags: hashtags in a caption.
        tags: people named with @ in a caption.
    """

    caption: int = Field(default=2200, ge=1, le=2200)
    hashtags: int = Field(default=30, ge=0, le=30)
    tags: int = Field(default=20, ge=0, le=20)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a post would be refused, or what is worth a second look."""

    code: PostCode
    detail: str


@dataclass(slots=True)
class Findings:
    """What the check found.

    Attributes:
        problems: reasons not to post.
        warnings: it may be posted all the same.
        length: the text's length as the network counts it.
        limit: the network's limit for it.
    """

    length: int
    limit: int
    problems: list[Problem] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def refuse(self, code: PostCode, detail: str) -> None:
        """Add a reason not to post."""
        self.problems.append(Problem(code, detail))


THREADS_TEXT = 500
_THREADS_LINKS, _THREADS_LINKS_SEEN = 5, 3
_TOPIC = 50
_ALT_TEXT = 1000
_CAROUSEL: dict[Network, tuple[int, int]] = {"threads": (2, 20), "instagram": (2, 10)}
_IMAGE_BYTES = 8 << 20
_WIDTH = (320, 1440)
_RATIO: dict[Network, tuple[float, float, str]] = {
    "threads": (0.1, 10.0, "1:10 to 10:1"),
    "instagram": (0.8, 1.91, "4:5 to 1.91:1"),
}
_VIDEO_WIDTH = 1920


@dataclass(frozen=True, slots=True)
class _VideoLimit:
    shortest_s: float
    longest_s: float
    bytes: int


_VIDEO_LIMITS: dict[tuple[Network, bool], _VideoLimit] = {
    ("threads", False): _VideoLimit(0, 300, 1 << 30),
    ("instagram", False): _VideoLimit(3, 900, 300 << 20),
    ("instagram", True): _VideoLimit(3, 60, 100 << 20),
}
"""By network and whether it is a story. Source: reference notes on the Meta APIs, §3 §5."""

# A pixel of rounding is no other shape.
_RATIO_SLACK = 0.01

_URL = re.compile(r"https?://[^\s<>\"']+|\bwww\.[^\s<>\"']+", re.IGNORECASE)
_HASHTAG = re.compile(r"(?<![\w&/#])#\w*[^\W\d_]\w*")
_PERSON = re.compile(r"(?<![\w.@/])@[A-Za-z0-9_](?:[A-Za-z0-9._]{0,28}[A-Za-z0-9_])?")
_EMOJI = re.compile(
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u231a\u231b\u2328\u23cf\u23e9-\u23f3"
    "\u23f8-\u23fa\u25aa\u25ab\u25b6\u25c0\u25fb-\u25fe\u200d\ufe0f\u20e3\U000e0020-\U000e007f]"
)
_SHORT_VALUE = re.compile(r"([?&#][^=?&#\s]++=)[^&#\s]{1,15}(?=[&#\s]|$)")
_LONG_WORD = re.compile(r"\b[A-Za-z]{16,}\b")


def threads_length(text: str) -> int:
    """A text's length as Threads counts it: an emoji is as long as its UTF-8 bytes, all else is one each."""
    return len(text) + sum(len(match[0].encode()) - 1 for match in _EMOJI.finditer(text))


def text_length(content: Content, limits: InstagramLimits | None = None) -> tuple[int, int]:
    """A post's text as its network counts it, and the network's limit."""
    if content.network == "threads":
        return threads_length(content.text), THREADS_TEXT
    return len(content.text), (limits or InstagramLimits()).caption


def links_in(text: str, *more: str) -> set[str]:
    """Different links of a text, and further ones beside it."""
    found = {match[0].rstrip(".,;:!?)»") for match in _URL.finditer(text)}
    return found | {link for link in more if link}


def has_secret(text: str) -> bool:
    """Whether a text holds something that looks like a credential."""
    # Short parameters and long plain words look like one to the redactor, which errs towards hiding.
    return redact_text(plain := _LONG_WORD.sub("word", _SHORT_VALUE.sub(r"\1", text))) != plain


def check_content(content: Content, limits: InstagramLimits | None = None) -> Findings:
    """Check what can be told from the request alone.

    Args:
        content: the post.
        limits: Instagram's; the network's own when None.
    """
    found = Findings(*text_length(content, limits))
    if content.network == "threads":
        _check_threads(content, found)
    else:
        _check_instagram(content, limits or InstagramLimits(), found)
    title = TITLES[content.network]
    if found.length > found.limit:
        counted = ", emoji by their bytes" if content.network == "threads" else ""
        found.refuse("text_too_long", f"the text counts {found.length} of {found.limit} on {title}{counted}")
    if not content.text.strip() and not content.media and not content.link:
        found.refuse("empty_post", "there is neither a text nor a picture or video")
    low, high = _CAROUSEL[content.network]
    if len(content.media) > 1 and not content.story and not low <= len(content.media) <= high:
        found.refuse("carousel_size", f"{len(content.media)} pictures: a carousel on {title} has {low} to {high}")
    for media in content.media:
        _check_media(media, found)
    if any(has_secret(part) for part in (content.text, content.link, *(m.alt_text for m in content.media))):
        found.refuse("secret_in_content", "the post holds something that looks like a token or key; take it out")
    return found


def _check_threads(content: Content, found: Findings) -> None:
    links = links_in(content.text, content.link)
    if len(links) > _THREADS_LINKS:
        found.refuse("too_many_links", f"{len(links)} different links; Threads takes at most {_THREADS_LINKS}")
    elif len(links) > _THREADS_LINKS_SEEN:
        found.warnings.append(f"{len(links)} links: Threads has been seen to refuse more than {_THREADS_LINKS_SEEN}")
    tag = content.topic_tag
    if tag and (len(tag) > _TOPIC or "." in tag or "&" in tag or not tag.strip()):
        found.refuse("invalid_field", f"topic_tag {tag[:60]!r}: 1 to {_TOPIC} characters without '.' and '&'")
    if content.story:
        found.refuse("invalid_field", "story: Threads has no stories; leave it out")
    only_instagram = {
        "people": any(media.people for media in content.media),
        "cover": content.cover is not None,
        "thumb_offset_ms": content.thumb_offset_ms is not None,
        "share_to_feed": content.share_to_feed is not None,
    }
    for name, is_there in only_instagram.items():
        if is_there:
            found.refuse("invalid_field", f"{name}: Threads has no such thing; leave it out")
    if content.link and content.media:
        found.refuse("invalid_field", "link: only a text post can show a link card; put the link into the text")
    if content.link and not _is_web_address(content.link):
        found.refuse("invalid_field", f"link {content.link[:80]!r} is not a web address")


def _check_instagram(content: Content, limits: InstagramLimits, found: Findings) -> None:
    for name, value in (("reply_to", content.reply_to), ("topic_tag", content.topic_tag), ("link", content.link)):
        if value:
            found.refuse("invalid_field", f"{name}: Instagram has no such thing; leave it out")
    if content.story and len(content.media) != 1:
        found.refuse("media_required", "a story is one picture or one video")
    if content.story and (content.text.strip() or any(media.alt_text for media in content.media)):
        found.refuse("invalid_field", "a story has neither caption nor alternative text: leave them out")
    if not content.media and content.text.strip() and not content.story:
        found.refuse("media_required", "Instagram has no text posts: add a JPEG picture or a video")
    if (count := len(_HASHTAG.findall(content.text))) > limits.hashtags:
        found.refuse("too_many_hashtags", f"{count} hashtags; at most {limits.hashtags} on Instagram")
    if (count := len(_PERSON.findall(content.text))) > limits.tags:
        found.refuse("too_many_tags", f"{count} people named with @; at most {limits.tags} on Instagram")
    if (count := sum(len(media.people) for media in content.media)) > limits.tags:
        found.refuse("too_many_tags", f"{count} people marked; at most {limits.tags} on Instagram")
    if content.cover is not None:
        _check_media(content.cover, found)
        if content.thumb_offset_ms is not None:
            found.refuse("invalid_field", "cover and thumb_offset_ms: a reel has one cover; give one of the two")


def _check_media(media: Media, found: Findings) -> None:
    if not media.hosted and not _is_web_address(media.url):
        found.refuse(
            "media_unreachable",
            f"{media.url[:80]!r} is no address that the network can fetch: give the https address of a picture or "
            "video that is online, or hand over a file",
        )
    if len(media.alt_text) > _ALT_TEXT:
        found.refuse("invalid_field", f"alt_text counts {len(media.alt_text)} of {_ALT_TEXT} characters")


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and text.isascii() and text.isprintable()
    except ValueError:
        return False


def check_fields(content: Content) -> Findings:
    """Check what depends on the kinds of the pictures and videos, which are known by now."""
    found, kind = Findings(0, 0), content.kind
    for name, value in (
        ("cover", content.cover),
        ("thumb_offset_ms", content.thumb_offset_ms),
        ("share_to_feed", content.share_to_feed),
    ):
        if value is not None and kind != "reel":
            found.refuse("invalid_field", f"{name}: only a reel, which is one video, has that; this is a {kind}")
    for number, media in enumerate(content.media, start=1):
        if media.people and kind == "carousel" and media.kind == "video":
            found.refuse("invalid_field", f"people: nobody can be marked in video {number} of a carousel")
        for tag in media.people:
            is_placed = tag.x is not None and tag.y is not None
            if media.kind == "image" and kind != "story" and not is_placed:
                found.refuse("invalid_field", f"people: say where in picture {number} {tag.username} is (x and y)")
            if kind == "reel" and (tag.x is not None or tag.y is not None):
                found.refuse("invalid_field", f"people: {tag.username} has no place in a reel; leave x and y out")
    return found


def check_cover(facts: ImageFacts | VideoFacts) -> Findings:
    """Check a reel's cover; its shape is Instagram's to cut."""
    found = Findings(0, 0)
    if facts.format != "jpeg":
        found.refuse("media_format_unsupported", "the cover is no JPEG picture; Instagram takes nothing else there")
    elif facts.size > _IMAGE_BYTES:
        found.refuse("media_too_large", f"the cover has {facts.size} bytes; Instagram takes at most {_IMAGE_BYTES}")
    return found


def check_image(network: Network, facts: ImageFacts, *, place: str) -> Findings:
    """Check a picture's header.

    Args:
        network: where it is to be posted.
        facts: what the header says.
        place: names the picture in messages.
    """
    found, title = Findings(0, 0), TITLES[network]
    if facts.format not in ({"jpeg"} if network == "instagram" else {"jpeg", "png"}):
        wanted = "JPEG only" if network == "instagram" else "JPEG or PNG"
        kind = "no picture that we know" if facts.format == "unknown" else f"a {facts.format.upper()} picture"
        found.refuse(
            "media_format_unsupported",
            f"{place} is {kind}; {title} takes {wanted}: convert it, or ask for it with convert",
        )
        return found
    if facts.size > _IMAGE_BYTES:
        found.refuse("media_too_large", f"{place} has {facts.size} bytes; {title} takes at most {_IMAGE_BYTES}")
    if not facts.width or not facts.height:
        found.refuse("media_format_unsupported", f"{place} has a header without a size; the file is damaged")
        return found
    low, high, words = _RATIO[network]
    ratio = facts.width / facts.height
    if not low - _RATIO_SLACK <= ratio <= high + _RATIO_SLACK:
        shape = f"{facts.width}x{facts.height}"
        found.refuse("media_format_unsupported", f"{place} is {shape}; {title} takes width to height {words}")
    if not _WIDTH[0] <= facts.width <= _WIDTH[1]:
        found.warnings.append(f"{place} is {facts.width} pixels wide; {title} scales it to {_WIDTH[0]}-{_WIDTH[1]}")
    return found


def check_video(content: Content, facts: VideoFacts, *, place: str) -> Findings:
    """Check a video's boxes.

    Args:
        content: the post it is part of.
        facts: what the boxes say.
        place: names the video in messages.
    """
    found, title = Findings(0, 0), TITLES[content.network]
    if facts.format == "unknown":
        found.refuse("media_format_unsupported", f"{place} is no MP4 or MOV video, which {title} takes")
        return found
    kind, limit = content.kind, _VIDEO_LIMITS[content.network, content.kind == "story"]
    if facts.size > limit.bytes:
        found.refuse(
            "media_too_large", f"{place} has {facts.size} bytes; a {kind} on {title} has at most {limit.bytes}"
        )
    if not facts.duration_s or not facts.width:
        found.refuse("media_format_unsupported", f"{place} does not say how long or large it is; the file is damaged")
        return found
    if not limit.shortest_s <= facts.duration_s <= limit.longest_s:
        lasts = f"{place} lasts {facts.duration_s:.1f} s"
        found.refuse(
            "media_format_unsupported", f"{lasts}; a {kind} on {title} has {limit.shortest_s:g} to {limit.longest_s:g}"
        )
    if content.thumb_offset_ms is not None and content.thumb_offset_ms > facts.duration_s * 1000:
        moment = f"thumb_offset_ms: {content.thumb_offset_ms} ms"
        found.refuse("invalid_field", f"{moment} is after the end of {place} ({facts.duration_s:.1f} s)")
    if facts.width > _VIDEO_WIDTH:
        found.refuse("media_format_unsupported", f"{place} is {facts.width} pixels wide; at most {_VIDEO_WIDTH} go")
    return found
