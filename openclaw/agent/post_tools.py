"""``publish_post`` and ``post_status``: posting through the gateway, which asks a person where policy wants it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from openclaw.agent.tools import Tool, ToolContext
from openclaw.agent.workspace.places import Places
from openclaw.sessions import AGENT_ID
from shared.errors import Invalid
from shared.posting import tools
from shared.providers import ToolSpec
from shared.social.models import Network


class PostTools:
    """The tools, when policy lets this tenant's agent post anywhere.

    Args:
        groups: who may post, by network; the agent's name in policies/social.toml is ``main``.
        places: the folders of sessions, whose files can be posted.
    """

    def __init__(self, gateway: tools.PostGateway, groups: Mapping[Network, Sequence[str]], places: Places) -> None:
        self._gateway = gateway
        self._places = places
        self._networks = tools.networks_of(AGENT_ID, groups)

    @property
    def tools(self) -> tuple[Tool, ...]:
        """For the registry; none when the agent may not post."""
        if not self._networks:
            return ()
        publish = _object(tools.publish_properties(self._networks), ["network"])
        status = _object({"post_id": dict(tools.POST_ID)}, [])
        return (
            Tool(
                ToolSpec("publish_post", tools.PUBLISH, publish),
                self._publish,
                "Publish a post",
                "social",
                timeout_s=150.0,
            ),
            Tool(
                ToolSpec("embed_post", tools.EMBED, _object({"url": dict(tools.EMBED_URL)}, ["url"])),
                self._embed,
                "Embed a post",
                "social",
                timeout_s=60.0,
            ),
            Tool(
                ToolSpec("post_status", tools.STATUS, status), self._status, "Status of posts", "social", timeout_s=60.0
            ),
        )

    async def _publish(self, given: dict[str, Any], context: ToolContext) -> str:
        if given.get("network") not in self._networks:
            raise Invalid(f"network: one of {', '.join(sorted(self._networks))}")
        if unknown := given.keys() - tools.publish_properties(()).keys():
            raise Invalid(f"publish_post has no {', '.join(sorted(unknown))}")

        async def read(path: str) -> bytes:
            folder, name = self._places.reading(path, context)
            return await asyncio.to_thread(folder.read, name, most_bytes=tools.FILE_BYTES)

        files = await tools.hand_over(self._gateway, given, read)
        request = tools.read_request(given, group=AGENT_ID, key=_key(given, context), files=files)
        try:
            return tools.accepted(await self._gateway.publish_post(request))
        except Invalid as error:
            raise tools.refused(error) from None

    async def _embed(self, given: dict[str, Any], _context: ToolContext) -> str:
        return (await self._gateway.embed_post(str(given.get("url") or "").strip())).html

    async def _status(self, given: dict[str, Any], _context: ToolContext) -> str:
        if post_id := str(given.get("post_id") or "").strip():
            return tools.told(await self._gateway.post(post_id, AGENT_ID))
        return tools.told_all(await self._gateway.posts(AGENT_ID))


def _object(properties: Mapping[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _key(given: Mapping[str, Any], context: ToolContext) -> str:
    # The same words in the same run are the same post, also when the run is repeated after a crash.
    words = json.dumps({name: value for name, value in given.items() if name != "dry_run"}, sort_keys=True)
    return f"{context.run_id}.{hashlib.sha256(words.encode()).hexdigest()[:24]}"
