"""Two versions of the product: a good one takes over what runs, a broken one is refused and the old one answers on."""

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
import sqlite3
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from gateway.sandbox.cast import cast_of
from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.models import ModelWorld
from gateway.sandbox.run import free_port
from gateway.sandbox.script import Script
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.lifecycle.control import call
from shared.secrets.files import write_private

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(400)]

CHECKOUT = Path(__file__).resolve().parents[3]
FURTHER = """
'''A further revision, for a test of upgrades.'''
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = "{newest}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    {body}
"""


def wheel_of(checkout, folder):
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*words, "--wheel-dir", str(folder), str(checkout)], check=True, capture_output=True)
    return next(folder.glob("clawgate-*.whl"))


def later(wheel, version, body):
    """The same wheel with a later version and one more revision of NanoClaw's database."""
    target = wheel.with_name(f"clawgate-{version}-py3-none-any.whl")
    old = re.match(r"clawgate-([^-]+)-", wheel.name)[1]
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(target, "w") as after:
        names = before.namelist()
        revisions = [re.search(r"nanoclaw/migrations/versions/(\d{4})_", name) for name in names]
        newest = max(match[1] for match in revisions if match)
        for name in names:
            data = before.read(name)
            if name.endswith(".dist-info/METADATA"):
                data = data.replace(f"Version: {old}".encode(), f"Version: {version}".encode(), 1)
            after.writestr(name.replace(f"clawgate-{old}.", f"clawgate-{version}."), data)
        after.writestr("nanoclaw/migrations/versions/9001_further.py", FURTHER.format(newest=newest, body=body))
    return target


def environment_with(wheel, folder):
    """An environment with a version; what it depends on is taken from ours."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder


@contextlib.asynccontextmanager
async def world(folder):
    """The emulated Discord and models, and an installation of which nothing is a sandbox's."""
    people = World()
    cast = cast_of(people)
    discord, models = DiscordEmulator(people, FaultPlan()), ModelWorld(script=Script(), faults=FaultPlan())
    paths = Paths.resolve(folder / "state")
    await discord.start()
    await models.start()
    try:
        files = {"claude": folder / "claude.json", "codex": folder / "codex.json", "copilot": folder / "copilot"}
        models.seed_credentials(**files)
        tokens = cast.bot_tokens
        env = f"DISCORD_BOT_TOKEN={tokens['nanoclaw']}\nOPENCLAW_DISCORD_BOT_TOKEN={tokens['openclaw']}\n"
        write_private(paths.env_file, env)
        overlay_file(
            operator_file("upstreams", paths),
            {
                "discord": {"api_base": discord.api_base, "gateway_url": discord.gateway_url},
                "claude": {"api_base": models.claude_base},
                "codex": {"api_base": models.codex_base},
                "copilot": {"api_base": models.copilot_base},
                "github": {"api_base": models.github_api_base},
            },
        )
        overlay_file(
            operator_file("gateway", paths),
            {
                "model_api": {"port": free_port()},
                "credentials": {f"{name}_file": str(file) for name, file in files.items()},
            },
        )
        overlay_file(operator_file("nanoclaw", paths), {"chats": {"register": "on_mention"}})
        guilds = {"guilds": {cast.guild_id: {}}}
        overlay_file(operator_file("openclaw", paths), {"port": free_port(), "discord": guilds})
        yield people, cast, paths
    finally:
        await models.stop()
        await discord.stop()


async def answers(people, cast, bot):
    """A mention of a bot is answered with the word in it."""
    word, since = f"word{secrets.token_hex(4)}", people.log_position
    await people.say(people.find_user("owner"), int(cast.channel_id), f"<@{cast.bots[bot]}> {word}")
    await people.wait_for(
        lambda r: str(r.bot_id) == cast.bots[bot] and r.kind.startswith("message.") and word in json.dumps(r.data),
        60,
        after=since,
    )


async def all_ready(paths):
    async with asyncio.timeout(90):
        while True:
            with contextlib.suppress(Exception):
                found = await asyncio.to_thread(call, paths.control_socket("up"), "status")
                if len(found) == 3 and all(process["state"] == "ready" for process in found):
                    return {process["name"]: process["pid"] for process in found}
            await asyncio.sleep(0.2)


async def upgrade(environment, paths, *words, **variables):
    process = await asyncio.create_subprocess_exec(
        *(str(environment / "bin/python"), "-m", "gateway.cli.main", "upgrade", *words),
        *("--state", str(paths.state), "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        env={**os.environ, **variables},
    )
    said, problems = await process.communicate()
    try:
        return process.returncode, json.loads(said), problems.decode()
    except ValueError:
        return process.returncode, said.decode(), problems.decode()


def column_is_there(database):
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return "further" in [row[1] for row in connection.execute('PRAGMA table_info("inbox")')]


async def test_a_broken_version_is_refused_and_a_good_one_takes_over(tmp_path_factory, docker_host):
    folder, wheels = tmp_path_factory.mktemp("u"), tmp_path_factory.mktemp("w")
    first = await asyncio.to_thread(wheel_of, CHECKOUT, wheels)
    added = 'op.add_column("inbox", sa.Column("further", sa.Text))'
    good = later(first, "9.1.0", added)
    broken = later(first, "9.2.0", 'op.add_column("no_such_table", sa.Column("further", sa.Text))')
    old, new, bad = (
        environment_with(wheel, folder / name) for wheel, name in ((first, "old"), (good, "9.1.0"), (broken, "9.2.0"))
    )
    async with world(folder) as (people, cast, paths):
        with (folder / "out").open("wb") as log:
            up = await asyncio.create_subprocess_exec(
                *(str(old / "bin/python"), "-m", "gateway.cli.main", "up", "--state", str(paths.state)),
                stdout=log,
                stderr=log,
                cwd="/",
            )
        try:
            before = await all_ready(paths)
            for bot in ("nanoclaw", "openclaw"):
                await answers(people, cast, bot)

            # a migration that fails, and a wheel without what it needs
            code, told, _ = await upgrade(old, paths, "run", "--to", str(bad))
            assert code == 1, told
            failed = {step["name"]: step["detail"] for step in told["steps"] if not step["ok"]}
            assert failed.keys() == {"database.nanoclaw"}
            assert "no_such_table" in failed["database.nanoclaw"]
            code, told, _ = await upgrade(old, paths, "run", "--to", str(good), PIP_NO_DEPS="1", PIP_NO_INDEX="1")
            assert (code != 0, told["code"]) == (True, "upgrade.there")
            for path in (good, broken):
                path.rename(path.with_name(path.name.replace("9.", "8.", 1)))
            bare = wheels / "clawgate-8.1.0-py3-none-any.whl"
            code, said, problems = await upgrade(
                old, paths, "run", "--to", str(bare), PIP_NO_DEPS="1", PIP_NO_INDEX="1"
            )
            assert (code != 0, said["code"]) == (True, "upgrade.check"), said
            assert not (folder / "8.1.0").exists(), "what could not be used is gone"
            assert not (folder / "current").exists()
            assert "Traceback (most" not in problems
            assert await all_ready(paths) == before
            assert not column_is_there(paths.tenant_db("nanoclaw"))
            for bot in ("nanoclaw", "openclaw"):
                await answers(people, cast, bot)

            # the good one
            code, told, problems = await upgrade(old, paths, "run", "--to", str(new))
            assert code == 0, (told, problems, (folder / "out").read_text()[-2000:])
            assert told["version"] == "9.1.0"
            assert {step["name"] for step in told["steps"]} >= {"policies", "image", "database.gateway", "canary"}
            assert (folder / "current").resolve() == new
            after = await all_ready(paths)
            assert not set(after.values()) & set(before.values())
            about = await asyncio.to_thread(call, paths.control_socket("up"), "about")
            assert (about["version"], about["pid"]) == ("9.1.0", up.pid)
            assert column_is_there(paths.tenant_db("nanoclaw"))
            assert not column_is_there(Path(told["kept"]) / "nanoclaw.db"), "the way back"
            for bot in ("nanoclaw", "openclaw"):
                await answers(people, cast, bot)
        finally:
            up.send_signal(signal.SIGTERM)
            await asyncio.wait_for(up.wait(), 60)
        assert "Traceback" not in (folder / "out").read_text()
