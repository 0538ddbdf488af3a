"""A person asks in Discord, an agent drafts, a button lets it go: the post is online once, its permalink comes back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from shared.http.client import http_client
from tests.support.sandbox_process import SandboxProcess, sandbox_process

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sb")


async def feed(sandbox: SandboxProcess) -> str:
    async with http_client(timeout_s=10) as http:
        return (await http.get(sandbox.ready["meta"]["feed_url"])).text


@pytest.mark.parametrize("bot", ["nanoclaw", "openclaw"])
async def test_from_a_discord_message_to_the_permalink(folder: Path, bot: str) -> None:
    async with sandbox_process(folder) as sandbox:
        wanted = json.dumps({"network": "threads", "text": "High tide at noon"})
        sent = await sandbox.say(f"!tool publish_post {wanted}", bot=bot)
        assert "awaiting_approval" in (await sandbox.reply_to(sent, bot, "said:"))["content"]
        assert "Nothing is online yet" in await feed(sandbox)
        # The card is in the direct messages of the one approver.
        direct = await sandbox.open_dm(bot)
        card = await sandbox.reply_to({"id": "0", "channel_id": direct}, bot, "High tide at noon")
        await sandbox.press(card, "Approve")
        done = await sandbox.reply_to({"id": "0", "channel_id": direct}, bot, "Online at Threads")
        assert done["id"] == card["id"]
        assert done["components"] == []
        assert (await feed(sandbox)).count("High tide at noon") == 1
        (post,) = (await asyncio.to_thread(sandbox.ask, "gateway", "posts_list"))["posts"]
        assert post["state"] == "published"
        await sandbox.reply_to({"id": "0", "channel_id": direct}, bot, post["permalink"])
        public = post["permalink"].replace("threads.invalid", "www.threads.com")
        embedded = await asyncio.to_thread(sandbox.ask, "gateway", "posts_embed", url=public)
        assert "High tide at noon" in embedded["html"], "asked at the emulated network, not at the real one"
        sent = await sandbox.say("!tool post_status {}", bot=bot)
        assert post["permalink"] in (await sandbox.reply_to(sent, bot, "is online at Threads"))["content"]
