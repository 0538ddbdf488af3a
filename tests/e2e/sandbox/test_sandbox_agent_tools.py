"""An agent in a real container uses its tools: the web through the gateway, a question and a file on Discord."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sandbox_process import SandboxProcess, sandbox_process

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sb")


async def tool(sandbox: SandboxProcess, name: str, **arguments: object) -> dict[str, object]:
    return await sandbox.say(f"!tool {name} {json.dumps(arguments)}", bot="nanoclaw")


async def test_an_agent_reads_the_web_asks_and_hands_over_a_file(folder: Path) -> None:
    async with sandbox_process(folder) as sandbox:
        site = sandbox.ready["web"]["url"]
        sent = await tool(sandbox, "web_fetch", url=f"{site}tides")
        assert "High water is at" in (await sandbox.reply_to(sent, "nanoclaw", "said:"))["content"]
        sent = await tool(sandbox, "web_search", query="boats")
        assert f"{site}boats" in (await sandbox.reply_to(sent, "nanoclaw", "said:"))["content"]
        for url in (f"{site}away", "https://example.org/"):
            sent = await tool(sandbox, "web_fetch", url=url)
            assert "policies/egress.toml" in (await sandbox.reply_to(sent, "nanoclaw", "said:"))["content"]

        sent = await tool(sandbox, "ask_user", question="Which one?", options=["red", "blue"])
        await sandbox.press(await sandbox.reply_to(sent, "nanoclaw", "Which one?"), "blue")
        assert "owner answered: blue" in (await sandbox.reply_to(sent, "nanoclaw", "said:"))["content"]

        sent = await sandbox.say("!run echo figures > report.txt", bot="nanoclaw")
        await sandbox.reply_to(sent, "nanoclaw", "said:")
        sent = await tool(sandbox, "send_file", path="report.txt", caption="Here it is")
        message = await sandbox.reply_to(sent, "nanoclaw", "Here it is")
        assert [(file["filename"], file["size"]) for file in message["attachments"]] == [("report.txt", 8)]

        shown = subprocess.run(
            [sys.executable, "-m", "gateway.cli.main", "egress", "log", "--json"],
            env={**os.environ, "CLAWGATE_STATE": str(sandbox.state)},
            capture_output=True,
            text=True,
            check=True,
        )
    rows = [(row["kind"], row["host"], row["decision"]) for row in reversed(json.loads(shown.stdout))]
    assert rows == [
        ("fetch", "127.0.0.1", "allowed"),
        ("search", "127.0.0.1", "allowed"),
        ("fetch", "127.0.0.1", "allowed"),
        ("redirect", "169.254.169.254", "denied"),
        ("fetch", "example.org", "denied"),
    ]
