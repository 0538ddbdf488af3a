"""The owner's notices over the tenant's real socket into a real outbox: each is said once, whatever breaks between."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.app import running_gateway
from gateway.broker.auth import hash_key
from gateway.cli.notices import cli
from gateway.notices.decide import SIGN_IN_KINDS
from gateway.notices.models import OwnerNotice
from gateway.notices.service import Notices
from gateway.notices.store import NoticeStore
from gateway.settings import Settings
from shared.channels.base import ChannelHandlers
from shared.channels.outbox import Outbox
from shared.clock import SYSTEM_CLOCK, FakeClock, unix_ms
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.errors import ConfigError, Denied, NotFound, Unavailable
from shared.gatewayclient import GatewayClient
from shared.notices import NoticeDelivery, delivering_notices
from shared.secrets.files import Secret, write_private
from shared.storage import Database
from shared.testing.channel_bed import MemoryChannel, channel_database, delivering
from tests.support.offline_settings import sign_ins_in, write_offline_settings

MAIN = "dc:7"
BUDGET = OwnerNotice("budget:day:openclaw:1", "budget_exhausted", "no room")
LOGIN = OwnerNotice("login_needed:gateway/claude:m1", "login_needed", "sign in again")


def settings_in(folder: Path, **gateway) -> Settings:
    paths = Paths(state=folder / "s", runtime=folder / "r")
    write_offline_settings(paths, credentials=sign_ins_in(folder), **gateway)
    return Settings.load(paths)


@asynccontextmanager
async def connected(gateway, tenant: str, kind: type[GatewayClient] = GatewayClient):
    key = secrets.token_hex(16)
    await gateway.op_tenant_key({"tenant": tenant, "sha256": hash_key(key), "uid": os.geteuid()})
    client = kind(gateway.paths.tenant_socket(tenant), Secret(key))
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def chatting(folder: Path, *, main: str = MAIN):
    """A tenant's outbox on an emulated channel, and where it says notices."""

    async def nobody(_message):
        raise AssertionError("nothing comes in")

    channel = MemoryChannel(ChannelHandlers(nobody), clock=FakeClock())
    async with (
        channel_database(folder) as (db, tables),
        delivering(Outbox(db, tables, lambda _chat: channel)) as outbox,
    ):
        yield channel, outbox, lambda: (main, "" if main else "there is no main group")


async def shown(paths: Paths, *arguments: str) -> tuple[int, str]:
    return await asyncio.to_thread(run_list, paths, *arguments)


def run_list(paths: Paths, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(cli, ["list", *arguments, "--state", str(paths.state)], standalone_mode=False)
    assert result.exception is None
    return result.return_value, result.output


@pytest.fixture
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("n")


async def test_a_notice_reaches_the_chat_once_and_is_listed_before_and_after(short: Path) -> None:
    settings = settings_in(short)
    async with (
        running_gateway(settings) as gateway,
        chatting(short) as (channel, outbox, where),
        connected(gateway, "nanoclaw") as client,
    ):
        await gateway.notices.record(BUDGET)
        code, text = await shown(settings.paths)
        assert (code, "waiting" in text, "no room" in text) == (1, True, True)
        async with delivering_notices(client, outbox, where):
            while not channel.texts(MAIN) or await gateway.notices.wait("nanoclaw", 0):
                await asyncio.sleep(0.01)
        assert await gateway.notices.record(BUDGET) is False, "the same event is told once"
        assert await client.notices(0) == []
        code, text = await shown(settings.paths, "--json")
        (entry,) = json.loads(text)
        assert (code, entry["state"], entry["tenant"], entry["chat"]) == (0, "delivered", "nanoclaw", MAIN)
    assert channel.texts(MAIN) == ["no room"]


async def test_a_crash_between_outbox_and_acknowledgement_says_it_once(short: Path) -> None:
    class Crashing(GatewayClient):
        async def acknowledge_notice(self, notice_id: str, chat: str) -> None:
            raise Unavailable("the gateway went away")

    async with running_gateway(settings_in(short)) as gateway, chatting(short) as (channel, outbox, where):
        await gateway.notices.record(BUDGET)
        async with connected(gateway, "nanoclaw", Crashing) as crashing:
            (notice,) = await crashing.notices(0)
            with pytest.raises(Unavailable):
                await NoticeDelivery(crashing, outbox, where).deliver(notice)
        async with connected(gateway, "nanoclaw") as client:
            (again,) = await client.notices(0)
            assert again == notice
            assert await NoticeDelivery(client, outbox, where).deliver(again)
            assert await client.notices(0) == []
        assert await outbox.flush(5)
    assert channel.texts(MAIN) == ["no room"]


async def test_what_waits_survives_a_restart_of_the_gateway(short: Path) -> None:
    settings = settings_in(short)
    async with running_gateway(settings) as gateway, connected(gateway, "nanoclaw") as client:
        await gateway.notices.record(BUDGET)
        before = await client.notices(0)
    async with running_gateway(settings) as gateway, connected(gateway, "nanoclaw") as client:
        assert await client.notices(0) == before
    assert len(before) == 1


async def test_a_tenant_that_waits_hears_at_once(short: Path) -> None:
    async with running_gateway(settings_in(short)) as gateway, connected(gateway, "nanoclaw") as client:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(client.notices(50))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            await gateway.notices.record(BUDGET)
            (notice,) = await asyncio.wait_for(waiting, 10)
        await client.acknowledge_notice(notice.id, MAIN)
        await client.acknowledge_notice(notice.id, MAIN)


async def test_a_tenant_that_waits_is_answered_when_the_gateway_stops(short: Path) -> None:
    async with connected_gateway_that_stops(short) as waiting:
        await asyncio.sleep(0.05)
        assert not waiting.done()
    # Cut by the listeners' drain time instead, it would be an error.
    assert await waiting == []


@asynccontextmanager
async def connected_gateway_that_stops(folder: Path):
    """A running gateway with a call of a tenant that waits; on the way out the gateway stops first."""
    async with AsyncExitStack() as outer, running_gateway(settings_in(folder)) as gateway:
        client = await outer.enter_async_context(connected(gateway, "nanoclaw"))
        group = await outer.enter_async_context(asyncio.TaskGroup())
        yield group.create_task(client.notices(50))


async def test_only_the_tenant_that_policy_names_is_asked_and_may_answer(short: Path) -> None:
    settings = settings_in(short, notices={"tenant": "openclaw", "chat": "dc:99"})
    async with (
        running_gateway(settings) as gateway,
        connected(gateway, "nanoclaw") as nano,
        connected(gateway, "openclaw") as claw,
    ):
        await gateway.notices.record(BUDGET)
        assert await nano.notices(0) == []
        (notice,) = await claw.notices(0)
        assert notice.chat == "dc:99"
        for call in (nano.acknowledge_notice(notice.id, "x"), nano.hold_notice(notice.id, "x")):
            with pytest.raises(Denied):
                await call
        with pytest.raises(NotFound):
            await claw.hold_notice("ntc_unknown", "x")


async def test_what_cannot_be_said_says_why_and_is_said_when_it_can(short: Path) -> None:
    settings = settings_in(short)
    async with (
        running_gateway(settings) as gateway,
        chatting(short, main="") as (channel, outbox, nowhere),
        connected(gateway, "nanoclaw") as client,
    ):
        await gateway.notices.record(BUDGET)
        (notice,) = await client.notices(0)
        assert await NoticeDelivery(client, outbox, nowhere).deliver(notice) is False
        code, text = await shown(settings.paths, "--waiting")
        assert (code, "waiting: there is no main group" in text, "no room" in text) == (1, True, True)
        assert await NoticeDelivery(client, outbox, lambda: (MAIN, "")).deliver(notice) is True
        assert await outbox.flush(5)
    assert channel.texts(MAIN) == ["no room"]


async def test_what_is_over_before_anybody_was_told_is_taken_back_and_told_when_it_returns(short: Path) -> None:
    database = Database(short / "gateway.db", migrations="gateway.migrations")
    await database.open()
    notices = Notices(NoticeStore(database), tenant="nanoclaw", chat="")
    try:
        await notices.record(LOGIN)
        await notices.withdraw(SIGN_IN_KINDS, but=[LOGIN.key])
        assert len(await notices.wait("nanoclaw", 0)) == 1
        await notices.withdraw(SIGN_IN_KINDS, but=[])
        assert await notices.wait("nanoclaw", 0) == []
        assert [notice.state for notice in await notices.recent(9)] == ["withdrawn"]
        assert await notices.record(LOGIN) is True
        (message,) = await notices.wait("nanoclaw", 0)
        await notices.acknowledge("nanoclaw", message.id, MAIN)
        await notices.withdraw(SIGN_IN_KINDS, but=[])
        assert await notices.record(LOGIN) is False
        assert [notice.state for notice in await notices.recent(9)] == ["delivered"]
    finally:
        await notices.close()
        await database.close()


async def test_a_sign_in_that_ended_while_no_gateway_ran_is_told_of_at_its_start(short: Path) -> None:
    ended = unix_ms(SYSTEM_CLOCK.now() - timedelta(hours=1))
    login = {"accessToken": "sk-ant-oat01-x", "refreshToken": "", "expiresAt": ended, "scopes": []}
    write_private(short / "claude", json.dumps({"claudeAiOauth": login}))
    async with running_gateway(settings_in(short)) as gateway, connected(gateway, "nanoclaw") as client:
        (notice,) = await client.notices(20)
        assert f"`clawgate auth login claude --state {short / 's'}`" in notice.text


async def test_a_budget_without_room_is_told_of_once_for_its_period(short: Path) -> None:
    limit = {"tenant": "openclaw", "unit": "requests", "limit": 0, "reset": {"every": "day"}}
    settings = settings_in(short)
    overlay_file(operator_file("budgets", settings.paths), {"budgets": {"day": limit}})
    write_private(short / "codex", json.dumps({"tokens": {"access_token": "a.b.c", "account_id": "acc"}}))
    async with (
        running_gateway(settings) as gateway,
        connected(gateway, "nanoclaw") as nano,
        connected(gateway, "openclaw") as claw,
    ):
        for _ in range(3):
            async with claw.model("responses", {"model": "gpt-5.1", "input": "x"}, run_id="r") as answer:
                assert answer.status == 429
        (notice,) = await nano.notices(20)
        assert "The budget day of openclaw has no room for this call" in notice.text


@pytest.mark.parametrize(
    ("notices", "says"),
    [
        ({"tenant": "nobody"}, "there is no tenant 'nobody'"),
        ({"tenant": "openclaw"}, "the chat must be named"),
        ({"chat": "general"}, "notices.chat"),
    ],
)
def test_a_setting_that_leads_nowhere_is_refused(short: Path, notices: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        settings_in(short, notices=notices)


def test_listing_without_a_database_makes_none(short: Path) -> None:
    paths = Paths(state=short / "s", runtime=short / "r")
    assert run_list(paths) == (0, "Nothing needed a person.\n")
    assert not paths.gateway_db.exists()
