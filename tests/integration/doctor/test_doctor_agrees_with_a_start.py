"""The doctor is red with the start's own code and words wherever a start refuses, and green where it works."""

import asyncio
import fcntl
import json
import os
import socket
import sqlite3
from contextlib import contextmanager, nullcontext

import pytest

from gateway.app import running_gateway
from gateway.cli.main import cli
from gateway.credentials.vault import open_vault
from gateway.doctor import boot
from gateway.doctor.patient import Patient
from gateway.settings import Settings
from gateway.up import require_accounts
from nanoclaw.tenant import run as run_nanoclaw
from openclaw.tenant import run as run_openclaw
from shared.cli import guarded
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.doctor.rows import examine
from shared.errors import GatewayError
from shared.lifecycle.singleton import SingleInstance
from shared.secrets.files import write_private
from tests.support.engine import docker_host

__all__ = ["docker_host"]


@pytest.fixture
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("d")
    paths = Paths(folder / "s", folder / "r")
    write_private(paths.env_file, "DISCORD_BOT_TOKEN=a\nOPENCLAW_DISCORD_BOT_TOKEN=b\n")
    overlay_file(
        operator_file("gateway", paths),
        {
            "sandbox": True,
            "engine": {"kind": "process"},
            "model_api": {"port": 0},
            "credentials": {name: str(folder / name) for name in ("claude_file", "codex_file", "copilot_file")},
        },
    )
    overlay_file(operator_file("openclaw", paths), {"port": 0})
    return paths


async def start(paths):
    """What the gateway's process and `clawgate up` do; the error they refuse with, None when they serve."""
    try:
        settings = await asyncio.to_thread(Settings.load, paths)
        require_accounts(settings)
        lock = SingleInstance(paths.gateway_lock, what=f"the gateway with state in {paths.state}")
        lock.acquire()
        try:
            async with running_gateway(settings):
                return None
        finally:
            lock.release()
    except GatewayError as error:
        return error


async def failures(paths):
    rows = await asyncio.to_thread(lambda: list(examine(boot.EXAMINATIONS, Patient.of(paths))))
    return {row.code: row for row in rows if row.level == "fail"}


def policy(name, text):
    def break_it(paths):
        operator_file(name, paths).write_text(text)

    return break_it


def newer_database(paths):
    paths.gateway_db.parent.mkdir(exist_ok=True)
    with sqlite3.connect(paths.gateway_db) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()


def broken_vault(paths):
    asyncio.run(open_vault(paths).put("nanoclaw", "DISCORD_BOT_TOKEN", b"x"))
    for path in (paths.gateway / "vault").rglob("*"):
        if path.is_file():
            path.write_bytes(b"garbage")


def keys_wanted(paths):
    overlay_file(
        operator_file("gateway", paths),
        {"model_api": {"require_key": True, "keys_file": str(paths.state / "no-such-keys")}},
    )


@contextmanager
def taken_port(paths):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        overlay_file(operator_file("gateway", paths), {"model_api": {"port": holder.getsockname()[1]}})
        yield


@contextmanager
def second_instance(paths):
    descriptor = os.open(paths.gateway_lock, os.O_RDWR | os.O_CREAT)
    os.write(descriptor, b"4711")
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def forbidden_environment(_paths):
    os.environ["ANTHROPIC_API_KEY"] = "k"
    try:
        yield
    finally:
        del os.environ["ANTHROPIC_API_KEY"]


WAYS = {
    "unknown key": policy("gateway", "[model_api]\nprot = 1\n"),
    "not TOML": policy("upstreams", "[discord\n"),
    "wrong oauth": policy("oauth", "x = 1\n"),
    "wrong budgets": policy("budgets", "x = 1\n"),
    "wrong models": policy("models", "x = 1\n"),
    "wrong social": policy("social", "x = 1\n"),
    "wrong maintenance": policy("maintenance", "x = 1\n"),
    "job that nobody has": policy("maintenance", '[times]\n"no.such" = "0 1 * * *"\n'),
    "no zone": lambda paths: write_private(paths.env_file, "DISCORD_BOT_TOKEN=a\nTZ=Nowhere/Town\n"),
    "open .env": lambda paths: paths.env_file.chmod(0o644),
    "forbidden name": lambda paths: write_private(paths.env_file, "DISCORD_BOT_TOKEN=a\nANTHROPIC_API_KEY=k\n"),
    "no accounts": lambda paths: write_private(paths.env_file, "TZ=Asia/Seoul\n"),
    "broken database": lambda paths: paths.gateway_db.write_bytes(b"SQLite format 3\0" + b"x" * 500),
    "newer database": newer_database,
    "broken vault": broken_vault,
    "no keys file": keys_wanted,
    "taken port": taken_port,
    "second instance": second_instance,
    "forbidden environment": forbidden_environment,
    "no engine": lambda paths: overlay_file(
        operator_file("gateway", paths), {"engine": {"kind": "docker", "host": "unix:///no/such/engine.sock"}}
    ),
}


async def test_green_where_a_start_works(paths):
    assert await failures(paths) == {}
    assert await start(paths) is None
    assert await failures(paths) == {}, "a first start leaves nothing that looks wrong"


@pytest.mark.parametrize("way", WAYS)
async def test_red_with_the_code_and_the_words_of_the_start(paths, way):
    broken = await asyncio.to_thread(WAYS[way], paths)
    with broken if broken is not None and hasattr(broken, "__enter__") else nullcontext():
        refused = await start(paths)
        assert refused is not None, "this was to break the start"
        found = await failures(paths)
    row = found.get(refused.code)
    assert row is not None, (refused.code, refused.detail, found)
    assert row.fix
    if way != "taken port":  # said in other words: the start names the holder
        assert row.detail.split("(")[0] in refused.detail or refused.detail in row.detail


async def test_red_without_the_worker_image(paths, docker_host):
    engine = {"engine": {"kind": "docker", "host": docker_host}, "workers": {"image": "nobody-built-this:latest"}}
    overlay_file(operator_file("gateway", paths), engine)
    refused = await start(paths)
    found = await failures(paths)
    assert refused.code in found
    assert "--build" in found[refused.code].fix


async def refusal_of(run, name, paths):
    with pytest.raises(GatewayError) as refused:
        await run(name, paths)
    return refused.value


async def test_every_tenant_is_asked_with_its_own_doctor(paths, capfd):
    """One command, both tenants broken, each row with the code of that tenant's own start."""

    async def report():
        words = ["doctor", "--offline", "--json", "--state", str(paths.state)]
        os.environ["CLAWGATE_RUNTIME"] = str(paths.runtime)
        try:
            code = await asyncio.to_thread(guarded, lambda: cli(words, standalone_mode=False), prog="clawgate")
        finally:
            del os.environ["CLAWGATE_RUNTIME"]
        return code, json.loads(capfd.readouterr().out)

    code, told = await report()
    assert (code, told["ok"]) == (0, True), told
    assert {row["process"] for row in told["rows"]} == {"gateway", "nanoclaw", "openclaw"}

    operator_file("nanoclaw", paths).write_text("asistant_name = 'J'\n")
    paths.tenant("openclaw").mkdir(parents=True)
    paths.openclaw_config("openclaw").write_text("{bogus: 1}")
    code, told = await report()
    assert (code, told["ok"]) == (1, False)
    for run, name in ((run_nanoclaw, "nanoclaw"), (run_openclaw, "openclaw")):
        refused = await refusal_of(run, name, paths)
        row = next(row for row in told["rows"] if row["process"] == name and row["level"] == "fail")
        assert row["code"] == refused.code
        assert row["detail"] in refused.detail
        assert row["fix"]
