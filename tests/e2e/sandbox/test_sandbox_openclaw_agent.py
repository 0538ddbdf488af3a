"""OpenClaw's agent in the whole product: a command that waits for a person over a killed process, and a web page."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.http.client import http_client
from tests.support.sandbox_process import SandboxProcess, sandbox_process

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


async def owner_id(sandbox: SandboxProcess) -> str:
    async with http_client(base_url=sandbox.ready["discord"]["page_url"], timeout_s=10) as http:
        people = (await http.get("api/state")).json()["people"]
    return str(next(person["id"] for person in people if "owner" in json.dumps(person)))


async def restarted(sandbox: SandboxProcess) -> None:
    """Kill OpenClaw, and wait until its successor answers."""
    old = sandbox.pid_of("openclaw")
    psutil.Process(old).kill()
    async with asyncio.timeout(60):
        while True:
            await asyncio.sleep(0.2)
            try:
                if sandbox.pid_of("openclaw") != old and sandbox.ask("openclaw", "status"):
                    return
            except Exception:
                continue


def approvals(sandbox: SandboxProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "openclaw.cli", "approvals", *arguments],
        env={**os.environ, "CLAWGATE_STATE": str(sandbox.state)},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_a_command_waits_for_a_click_over_a_killed_process_and_a_page_is_read(tmp_path: Path) -> None:
    async with sandbox_process(tmp_path) as sandbox:
        channel = sandbox.ready["discord"]["channel_id"]
        tables = {"approvals": {"approvers": ["operator", await owner_id(sandbox)], "channel": channel}}
        overlay_file(operator_file("openclaw", Paths.resolve(sandbox.state)), tables)
        await restarted(sandbox)

        sent = await sandbox.say('!tool exec {"command": "echo from-a-click"}', bot="openclaw")
        card = await sandbox.reply_to(sent, "openclaw", "wants to run a command")
        await sandbox.reply_to(sent, "openclaw", "approval-pending")
        await restarted(sandbox)
        await sandbox.press(card, "Allow once")
        await sandbox.reply_to(sent, "openclaw", "exit code 0")
        late = approvals(sandbox, "list", "--json")
        assert json.loads(late.stdout) in ([], {"approvals": []})

        site = sandbox.ready["web"]["url"]
        sent = await sandbox.say(f'!tool web_fetch {{"url": "{site}tides"}}', bot="openclaw")
        assert "High water is at" in (await sandbox.reply_to(sent, "openclaw", "said:"))["content"]
        sent = await sandbox.say('!tool web_fetch {"url": "http://169.254.169.254/latest"}', bot="openclaw")
        assert "policies/egress.toml" in (await sandbox.reply_to(sent, "openclaw", "said:"))["content"]
