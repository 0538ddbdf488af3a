"""Posting at Threads and Instagram through the gateway, which asks a person where policy wants it and posts once.

An agent never sees a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nanoclaw.agent.tools.base import Tool, ToolCall
from nanoclaw.folders import inner_path
from nanoclaw.groups import Group
from shared.beneath import read_beneath
from shared.errors import Invalid
from shared.posting import tools
from shared.social.models import Network


class PostTools:
    """`publish_post` and `post_status` for groups that policy lets post; others never hear of them.

    Args:
        groups: folders by network, ``*`` for all; the gateway checks it again at every post.
        folder_of: a group's folder on this machine.
    """

    def __init__(
        self,
        gateway: tools.PostGateway,
        groups: Mapping[Network, Sequence[str]],
        folder_of: Callable[[Group], Path],
    ) -> None:
        self._gateway = gateway
        self._groups = groups
        self._folder_of = folder_of

    def offered(self, group: Group) -> Sequence[Tool]:
        """What the group may use."""
        networks = tools.networks_of(group.folder, self._groups)
        if not networks:
            return ()
        properties = tools.publish_properties(networks)
        return (
            Tool("publish_post", tools.PUBLISH, self._publish, properties, ["network"]),
            Tool("post_status", tools.STATUS, self._status, {"post_id": tools.POST_ID}, read_only=True),
            Tool("embed_post", tools.EMBED, self._embed, {"url": tools.EMBED_URL}, ["url"], read_only=True),
        )

    async def _publish(self, call: ToolCall) -> str:
        folder = self._folder_of(call.group)

        async def read(path: str) -> bytes:
            parts = inner_path(path).parts
            return await asyncio.to_thread(read_beneath, folder, parts[:-1], parts[-1], tools.FILE_BYTES)

        files = await tools.hand_over(self._gateway, call.arguments, read)
        request = tools.read_request(call.arguments, group=call.group.folder, key=call.place.key, files=files)
        try:
            return tools.accepted(await self._gateway.publish_post(request))
        except Invalid as error:
            raise tools.refused(error) from None

    async def _embed(self, call: ToolCall) -> str:
        return (await self._gateway.embed_post(call.text("url"))).html

    async def _status(self, call: ToolCall) -> str:
        if post_id := call.text("post_id"):
            return tools.told(await self._gateway.post(post_id, call.group.folder))
        return tools.told_all(await self._gateway.posts(call.group.folder))
