"""OpenClaw's agent drafts a post; a person decides by button or in the Control UI; it is online once."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from openclaw_house import OWNER, House, house
from openclaw_rig import TOKEN

from openclaw.config import OpenClawPolicy
from openclaw.tenant import Posting
from shared.openclawclient.client import OpenClawClient, RequestRefused
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret
from tests.support.posting_house import PostingHouse, posting_house

CHAT, CARDS = "dc:5", "dc:9200"
POLICY = OpenClawPolicy.model_validate({"port": 0, "discord": {"guilds": {"1": {}}}})
RULES = {"tenants": {"openclaw": {"threads": {"groups": ["main"], "approvers": ["operator", "200"]}}}}
GROUPS = {"threads": ("main",)}

pytestmark = pytest.mark.timeout(120)


async def shown(it: House, wanted: str, chat: str = CHAT) -> Any:
    async with asyncio.timeout(30):
        while True:
            for message in it.channel.shown:
                if message.chat == chat and message.sender != OWNER and wanted in message.text:
                    return message
            await asyncio.sleep(0.02)


async def draft(it: House, **arguments: Any) -> None:
    await it.channel.say(CHAT, f"!tool publish_post {json.dumps(arguments, separators=(',', ':'))}", sender=OWNER)


def client(it: House, **options: Any) -> OpenClawClient:
    return OpenClawClient(it.gateway.ws_url, token=Secret(TOKEN), device=DeviceKey.generate(), **options)


def posting(there: PostingHouse) -> Posting:
    return Posting(there.clients["openclaw"], GROUPS)


async def test_from_a_message_over_a_button_to_the_permalink(paths) -> None:
    async with posting_house(paths, RULES) as there, house(paths, POLICY, posting=posting(there)) as it:
        await draft(it, network="threads", text="Tides-are-high", dry_run=True)
        await shown(it, "a person would be asked")
        await draft(it, network="threads", text="Tides-are-high")
        await shown(it, "[awaiting_approval]")
        card = await shown(it, "Tides-are-high", CARDS)
        approve = next(button.action for button in card.buttons if button.label == "Approve")
        assert "Approved" in await it.channel.press(card.id, approve, sender=OWNER)
        (job,) = await there.gateway.social.store.jobs()
        await there.until(job.id, "published")
        (live,) = there.meta.posts.posts("threads")
        assert live.text == "Tides-are-high"
        # The permalink comes a moment after the post is online.
        assert "Online at Threads" in (await shown(it, f"/post/{live.media_id}", CARDS)).text
        await it.channel.say(CHAT, "!tool post_status {}", sender=OWNER)
        assert live.media_id in (await shown(it, "is online at Threads")).text


async def test_the_control_ui_sees_edits_and_decides(paths) -> None:
    async with (
        posting_house(paths, RULES) as there,
        house(paths, POLICY, posting=posting(there)) as it,
        client(it) as ui,
    ):
        await draft(it, network="threads", text="From-the-agent")
        card = await shown(it, "From-the-agent", CARDS)
        (waiting,) = (await ui.request("posts.list", {"state": "awaiting_approval"}))["posts"]
        assert (waiting["text"], waiting["length"], waiting["limit"]) == ("From-the-agent", 14, 500)
        edited = (await ui.request("posts.edit", {"id": waiting["id"], "text": "From the agent"}))["post"]
        assert edited["digest"] != waiting["digest"]
        with pytest.raises(RequestRefused, match="changed after it was shown"):
            await ui.request("posts.approve", {"id": waiting["id"], "digest": waiting["digest"]})
        await ui.request("posts.approve", {"id": waiting["id"], "digest": edited["digest"]})
        with pytest.raises(RequestRefused, match="settled before"):
            await ui.request("posts.reject", {"id": waiting["id"], "digest": edited["digest"]})
        approve = next(button.action for button in card.buttons if button.label == "Approve")
        assert "settled before" in (await it.tenant._cards.on_press(press_of(card, approve)))
        await there.until(waiting["id"], "published")
        details = await ui.request("posts.show", {"id": waiting["id"]})
        assert details["history"][0]["state"] == "awaiting_approval"
        assert [post.text for post in there.meta.posts.live] == ["From the agent"]


async def test_scope_and_bad_input(paths) -> None:
    async with posting_house(paths, RULES) as there, house(paths, POLICY, posting=posting(there)) as it:
        async with client(it, scopes=("operator.read",)) as reader:
            with pytest.raises(RequestRefused, match="missing scope"):
                await reader.request("posts.list", {})
        async with client(it) as ui:
            for method, params, words in (
                ("posts.show", {"id": "post_nothing"}, "there is no post"),
                ("posts.approve", {"id": "x"}, "digest"),
                ("posts.list", {"limit": 0}, "must be >= 1"),
                ("posts.schedule", {"id": "x", "atMs": "soon"}, "must be"),
            ):
                with pytest.raises(RequestRefused, match=words):
                    await ui.request(method, params)
        await draft(it, network="instagram", text="x")
        await shown(it, "network: one of threads")
        await draft(it, network="threads", text="x", colour="red")
        await shown(it, "publish_post has no colour")
        assert there.meta.posts.live == []


async def test_without_permission_there_are_no_tools(paths) -> None:
    async with house(paths, POLICY, posting=Posting(None, {"threads": ("other",)})) as it:
        assert it.tenant is not None
        await draft(it, network="threads", text="x")
        await shown(it, "there is no tool named 'publish_post'")


def press_of(card: Any, action: str) -> Any:
    from shared.channels.base import ButtonPress

    return ButtonPress(card.chat, card.id, action, OWNER)
