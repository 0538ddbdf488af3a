"""`clawgate up` against a Discord that refuses: one clear line, an exit code by class, the other bot serving.

And against one that does not: an installation set up as the guide says scores 100.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.sandbox.cast import Cast, cast_of
from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.run import free_port
from gateway.setup.act import allow_server
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.errors import ExitCode
from shared.lifecycle.control import call
from shared.secrets.files import write_private
from tests.support.sandbox_process import sandbox_process

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(120)]


@asynccontextmanager
async def discord() -> AsyncIterator[tuple[World, Cast, DiscordEmulator]]:
    world = World()
    cast = cast_of(world)
    emulator = DiscordEmulator(world, FaultPlan())
    await emulator.start()
    try:
        yield world, cast, emulator
    finally:
        await emulator.stop()


def installation(folder: Path, emulator: DiscordEmulator, nano: str, open_: str) -> Paths:
    paths = Paths.resolve(folder / "state")
    write_private(paths.env_file, f"DISCORD_BOT_TOKEN={nano}\nOPENCLAW_DISCORD_BOT_TOKEN={open_}\n")
    upstream = {"discord": {"api_base": emulator.api_base, "gateway_url": emulator.gateway_url}}
    overlay_file(operator_file("upstreams", paths), upstream)
    overlay_file(operator_file("gateway", paths), {"model_api": {"enabled": False}})
    if not operator_file("openclaw", paths).exists():
        overlay_file(operator_file("openclaw", paths), {"port": free_port()})
    return paths


@asynccontextmanager
async def up(paths: Paths, output: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    with output.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.cli.main", "up", "--state", str(paths.state)),
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(paths.state)},
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), 60)


async def process_status(paths: Paths, name: str, *states: str, timeout_s: float = 60) -> dict[str, object]:
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                processes = await asyncio.to_thread(call, paths.control_socket("up"), "status")
            except Exception:
                processes = []
            for process in processes:
                if process["name"] == name and process["state"] in states:
                    return process
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("case", "code", "words"),
    [
        ("token", ExitCode.AUTH, ("Discord", "token")),
        ("intents", ExitCode.CONFIG, ("Message Content",)),
    ],
)
async def test_refused_bot_stops_with_a_reason_and_the_other_serves(
    tmp_path_factory: pytest.TempPathFactory, case: str, code: ExitCode, words: tuple[str, ...]
) -> None:
    folder = tmp_path_factory.mktemp("up")
    async with discord() as (world, cast, emulator):
        nano = cast.bot_tokens["nanoclaw"]
        if case == "token":
            nano = nano[:-4] + "AAAA"
        else:
            world.add_application("nanoclaw", intents_allowed=0)
        paths = installation(folder, emulator, nano, cast.bot_tokens["openclaw"])
        async with up(paths, folder / "out"):
            failed = await process_status(paths, "nanoclaw", "failed")
            assert failed["last_exit"] == code
            assert failed["restarts"] == 0, "a refused bot must not try again and again"
            ready = await process_status(paths, "openclaw", "ready")
            assert ready["restarts"] == 0
            if case == "token":  # a corrected token and a restart of that tenant alone are enough
                good = cast.bot_tokens
                installation(folder, emulator, good["nanoclaw"], good["openclaw"])
                await asyncio.to_thread(call, paths.control_socket("up"), "restart", name="nanoclaw")
                await process_status(paths, "nanoclaw", "ready")
                assert (await process_status(paths, "openclaw", "ready"))["pid"] == ready["pid"]
        text = (folder / "out").read_text()
        assert "Traceback" not in text
        assert nano not in text
        for word in words:
            assert word in text


async def test_second_instance_is_told_which_process_holds_the_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("up")
    async with discord() as (_world, cast, emulator):
        paths = installation(folder, emulator, cast.bot_tokens["nanoclaw"], cast.bot_tokens["openclaw"])
        async with up(paths, folder / "out") as first:
            await process_status(paths, "openclaw", "ready")
            async with up(paths, folder / "second") as second:
                assert await asyncio.wait_for(second.wait(), 30) == ExitCode.OCCUPIED
            assert str(first.pid) in (folder / "second").read_text()
            assert "Traceback" not in (folder / "second").read_text()
            host_pid = (paths.state / "nanoclaw" / "data" / "host.pid").read_text()
            assert host_pid == str((await process_status(paths, "nanoclaw", "ready"))["pid"])


async def test_missing_worker_image_is_named_with_the_fix(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("up")
    async with discord() as (_world, cast, emulator):
        paths = installation(folder, emulator, cast.bot_tokens["nanoclaw"], cast.bot_tokens["openclaw"])
        overlay_file(operator_file("gateway", paths), {"workers": {"image": "nobody-built-this:latest"}})
        async with up(paths, folder / "out") as process:
            assert await asyncio.wait_for(process.wait(), 60) == ExitCode.UNAVAILABLE
    text = (folder / "out").read_text()
    assert "nobody-built-this:latest" in text
    assert "make setup" in text or "rebuild" in text
    assert "Traceback" not in text


async def test_another_discord_server_can_stand_in_for_the_emulator(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("use")
    async with discord() as (world, cast, emulator):
        arguments = [f"--use=discord.api_base={emulator.api_base}", f"--use=discord.gateway_url={emulator.gateway_url}"]
        for tenant, token in cast.bot_tokens.items():
            (folder / tenant).write_text(token + "\n")
            arguments.append(f"--bot-token={tenant}=@{folder / tenant}")
        owner = world.find_user("owner")
        assert owner is not None
        async with sandbox_process(folder, *arguments) as sandbox:
            assert sandbox.ready["discord"] == {"api_base": emulator.api_base, "gateway_url": emulator.gateway_url}
            for tenant, bot in cast.bots.items():
                assert sandbox.ready[tenant]["bot_id"] == bot
                position = world.log_position
                await world.say(owner, int(cast.channel_id), f"<@{bot}> hello {tenant}")
                record = await world.wait_for(lambda r, t=tenant: f"hello {t}" in r.content, 60, after=position)
                assert str(record.bot_id) == bot


async def test_an_installation_set_up_as_the_guide_says_scores_a_hundred(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("up")
    async with discord() as (_world, cast, emulator):
        paths = installation(folder, emulator, cast.bot_tokens["nanoclaw"], cast.bot_tokens["openclaw"])
        overlay_file(operator_file("advisories", paths), {"reviewed": f"{datetime.now(UTC):%Y-%m-%d}"})
        await allow_server(paths, "openclaw", cast.guild_id, cast.people["owner"])
        async with up(paths, folder / "out"):
            await process_status(paths, "nanoclaw", "ready")
            await process_status(paths, "openclaw", "ready")
            audit = await asyncio.to_thread(call, paths.control_socket("gateway"), "audit.run", timeout_s=60.0)
    assert [(row["id"], row["evidence"]) for row in audit["findings"] if row["result"] in {"fail", "unknown"}] == []
    assert (audit["score"], audit["profile"]["deployment"]) == (100, "up")
