"""Posting at Threads and Instagram through the gateway, which asks a person where policy wants it and posts once.

An agent never sees a token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from nanoclaw.agent.tools.base import JsonObject, Tool, ToolCall, text_schema
from nanoclaw.groups import Group
from shared.errors import Invalid
from shared.gatewayclient.models import PostInfo, PostRequest
from shared.social.models import Content, Media, Network

_EVERYBODY = "*"
_LONGEST = 5000
_PICTURES = 20
_POST_ID: JsonObject = text_schema("Id of a post, as publish_post said; left out: the latest ones.", longest=64)


class PostGateway(Protocol):
    """What we ask of the gateway; `GatewayClient` is one."""

    async def publish_post(self, request: PostRequest) -> PostInfo:
        """Hand over a post."""
        ...

    async def posts(self, group: str) -> list[PostInfo]:
        """A group's latest posts."""
        ...

    async def post(self, post_id: str, group: str) -> PostInfo:
        """One of a group's posts."""
        ...


class PostTools:
    """`publish_post` and `post_status` for groups that policy lets post; others never hear of them.

    Args:
        groups: folders by network, ``*`` for all; the gateway checks it again at every post.
    """

    def __init__(self, gateway: PostGateway, groups: Mapping[Network, Sequence[str]]) -> None:
        self._gateway = gateway
        self._groups = groups

    def offered(self, group: Group) -> Sequence[Tool]:
        """What the group may use."""
        networks = [name for name, groups in self._groups.items() if {group.folder, _EVERYBODY}.intersection(groups)]
        if not networks:
            return ()
        publish = Tool(
            "publish_post",
            "Post at a social network for the owner. It may need the owner's approval; the answer says what happens "
            "next. If it says that a post may be online, never post it again: use post_status. Links and mentions "
            "count; use dry_run to check a draft. Instagram needs at least one JPEG.",
            self._publish,
            {
                "network": {"type": "string", "enum": sorted(networks), "description": "Where."},
                "text": text_schema("The text, or Instagram's caption, exactly as it shall appear.", longest=_LONGEST),
                "images": {
                    "type": "array",
                    "description": "Public https addresses of pictures; several make a carousel.",
                    "items": text_schema("An address.", longest=2000),
                    "maxItems": _PICTURES,
                },
                "reply_to": {
                    "type": "string",
                    "pattern": "^[0-9]{1,40}$",
                    "description": "Threads: media id answered.",
                },
                "topic": text_schema("Threads: the one topic of the post.", longest=50),
                "at": text_schema("When, with its offset: 2030-05-01T09:00+02:00. Left out: now.", longest=40),
                "dry_run": {"type": "boolean", "description": "Only check; nothing is kept or posted."},
            },
            ["network"],
        )
        status = Tool(
            "post_status", "See what became of this chat's posts.", self._status, {"post_id": _POST_ID}, read_only=True
        )
        return (publish, status)

    async def _publish(self, call: ToolCall) -> str:
        arguments: Mapping[str, Any] = call.arguments
        content = Content(
            network=arguments["network"],
            # Not trimmed: it is posted as it was written.
            text=str(arguments.get("text") or ""),
            media=tuple(Media(url=str(url)) for url in arguments.get("images") or ()),
            reply_to=call.text("reply_to"),
            topic_tag=call.text("topic"),
        )
        request = PostRequest(
            content=content,
            group=call.group.folder,
            at=_moment(call.text("at")),
            idempotency_key=call.place.key,
            dry_run=arguments.get("dry_run") is True,
        )
        try:
            info = await self._gateway.publish_post(request)
        except Invalid as error:
            if error.code != "idempotency_conflict":
                raise
            # Our key is this place in the run; an earlier try of the run said something else here.
            earlier = "an earlier try of this run handed in another post here; look at post_status before you go on"
            raise Invalid(f"not posted: {earlier}, and call publish_post again if this one is wanted too") from None
        notes = "".join(f"\nnote: {warning}" for warning in info.warnings)
        return f"{_told(info)}{notes}"

    async def _status(self, call: ToolCall) -> str:
        if post_id := call.text("post_id"):
            return _told(await self._gateway.post(post_id, call.group.folder))
        infos = await self._gateway.posts(call.group.folder)
        return "\n".join(_told(info) for info in infos) or "this chat has not posted anything; publish_post does"


def _told(info: PostInfo) -> str:
    first = " ".join(info.text.split())[:60]
    return f"{info.id or 'dry run'} [{info.state}] {info.network} {first!r}: {info.summary}"


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
