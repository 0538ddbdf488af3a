"""Tenants as users of their own: what each can reach of the gateway and of its neighbour. Needs root."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

import gateway.supervisor.supervisor as supervising
from gateway.settings import Settings
from gateway.supervisor.supervisor import Supervisor
from shared.config.paths import Paths
from shared.config.process import tenant_key
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.errors import ConfigError
from shared.lifecycle.control import call
from shared.secrets.files import write_private
from tests.support.offline_settings import sign_ins_in, write_offline_settings
from tests.support.other_users import python_for_everybody

pytestmark = [pytest.mark.timeout(120)]

NANO, OPEN = 64101, 64102


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not pytest's own: every session of it closes that to others."""
    with tempfile.TemporaryDirectory(prefix="clawgate-users-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


@pytest.fixture
def settings(folder: Path) -> Settings:
    paths = Paths(state=folder / "s", runtime=folder / "r")
    tenants = {"nanoclaw": {"user": f"{NANO}:{NANO}"}, "openclaw": {"user": f"{OPEN}:{OPEN}"}}
    write_offline_settings(paths, credentials=sign_ins_in(folder), tenants=tenants)
    overlay_file(operator_file("openclaw", paths), {"port": 0})
    for place in (paths.state, paths.policies, *paths.policies.iterdir()):
        place.chmod(0o755 if place.is_dir() else 0o644)
    write_private(paths.env_file, "ANTHROPIC_API_KEY_FALLBACK=sk-canary\n")
    return Settings.load(paths)


@pytest.fixture
async def running(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Supervisor]:
    program, environment = python_for_everybody()
    monkeypatch.setattr(supervising.sys, "executable", program)
    old = os.umask(0o077)  # as the gateway's unit has it
    supervisor = Supervisor(settings, environment=environment)
    try:
        await supervisor.start()
        yield supervisor
    finally:
        await supervisor.stop()
        os.umask(old)


def as_user(uid: int, *command: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        user=uid,
        group=uid,
        extra_groups=[],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )


async def test_each_tenant_runs_as_its_own_user_and_reaches_only_what_is_its_own(
    running: Supervisor, settings: Settings
) -> None:
    processes = {row["name"]: row for row in running.status()}
    assert {name: row["state"] for name, row in processes.items()} == dict.fromkeys(processes, "ready")
    users = {name: psutil.Process(int(row["pid"] or 0)).uids().effective for name, row in processes.items()}
    assert users == {"gateway": 0, "nanoclaw": NANO, "openclaw": OPEN}
    paths = settings.paths
    own = {NANO: "nanoclaw", OPEN: "openclaw"}
    for uid, name in own.items():
        (neighbour,) = set(own.values()) - {name}
        assert as_user(uid, "cat", str(paths.tenant_db(name))).returncode == 0
        for closed in (
            paths.tenant_db(neighbour),
            paths.env_file,
            paths.gateway_db,
            paths.pid_file(neighbour),
            Path(f"/proc/{processes[name]['pid']}/environ"),  # not dumpable: closed even to its own user
        ):
            assert "Permission denied" in as_user(uid, "cat", str(closed)).stderr, closed
        assert "Permission denied" in as_user(uid, "ls", str(paths.tenant_socket_dir(neighbour))).stderr
    for name in own.values():
        assert call(paths.control_socket(name), "status")["summary"]
        assert stat.S_IMODE(paths.control_socket(name).stat().st_mode) == 0o600


async def test_a_key_is_given_to_root_only_and_the_one_before_it_is_worthless(
    running: Supervisor, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What systemd does for ``LoadCredential``: it connects as root and reads to the end."""
    paths = settings.paths
    connect = "import socket,sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
    program, _ = python_for_everybody()
    for uid in (NANO, OPEN):
        refused = as_user(uid, program, "-c", connect, str(paths.key_socket("nanoclaw")))
        assert "PermissionError" in refused.stderr

    first = await asyncio.to_thread(read_to_end, paths.key_socket("nanoclaw"))
    assert await startup_as(NANO, paths, first) == "nanoclaw"
    second = await asyncio.to_thread(read_to_end, paths.key_socket("nanoclaw"))
    assert "missing, old or wrong" in await startup_as(NANO, paths, first)
    assert await startup_as(NANO, paths, second) == "nanoclaw"
    assert "user id 0 may not speak for tenant nanoclaw" in await startup_as(0, paths, second)

    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(paths.runtime))
    write_private(paths.runtime / "tenant-key", second)
    assert tenant_key().reveal() == second


async def startup_as(uid: int, paths: Paths, key: str) -> str:
    """What the gateway answers a process of a user that presents a key, as a tenant does at its start."""
    program, environment = python_for_everybody()
    code = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from shared.gatewayclient.client import GatewayClient\n"
        "from shared.secrets.files import Secret\n"
        "async def main():\n"
        "    client = GatewayClient(Path(sys.argv[1]), Secret(sys.argv[2]))\n"
        "    try:\n"
        "        print((await client.startup()).tenant)\n"
        "    except Exception as error:\n"
        "        print(error)\n"
        "    await client.close()\n"
        "asyncio.run(main())\n"
    )
    command = (program, "-c", code, str(paths.tenant_socket("nanoclaw")), key)
    done = await asyncio.to_thread(as_user, uid, *command, environment=environment)
    return done.stdout.strip() + done.stderr


def read_to_end(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(path))
        return link.makefile("rb").read().decode()


def test_a_user_that_is_not_there_or_is_root_is_refused(settings: Settings) -> None:
    python_for_everybody()
    for wanted, said in (("nobody-of-that-name", "no user"), ("root", "never runs as root")):
        overlay_file(operator_file("gateway", settings.paths), {"tenants": {"nanoclaw": {"user": wanted}}})
        with pytest.raises(ConfigError, match=said):
            Settings.load(settings.paths).user_of("nanoclaw")
