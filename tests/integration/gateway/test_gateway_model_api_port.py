"""The model API's port, closed and opened by the commands of its unit while the gateway goes on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from gateway.app import Gateway, running_gateway
from gateway.cli.model_api import cli
from gateway.sandbox.run import free_port
from gateway.settings import Settings
from shared.config.paths import Paths
from shared.errors import GatewayError
from shared.secrets.files import write_private
from tests.support.offline_settings import write_offline_settings


def settings_in(folder: Path, **model_api: Any) -> Settings:
    paths = Paths(state=folder / "s", runtime=folder / "r")
    write_offline_settings(paths, model_api=model_api)
    write_private(paths.env_file, "")
    return Settings.load(paths)


async def typed(paths: Paths, *words: str) -> str:
    """A command's answer, run as the unit runs it; the gateway's log comes before it."""
    environment = {"CLAWGATE_RUNTIME": str(paths.runtime)}
    arguments = [*words, "--state", str(paths.state)]
    done = await asyncio.to_thread(CliRunner().invoke, cli, arguments, standalone_mode=False, env=environment)
    if done.exception is not None:
        raise done.exception
    return done.stdout.splitlines()[-1]


async def status(port: int, key: str) -> int | None:
    """What a program is answered at a path that nobody has: 404 with a right key; None when nothing listens."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        try:
            return (await client.get("/nowhere", headers={"authorization": f"Bearer {key}"})).status_code
        except httpx.ConnectError:
            return None


@pytest.fixture
def api_port() -> int:
    return free_port()


@pytest.fixture
async def keyed(tmp_path_factory: pytest.TempPathFactory, api_port: int) -> AsyncIterator[Gateway]:
    folder = tmp_path_factory.mktemp("g")
    write_private(folder / "keys", "first-key-of-the-file-0123456789\n")
    keys_file = str(folder / "keys")
    async with running_gateway(settings_in(folder, port=api_port, require_key=True, keys_file=keys_file)) as gateway:
        yield gateway


async def test_closed_it_answers_nobody_and_opened_it_knows_the_keys_of_now(keyed: Gateway, api_port: int) -> None:
    first, second = "first-key-of-the-file-0123456789", "second-key-of-the-file-012345678"
    assert (await status(api_port, first), await status(api_port, second)) == (404, 401)
    assert await typed(keyed.paths, "close") == "the model API is closed"
    assert await status(api_port, first) is None
    assert (await keyed.op_status({}))["model_api_port"] == 0
    assert await typed(keyed.paths, "close") == "the model API is closed", "closing twice is no error"
    Path(keyed.settings.policy.model_api.keys_file).write_text(f"{second}\n")
    for _ in range(2):
        assert await typed(keyed.paths, "open") == f"the model API listens on {api_port}"
        assert (await status(api_port, first), await status(api_port, second)) == (401, 404)


async def test_a_port_that_another_took_meanwhile_is_named_and_the_gateway_goes_on(
    keyed: Gateway, api_port: int
) -> None:
    await typed(keyed.paths, "close")
    with socket.create_server(("127.0.0.1", api_port)), pytest.raises(GatewayError, match=str(api_port)):
        await typed(keyed.paths, "open")
    assert await typed(keyed.paths, "open") == f"the model API listens on {api_port}"


async def test_what_policy_has_switched_off_no_unit_opens(tmp_path_factory: pytest.TempPathFactory) -> None:
    async with running_gateway(settings_in(tmp_path_factory.mktemp("g"), enabled=False)) as gateway:
        with pytest.raises(GatewayError, match=r"model_api\.enabled is false"):
            await typed(gateway.paths, "open")
