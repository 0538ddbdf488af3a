"""The Threads token that the policy keeps in ``.env``: it becomes the sign-in, and nothing is lost when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.app import Gateway, running_gateway
from gateway.cli.auth import cli
from gateway.credentials.adopting import decide_adoption
from gateway.credentials.models import CredentialStatus
from gateway.sandbox.meta.world import MetaWorld
from gateway.settings import Settings
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.errors import GatewayError, NotFound
from shared.secrets.files import write_private


@dataclass
class House:
    world: MetaWorld
    paths: Paths
    app_id: str
    secret: str

    def token(self) -> str:
        """A long token as the owner has it."""
        return self.world.tokens.issue("threads", self.app_id, ("threads_basic",), long=True).value

    def env(self, token: str, *, user: str = "") -> None:
        """The policy's four names."""
        lines = [f"THREADS_APP_ID={self.app_id}", f"THREADS_APP_SECRET={self.secret}", f"THREADS_ACCESS_TOKEN={token}"]
        write_private(self.paths.env_file, "\n".join([*lines, *([f"THREADS_USER_ID={user}"] if user else [])]) + "\n")

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Gateway]:
        async with running_gateway(Settings.load(self.paths)) as gateway:
            yield gateway


@pytest.fixture
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("e")
    paths = Paths(state=folder / "s", runtime=folder / "r")
    async with MetaWorld() as world:
        app = world.new_app("threads", "https://localhost:3000/callback")
        overlay_file(operator_file("oauth", paths), {"threads": world.endpoints("threads")})
        overlay_file(
            operator_file("gateway", paths),
            {
                "sandbox": True,
                "engine": {"kind": "process"},
                "model_api": {"enabled": False},
                "credentials": {f"{name}_file": str(folder / name) for name in ("claude", "codex", "copilot")},
            },
        )
        yield House(world, paths, app.app_id, app.secret)


async def seen(gateway: Gateway, health: str) -> CredentialStatus:
    """The sign-in's state, once it is the one that is waited for."""
    async with asyncio.timeout(20):
        while True:
            (status,) = [s for s in await gateway.sign_ins.refresher.status() if s.provider == "threads"]
            if status.health == health:
                return status
            await asyncio.sleep(0.02)


async def test_the_owners_env_is_a_sign_in_once_and_the_vault_goes_first_from_then_on(house: House) -> None:
    first = house.token()
    house.env(first)
    async with house.started() as gateway:
        status = await seen(gateway, "ok")
        assert status.account == "sandbox.threads"
        kept = await gateway.sign_ins.keeper_of("threads", "nanoclaw").peek()
        assert kept is not None
        assert kept.access.reveal() == first
        asked = len(house.world.of("threads", "me"))
    house.env(house.token())
    async with house.started() as gateway:
        await seen(gateway, "ok")
        async with asyncio.timeout(20):
            while first not in house.paths.env_file.read_text():
                await asyncio.sleep(0.02)
        assert len(house.world.of("threads", "me")) == asked, "it was not even asked about"
        await gateway.sign_ins.logout("threads", "nanoclaw")
        assert "THREADS_ACCESS_TOKEN=''\n" in house.paths.env_file.read_text()
    async with house.started() as gateway:
        await seen(gateway, "missing")


async def test_a_refused_token_is_said_plainly_and_stays(house: House) -> None:
    dead = f"TH{'x' * 60}"
    house.env(dead)
    async with house.started() as gateway:
        status = await seen(gateway, "login_needed")
        assert f"the token in {house.paths.env_file} (THREADS_ACCESS_TOKEN) is not taken" in status.detail
        assert "clawgate auth login threads --tenant nanoclaw" in status.detail
        assert f"THREADS_ACCESS_TOKEN={dead}\n" in house.paths.env_file.read_text()
        async with asyncio.timeout(20):
            while not [n for n in await gateway.notices.recent(9) if "Threads of nanoclaw" in n.text]:
                await asyncio.sleep(0.02)


async def test_a_token_of_another_account_than_the_named_one_is_refused(house: House) -> None:
    house.env(house.token(), user="4711")
    async with house.started() as gateway:
        status = await seen(gateway, "login_needed")
        assert "THREADS_USER_ID says 4711: correct one of the two" in status.detail
        with pytest.raises(GatewayError, match="THREADS_USER_ID says 4711"):
            await gateway.sign_ins.keeper_of("threads", "nanoclaw").token()


async def test_a_bare_import_takes_it_from_env(house: House) -> None:
    def imports() -> Result:
        arguments = ["import", "threads", "--state", str(house.paths.state)]
        return CliRunner(env={"CLAWGATE_RUNTIME": str(house.paths.runtime)}).invoke(cli, arguments)

    house.env("")
    refused = await asyncio.to_thread(imports)
    assert isinstance(refused.exception, NotFound)
    assert f"{house.paths.env_file} has no threads token (THREADS_ACCESS_TOKEN" in refused.exception.detail
    house.env(house.token())
    done = await asyncio.to_thread(imports)
    assert (done.exit_code, done.output.strip()) == (0, "threads: imported as sandbox.threads")


@pytest.mark.parametrize(
    ("offered", "stored", "health", "act"),
    [
        ("", "", "missing", "nothing"),
        ("", "a", "ok", "show"),
        ("a", "", "missing", "adopt"),
        ("a", "a", "login_needed", "nothing"),
        ("b", "a", "ok", "show"),
        ("b", "a", "expired", "show"),
        ("b", "a", "retrying", "show"),
        ("b", "a", "login_needed", "adopt"),
        ("b", "", "unreadable", "nothing"),
    ],
)
def test_what_becomes_of_the_token(offered: str, stored: str, health, act: str) -> None:
    assert decide_adoption(offered, stored, health).act == act
