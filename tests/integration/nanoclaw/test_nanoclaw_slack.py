"""NanoClaw on the emulated Slack, alone and beside Discord."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import asynccontextmanager

import pytest
from nanoclaw_processes import a_gateway_socket, finish, start, until
from nanoclaw_standins import MemoryChannel, ScriptedGateway, a_message, a_tenant, paths_in

from gateway.sandbox.slack.cast import slack_cast_of
from gateway.sandbox.slack.server import SlackEmulator
from gateway.sandbox.slack.sockets import Redelivery
from gateway.sandbox.slack.world import World
from nanoclaw.channels import Channels, connectors_of
from shared.channels.base import ChannelStatus
from shared.channels.slack.addresses import Place
from shared.errors import AuthRequired, ConfigError, ExitCode
from shared.lifecycle.control import call
from shared.testing.waiting import until as wait_until


class Stage:
    """The emulated workspace with its people."""

    def __init__(self, emulator: SlackEmulator) -> None:
        self.emulator, self.world = emulator, emulator.world
        self.cast = slack_cast_of(self.world)
        self.chat = Place(self.cast.general.id).chat

    def startup(self, **secrets: str) -> dict:
        tokens = {"slack_bot_token": self.cast.app.bot_token, "slack_app_token": self.cast.app.app_token}
        return {"secrets": tokens | secrets, "upstreams": {"slack_api_base": self.emulator.api_base}}

    def connector(self):
        startup = self.startup()
        return connectors_of(startup["secrets"], startup["upstreams"])["slack"]

    def ask(self, text: str, **more):
        return self.world.say(self.cast.owner, self.cast.general, f"<@{self.cast.app.user.id}> {text}", **more)

    async def hears(self, *texts: str) -> None:
        general, app = self.cast.general, self.cast.app
        await wait_until(lambda: set(texts) <= set(self.world.texts(general, app.user)), timeout_s=20)


@asynccontextmanager
async def a_stage():
    async with SlackEmulator(World(), redelivery=Redelivery(3.0, ())) as emulator:
        yield Stage(emulator)


async def test_a_mention_is_answered_in_the_channel_and_in_a_thread_and_plain_talk_is_not(tmp_path):
    gateway = ScriptedGateway()
    async with a_stage() as stage, a_tenant(tmp_path, gateway, slack=stage.connector()) as (tenant, _):
        assert await tenant.channels.of(stage.chat).wait_online(20)
        root = stage.ask("hello")
        await stage.hears("echo: hello")
        stage.world.say(stage.cast.friend, stage.cast.general, "nobody is called here")
        stage.ask("and here?", thread=root.ts)
        await stage.hears("echo: and here?")
        await tenant.lanes.idle()
        counts = await tenant.inbox.counts()
        answer = list(stage.cast.general.messages.values())[-1]
    assert answer.thread_ts == root.ts
    assert counts == {"done": 2, "context": 1}
    assert stage.emulator.unknown_routes == []


async def test_both_platforms_are_served_each_on_its_own(tmp_path):
    gateway = ScriptedGateway()
    async with a_stage() as stage, a_tenant(tmp_path, gateway, slack=stage.connector()) as (tenant, discord):
        assert await tenant.channels.of(stage.chat).wait_online(20)
        await discord.handlers.on_message(a_message("on discord"))
        stage.ask("on slack")
        await stage.hears("echo: on slack")
        assert await discord.says(lambda texts: texts) == ["echo: on discord"]
        assert set(await tenant.inbox.cursors("sl")) == {stage.chat}
        assert set(await discord.handlers.known_chats()) == {"dc:1"}
        status = await asyncio.to_thread(call, tenant.paths.control_socket("nanoclaw"), "status")
    assert [(channel["name"], channel["state"]) for channel in status["channels"]] == [
        ("discord", "online"),
        ("slack", "online"),
    ]
    assert status["summary"].startswith("Discord online as J, Slack online as nanoclaw, 2 groups")


async def test_what_was_said_while_the_tenant_was_down_is_answered_after_its_start(tmp_path):
    gateway = ScriptedGateway()
    async with a_stage() as stage:
        for text in ("one", "two"):
            async with a_tenant(tmp_path, gateway, make_channel=None, slack=stage.connector()) as (tenant, _):
                if text == "one":
                    assert await tenant.channels.of(stage.chat).wait_online(20)
                    stage.ask(text)
                await stage.hears(f"echo: {text}")
                await tenant.lanes.idle()
            stage.ask("two")
    assert [asked.text for asked in gateway.asked] == ["one", "two"]


async def test_a_message_of_a_platform_that_was_taken_away_waits_for_it(tmp_path):
    gateway = ScriptedGateway()
    async with a_stage() as stage:
        async with a_tenant(tmp_path, gateway) as (tenant, _):
            await tenant.intake.on_message(a_message("still here?", chat=stage.chat))
            await tenant.lanes.idle()
            assert await tenant.inbox.counts() == {"new": 1}
        async with a_tenant(tmp_path, gateway, slack=stage.connector()) as (tenant, _):
            await stage.hears("echo: still here?")


# --- failing ---------------------------------------------------------------------------------------------------------


def failing(error):
    class Failing(MemoryChannel):
        async def run(self) -> None:
            self.status = ChannelStatus("failed", error.detail, failure=error)

    return Failing


async def test_one_platform_that_failed_for_good_does_not_stop_the_other(tmp_path):
    gateway = ScriptedGateway()
    refused = AuthRequired("Slack refused the token")
    async with a_tenant(tmp_path, gateway, slack=failing(refused)) as (tenant, discord):
        waiting = asyncio.ensure_future(tenant.wait())
        await wait_until(lambda: tenant.channels.status()["slack"].state == "failed")
        await discord.handlers.on_message(a_message("hello"))
        await discord.says(lambda texts: texts == ["echo: hello"])
        assert not waiting.done()
        assert "Slack failed: Slack refused the token" in tenant.channels.summary()
        discord.status = ChannelStatus("failed", "intents", failure=ConfigError("intents"))
        discord.failed.set()
        with pytest.raises(AuthRequired, match="Slack refused"):
            await asyncio.wait_for(waiting, 5)


async def test_a_channel_that_ends_without_a_reason_is_a_crash(tmp_path):
    async with a_tenant(tmp_path, ScriptedGateway(), slack=MemoryChannel) as (tenant, discord):
        discord.failed.set()
        assert await asyncio.wait_for(tenant.wait(), 5) == ExitCode.CRASH


def test_nothing_configured_is_off_and_not_an_error():
    channels = Channels(connectors_of({}, {}), lambda _platform: None)
    assert [status.state for status in channels.status().values()] == ["off", "off"]
    assert channels.summary() == "Discord off"


async def test_a_refused_token_ends_the_process_with_one_clear_line(tmp_path):
    paths = paths_in(tmp_path)
    async with a_stage() as stage, a_gateway_socket(paths, **stage.startup(slack_app_token="xapp-wrong")):
        found, _, err = await finish(await start(paths, "run"))
    assert found == 77, err
    assert "SLACK_APP_TOKEN" in err.strip().splitlines()[-1]
    assert "Traceback" not in err
    assert stage.cast.app.bot_token not in err


async def test_one_token_alone_is_said_in_the_status_and_ends_nothing(tmp_path):
    paths = paths_in(tmp_path)
    async with a_stage() as stage, a_gateway_socket(paths, **stage.startup(slack_app_token="")):
        process = await start(paths, "run")
        await until(paths.control_socket("nanoclaw"))
        code, out, _ = await finish(await start(paths, "status", "--json"))
        status = json.loads(out)
        process.send_signal(signal.SIGTERM)
        stopped, _, err = await finish(process)
    assert (code, stopped) == (1, 0), err
    assert [channel["state"] for channel in status["channels"]] == ["off", "failed"]
    assert "SLACK_APP_TOKEN" in status["channels"][1]["reason"]
