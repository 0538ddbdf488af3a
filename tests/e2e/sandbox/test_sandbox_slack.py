"""The whole product on the emulated Slack: asked for with `--slack`, real engine, real Claude Code."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from shared.http.client import http_client
from tests.support.sandbox_process import sandbox_process

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]


async def test_a_person_on_slack_gets_an_answer_and_discord_goes_on_beside_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder: Path = tmp_path_factory.mktemp("sl")
    async with sandbox_process(folder, "--slack") as sandbox:
        slack = sandbox.ready["slack"]
        async with http_client(headers={"authorization": f"Bearer {slack['user_token']}"}) as http:

            async def slack_api(method: str, **arguments: str) -> Any:
                answer = await http.post(
                    f"{slack['api_base']}/{method}",
                    content=urlencode(arguments),
                    headers={"content-type": "application/x-www-form-urlencoded"},
                )
                assert answer.json()["ok"], answer.text
                return answer.json()

            channel = slack["channel_id"]
            asked = await slack_api("chat.postMessage", channel=channel, text=f"<@{slack['bot_id']}> over **here**")
            async with asyncio.timeout(60):
                while True:
                    history = await slack_api("conversations.history", channel=channel, oldest=asked["ts"])
                    if any("over" in message["text"] for message in history["messages"]):
                        break
                    await asyncio.sleep(0.1)
            (answer,) = history["messages"]
            assert answer["user"] == slack["bot_id"]
            assert answer["text"].startswith("echo:")
        assert (await sandbox.ask_bot("nanoclaw")).startswith("echo:")
        status = sandbox.ask("nanoclaw", "status")
        assert [channel["state"] for channel in status["channels"]] == ["online", "online"]
