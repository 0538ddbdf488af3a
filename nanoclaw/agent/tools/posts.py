"""Posting at Threads and Instagram through the gateway, which asks a person where policy wants it and posts once.

An agent never sees a token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from nanoclaw.agent.tools.base import Tool, ToolCall
from nanoclaw.groups import Group
from shared.errors import Invalid
from shared.gatewayclient.models import PostInfo, PostRequest
from shared.posting import tools
from shared.social.models import Network

_EVERYBODY = "*"


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
        properties = tools.publish_properties(networks)
        return (
            Tool("publish_post", tools.PUBLISH, self._publish, properties, ["network"]),
            Tool("post_status", tools.STATUS, self._status, {"post_id": tools.POST_ID}, read_only=True),
        )

    async def _publish(self, call: ToolCall) -> str:
        request = tools.read_request(call.arguments, group=call.group.folder, key=call.place.key)
        try:
            return tools.accepted(await self._gateway.publish_post(request))
        except Invalid as error:
            raise tools.refused(error) from None

    async def _status(self, call: ToolCall) -> str:
        if post_id := call.text("post_id"):
            return tools.told(await self._gateway.post(post_id, call.group.folder))
        return tools.told_all(await self._gateway.posts(call.group.folder))
