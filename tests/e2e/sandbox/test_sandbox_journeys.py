"""The whole product as a new user meets it: real engine, real Claude Code, unmodified discord.py, real processes."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.config.paths import Paths
from shared.openclawclient.session import ControlUiSession
from tests.support.sandbox_process import processes_mentioning, sandbox_process

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sb")


def containers(state: Path) -> list[str]:
    """Running worker containers whose mounts lie in a state directory."""
    host = os.environ.get("DOCKER_HOST", "")
    flag = ["-H", host] if host else []
    out = subprocess.run(
        ["docker", *flag, "ps", "--filter", "name=nanoclaw-", "--format", "{{.ID}}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    found = []
    for container in out:
        mounts = subprocess.run(
            ["docker", *flag, "inspect", container], capture_output=True, text=True, check=False
        ).stdout
        if str(state) in mounts:
            found.append(container)
    return found


async def test_both_bots_and_the_control_ui_answer_and_everything_is_there_after_a_restart(folder: Path) -> None:
    async with sandbox_process(folder) as sandbox:
        assert sandbox.ready["engine"] == "docker"
        first = await sandbox.ask_bot("nanoclaw", "first ")
        assert first.startswith("echo:")
        assert "first" in first
        assert len(containers(sandbox.state)) == 1
        await sandbox.ask_bot("openclaw", "hello ")
        async with ControlUiSession(
            sandbox.ready["openclaw"]["ws_url"], token=sandbox.ready["openclaw"]["token"]
        ) as session:
            assert "from the page" in await session.chat("from the page")
        assert await sandbox.stop(signal.SIGINT) == 0
        left = list(processes_mentioning(str(sandbox.state)))
        assert left == []
        assert containers(sandbox.state) == []
        assert not Paths.resolve(sandbox.state).runtime.exists()
        before = sandbox.ready
    async with sandbox_process(folder, state=folder / "state") as again:
        assert again.ready["discord"]["channel_id"] == before["discord"]["channel_id"]
        assert again.ready["nanoclaw"]["bot_id"] == before["nanoclaw"]["bot_id"]
        assert again.ready["openclaw"]["token"] == before["openclaw"]["token"]
        assert any("first" in message["content"] for message in await again.messages())
        sent = await again.say("!history", bot="nanoclaw")
        assert "first" in (await again.reply_to(sent, "nanoclaw", "first"))["content"], "the agent's session is resumed"
        async with ControlUiSession(
            again.ready["openclaw"]["ws_url"], token=again.ready["openclaw"]["token"]
        ) as session:
            assert "from the page" in json.dumps(await session.history())


async def test_follow_up_reaches_the_live_container_with_its_memory(folder: Path) -> None:
    async with sandbox_process(folder) as sandbox:
        await sandbox.ask_bot("nanoclaw", "one ")
        running = containers(sandbox.state)
        await sandbox.ask_bot("nanoclaw", "two ")
        assert containers(sandbox.state) == running
        sent = await sandbox.say("!count", bot="nanoclaw")
        reply = await sandbox.reply_to(sent, "nanoclaw", "3")
        assert "3" in reply["content"]


async def test_long_answer_is_shown_while_it_is_written(folder: Path) -> None:
    async with sandbox_process(folder) as sandbox:
        await sandbox.ask_bot("nanoclaw", "warm ")
        sent = await sandbox.say("!slow 60", bot="nanoclaw")
        early = await sandbox.reply_to(sent, "nanoclaw", "chunk")
        assert "chunk 60" not in early["content"]
        whole = await sandbox.reply_to(sent, "nanoclaw", "chunk 60")
        assert whole["id"] == early["id"], "one message is edited, not many sent"


async def test_direct_messages_are_answered_and_openclaw_pairs_first(folder: Path) -> None:
    async with sandbox_process(folder) as sandbox:
        dm = await sandbox.open_dm("nanoclaw")
        sent = await sandbox.say("in private", channel=dm)
        assert "in private" in (await sandbox.reply_to(sent, "nanoclaw", "in private"))["content"]

        dm = await sandbox.open_dm("openclaw")
        sent = await sandbox.say("let me in", channel=dm)
        offer = await sandbox.reply_to(sent, "openclaw", "openclaw pairing approve discord")
        code = offer["content"].split("pairing approve discord ")[1].split()[0].strip("`")
        environment = {**os.environ, "CLAWGATE_STATE": str(sandbox.state)}
        approved = subprocess.run(
            [sys.executable, "-m", "openclaw.cli", "pairing", "approve", "discord", code],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert approved.returncode == 0, approved.stderr
        sent = await sandbox.say("thank you", channel=dm)
        assert "thank you" in (await sandbox.reply_to(sent, "openclaw", "thank you"))["content"]


@pytest.mark.parametrize("victim", ["nanoclaw", "gateway"])
async def test_killed_process_comes_back_and_the_message_is_answered_exactly_once(folder: Path, victim: str) -> None:
    async with sandbox_process(folder) as sandbox:
        await sandbox.ask_bot("nanoclaw", "warm ")
        untouched = sandbox.pid_of("openclaw")
        workers = containers(sandbox.state)
        word = f"word{secrets.token_hex(4)}"
        sent = await sandbox.say(f"!slow 15 {word}" if victim == "gateway" else word, bot="nanoclaw")
        os.kill(sandbox.pid_of(victim), signal.SIGKILL)
        bot = sandbox.ready["nanoclaw"]["bot_id"]
        async with asyncio.timeout(90):
            while True:
                replies = [m for m in await sandbox.messages(after=sent["id"]) if m["author"]["id"] == bot]
                if any(word in m["content"] or "chunk" in m["content"] for m in replies):
                    break
                await asyncio.sleep(0.1)
        await sandbox.ask_bot("nanoclaw", "after ", timeout_s=90)
        assert sandbox.pid_of("openclaw") == untouched
        if victim == "gateway":
            assert containers(sandbox.state) == workers, "the worker should have been adopted"
        else:
            answers = [
                m for m in await sandbox.messages(after=sent["id"]) if m["author"]["id"] == bot and word in m["content"]
            ]
            assert len(answers) == 1


async def test_worker_killed_in_mid_run_is_apologised_for_and_the_message_is_not_lost(folder: Path) -> None:
    async with sandbox_process(folder) as sandbox:
        await sandbox.ask_bot("nanoclaw", "warm ")
        sent = await sandbox.say("!stall 5", bot="nanoclaw")
        async with asyncio.timeout(30):
            while not any(run["attempt"] for run in sandbox.ask("nanoclaw", "status")["runs"]):
                await asyncio.sleep(0.05)
        host = os.environ.get("DOCKER_HOST", "")
        subprocess.run(
            ["docker", *(["-H", host] if host else []), "kill", *containers(sandbox.state)],
            check=True,
            capture_output=True,
        )
        await sandbox.reply_to(sent, "nanoclaw", "run_", timeout_s=60)
        await sandbox.reply_to(sent, "nanoclaw", "stalled 5 s", timeout_s=120)


async def test_no_secret_appears_in_logs_databases_or_the_agents_folders(folder: Path) -> None:
    async with sandbox_process(folder) as sandbox:
        await sandbox.ask_bot("nanoclaw", "x ")
        await sandbox.ask_bot("openclaw", "x ")
        state = sandbox.state
        env = dict(line.split("=", 1) for line in (state / "gateway" / ".env").read_text().splitlines() if "=" in line)
        secrets_ = [env["DISCORD_BOT_TOKEN"], env["OPENCLAW_DISCORD_BOT_TOKEN"]]
        claude = json.loads((state / "logins" / "claude.json").read_text())["claudeAiOauth"]
        codex = json.loads((state / "logins" / "codex.json").read_text())["tokens"]
        secrets_ += [claude["accessToken"], claude["refreshToken"], codex["access_token"], codex["refresh_token"]]
        secrets_.append((state / "logins" / "copilot").read_text().strip())
        assert await sandbox.stop() == 0
    allowed = {state / "gateway" / ".env", state / "world.json"}
    leaks = [
        str(path)
        for path in state.rglob("*")
        if path.is_file()
        and path not in allowed
        and state / "logins" not in path.parents
        and any(secret.encode() in path.read_bytes() for secret in secrets_)
    ]
    assert leaks == []


async def test_both_signals_end_it_also_when_inherited_as_ignored(folder: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        old = signal.signal(number, signal.SIG_IGN)
        try:
            async with sandbox_process(folder) as sandbox:
                assert await sandbox.stop(number) == 0
        finally:
            signal.signal(number, old)


def test_selftest_prints_one_json_object_and_exits_zero(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", "selftest", "--json"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"], report["engine"]) == (0, True, "docker"), report
    assert {"nanoclaw.reply", "openclaw.reply", "control_ui.session"} <= {step["name"] for step in report["steps"]}
    assert all(step["ok"] and step["ms"] >= 0 for step in report["steps"])
