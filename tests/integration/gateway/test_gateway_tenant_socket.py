"""The gateway as tenants meet it: a real gateway on its sockets, a real client."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

import pytest

from gateway.app import running_gateway
from gateway.broker.auth import hash_key
from gateway.credentials.vault import open_vault
from gateway.settings import Settings
from shared.config.paths import Paths
from shared.errors import AuthRequired, Denied, Invalid, NotFound
from shared.gatewayclient import GatewayClient, WorkerRequest
from shared.http.unixclient import UnixClient
from shared.secrets.files import Secret, write_private
from tests.support.offline_settings import write_offline_settings


def settings_in(folder: Path, env: str = "") -> Settings:
    paths = Paths(state=folder / "s", runtime=folder / "r")
    write_offline_settings(paths)
    write_private(paths.env_file, env)
    return Settings.load(paths)


async def issue(gateway, tenant: str, *, uid: int | None = None) -> str:
    key = secrets.token_hex(16)
    await gateway.op_tenant_key(
        {"tenant": tenant, "sha256": hash_key(key), "uid": os.geteuid() if uid is None else uid}
    )
    return key


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("g")


async def test_tenant_gets_its_own_values_and_not_its_neighbours(short: Path) -> None:
    settings = settings_in(
        short,
        "DISCORD_BOT_TOKEN=nano\nOPENCLAW_DISCORD_BOT_TOKEN=open\nANTHROPIC_API_KEY_FALLBACK=sk-x\nASSISTANT_NAME=J\n",
    )
    async with running_gateway(settings) as gateway:
        for tenant, own in (("nanoclaw", "nano"), ("openclaw", "open")):
            client = GatewayClient(settings.paths.tenant_socket(tenant), Secret(await issue(gateway, tenant)))
            startup = await client.startup()
            assert startup.secrets == {"discord_bot_token": own}
            assert "sk-x" not in startup.model_dump_json()
            await client.close()


async def test_a_secret_put_into_the_vault_is_there_at_the_tenants_next_start(short: Path) -> None:
    settings = settings_in(short, "DISCORD_BOT_TOKEN=old\n")
    async with running_gateway(settings) as gateway:
        client = GatewayClient(settings.paths.tenant_socket("nanoclaw"), Secret(await issue(gateway, "nanoclaw")))
        assert (await client.startup()).secrets == {"discord_bot_token": "old"}
        await open_vault(settings.paths).put("nanoclaw", "DISCORD_BOT_TOKEN", b"new")
        assert (await client.startup()).secrets == {"discord_bot_token": "new"}
        await client.close()


async def test_the_gateways_own_keys_come_from_the_vault_too(short: Path) -> None:
    paths = settings_in(short, "ANTHROPIC_API_KEY_FALLBACK=old\n").paths
    await open_vault(paths).put("gateway", "ANTHROPIC_API_KEY_FALLBACK", b"sk-new")
    for name, value in (("OPENCLAW_THREADS_APP_ID", b"123"), ("OPENCLAW_THREADS_APP_SECRET", b"s")):
        await open_vault(paths).put("gateway", name, value)
    async with running_gateway(Settings.load(paths)) as gateway:
        auth = await gateway.credentials.headers_for("claude")
        assert auth.headers == (("x-api-key", "sk-new"),)
        assert gateway.sign_ins.keeper_of("threads", "openclaw").tenant == "openclaw"


async def test_wrong_key_old_key_and_neighbours_key_are_refused(short: Path) -> None:
    settings = settings_in(short)
    async with running_gateway(settings) as gateway:
        old = await issue(gateway, "nanoclaw")
        await issue(gateway, "nanoclaw")
        neighbour = await issue(gateway, "openclaw")
        for key in ("wrong", old, neighbour):
            client = GatewayClient(settings.paths.tenant_socket("nanoclaw"), Secret(key))
            with pytest.raises(AuthRequired):
                await client.startup()
            with pytest.raises(NotFound):
                await client.attach("w1").open()
            await client.close()


async def test_another_user_is_refused_even_with_the_right_key(short: Path) -> None:
    settings = settings_in(short)
    async with running_gateway(settings) as gateway:
        key = await issue(gateway, "nanoclaw", uid=os.geteuid() + 1)
        client = GatewayClient(settings.paths.tenant_socket("nanoclaw"), Secret(key))
        with pytest.raises(Denied):
            await client.startup()
        await client.close()


async def test_key_hash_survives_a_gateway_restart_and_the_key_itself_is_nowhere(short: Path) -> None:
    settings = settings_in(short)
    async with running_gateway(settings) as gateway:
        key = await issue(gateway, "nanoclaw")
    client = GatewayClient(settings.paths.tenant_socket("nanoclaw"), Secret(key))
    async with running_gateway(settings):
        assert (await client.startup()).tenant == "nanoclaw"
    await client.close()
    for path in settings.paths.state.rglob("*"):
        assert not path.is_file() or key.encode() not in path.read_bytes()


async def test_tenant_may_use_only_its_model_routes(short: Path) -> None:
    settings = settings_in(short)
    async with running_gateway(settings) as gateway:
        client = GatewayClient(settings.paths.tenant_socket("openclaw"), Secret(await issue(gateway, "openclaw")))
        async with client.model("messages", {"model": "claude-x", "messages": []}, run_id="r1") as answer:
            assert answer.status == Denied.http_status
            assert "messages" in (await answer.read()).decode()
        await client.close()


async def test_workers_of_another_tenant_do_not_exist_for_us(short: Path) -> None:
    settings = settings_in(short)
    async with running_gateway(settings) as gateway:
        client = GatewayClient(settings.paths.tenant_socket("openclaw"), Secret(await issue(gateway, "openclaw")))
        assert await client.workers() == []
        with pytest.raises(NotFound):
            await client.mark_busy("w-of-somebody", "r1")
        await client.end_worker("w-of-somebody")
        await client.close()


async def test_malformed_requests_get_one_error_shape(short: Path) -> None:
    settings = settings_in(short)
    async with running_gateway(settings) as gateway:
        key = await issue(gateway, "nanoclaw")
        raw = UnixClient(
            settings.paths.tenant_socket("nanoclaw"), headers={"authorization": f"Bearer {key}"}, server="it"
        )
        for method, path, body, status in (
            ("POST", "/v1/workers", {"group": "../etc", "session_id": "x"}, 400),
            ("POST", "/v1/workers", {"privileged": True}, 400),
            ("GET", "/v1/nothing", None, 404),
            ("DELETE", "/v1/startup", None, 405),
        ):
            answered, payload = await raw.request(method, path, json=body, timeout_s=5)
            assert answered == status
            assert set(json.loads(payload)["error"]) >= {"code", "detail", "retryable"}
        await raw.close()


def test_worker_request_cannot_name_a_path() -> None:
    for group in ("../x", "a/b", "", "A", ".", "x" * 40):
        with pytest.raises(ValueError, match="group"):
            WorkerRequest(group=group, session_id="00000000-0000-4000-8000-000000000000")
    assert Invalid.http_status == 400


async def test_a_tenant_learns_whether_sign_ins_work_and_nothing_more(short: Path) -> None:
    settings = settings_in(short, "CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-secret\n")
    async with running_gateway(settings) as gateway:
        client = GatewayClient(settings.paths.tenant_socket("openclaw"), Secret(await issue(gateway, "openclaw")))
        told = await client.sign_ins()
        assert all(info.state in {"ok", "expiring", "expired"} for info in told)
        assert "sk-ant" not in "".join(info.model_dump_json() for info in told)
        await client.close()
