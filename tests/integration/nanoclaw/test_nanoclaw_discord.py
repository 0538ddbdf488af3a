"""NanoClaw on the emulated Discord, through an unmodified discord.py."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from nanoclaw_processes import a_gateway_socket, finish, start
from nanoclaw_standins import ScriptedGateway, a_policy, a_tenant, paths_in

from gateway.sandbox.cast import cast_of
from gateway.sandbox.discord.models import Upload
from gateway.sandbox.discord.server import DiscordEmulator
from gateway.sandbox.discord.world import World
from gateway.sandbox.faults import FaultPlan
from shared.channels.discord.make import discord_channel
from shared.errors import Unavailable
from tests.support import pictures


class Stage:
    """The emulated server with its people."""

    def __init__(self, emulator: DiscordEmulator) -> None:
        self.emulator, self.world, self.cast = emulator, emulator.world, cast_of(emulator.world)
        self.owner = self.world.find_user("owner")
        self.bot = self.cast.bots["nanoclaw"]
        self.general = int(self.cast.channel_id)

    def startup(self, token: str | None = None) -> dict:
        return {
            "secrets": {"discord_bot_token": token or self.cast.bot_tokens["nanoclaw"]},
            "upstreams": {
                "discord_api_base": self.emulator.api_base,
                "discord_gateway_url": self.emulator.gateway_url,
            },
        }

    def channel(self, **more):
        startup = self.startup()
        return discord_channel(startup["secrets"]["discord_bot_token"], startup["upstreams"], called="J", **more)

    async def ask(self, text: str, *, channel: int | None = None, **more):
        return await self.world.say(self.owner, channel or self.general, text, **more)

    async def hears(self, text: str, *, after: int = 0) -> dict:
        def fits(record) -> bool:
            return record.kind == "message.create" and record.data.get("content") == text

        return (await self.world.wait_for(fits, 20, after=after)).data


@asynccontextmanager
async def a_stage():
    async with DiscordEmulator(World(), FaultPlan()) as emulator:
        yield Stage(emulator)


async def test_a_mention_a_reply_and_a_direct_message_are_answered_and_plain_talk_is_not(tmp_path):
    gateway = ScriptedGateway()
    async with a_stage() as stage, a_tenant(tmp_path, gateway, make_channel=stage.channel()) as (tenant, channel):
        assert await channel.wait_online(20)
        await stage.ask(f"<@{stage.bot}> hello")
        answer = await stage.hears("echo: @J hello")
        await stage.ask("nobody is called here")
        await stage.ask("and you?", reply_to=int(answer["id"]))
        await stage.hears("echo: and you?")
        direct = await stage.world.open_dm(stage.owner, stage.world.find_user("nanoclaw"))
        await stage.ask("psst", channel=direct)
        await stage.hears("echo: psst")
        await tenant.lanes.idle()
        assert [group.folder for group in tenant.registry] == ["dm-owner", "general"]
        assert await tenant.inbox.counts() == {"done": 4}
    assert 'quote="echo: @J hello"' in gateway.asked[1].prompt
    assert "nobody is called here" in gateway.asked[1].prompt
    assert stage.emulator.unknown_routes == []


async def test_what_was_said_while_the_tenant_was_down_is_answered_after_its_start(tmp_path):
    gateway = ScriptedGateway()
    async with a_stage() as stage:
        async with a_tenant(tmp_path, gateway, make_channel=stage.channel()) as (tenant, channel):
            assert await channel.wait_online(20)
            await stage.ask(f"<@{stage.bot}> one")
            await stage.hears("echo: @J one")
            await tenant.lanes.idle()
        await stage.ask(f"<@{stage.bot}> two")
        async with a_tenant(tmp_path, gateway, make_channel=stage.channel()) as (tenant, channel):
            await stage.hears("echo: @J two")
            await tenant.lanes.idle()
    assert [asked.text for asked in gateway.asked] == ["@J one", "@J two"]


async def test_what_policy_leaves_out_after_an_outage_is_said_in_the_chat_once(tmp_path):
    gateway = ScriptedGateway()
    policy = a_policy(chats={"register": "on_mention", "catch_up_messages": 3})

    def said(stage):
        texts = [message.content for message in stage.world.state.messages[stage.general].values()]
        return [text for text in texts if text.startswith("I was away")]

    async with a_stage() as stage:
        make = stage.channel(catch_up=policy.chats.catch_up)
        async with a_tenant(tmp_path, gateway, policy, make_channel=make) as (tenant, channel):
            assert await channel.wait_online(20)
            await stage.ask(f"<@{stage.bot}> one")
            await stage.hears("echo: @J one")
            await tenant.lanes.idle()
        for n in range(4):
            await stage.ask(f"missed {n}")
        await stage.ask(f"<@{stage.bot}> last")
        for start in range(2):
            async with a_tenant(tmp_path, gateway, policy, make_channel=make) as (tenant, channel):
                await stage.hears("echo: @J last")
                assert await channel.wait_online(20)
                await stage.ask(f"<@{stage.bot}> live {start}")
                await stage.hears(f"echo: @J live {start}")
                await tenant.lanes.idle()
                await tenant.outbox.flush(5)
    (text,) = said(stage)
    assert text.startswith("I was away for a while: only the newest 3 messages were read, and older messages were left")
    assert "missed 1" not in gateway.asked[1].prompt
    assert "missed 2" in gateway.asked[1].prompt


async def test_a_picture_in_a_thread_is_answered_in_the_thread_by_its_channels_agent(tmp_path):
    gateway = ScriptedGateway()
    async with a_stage() as stage, a_tenant(tmp_path, gateway, make_channel=stage.channel()) as (tenant, channel):
        assert await channel.wait_online(20)
        thread = await stage.world.start_thread(stage.owner, stage.general, "side talk")
        picture = Upload("../cat.png", pictures.png(), "image/png")
        sent = await stage.ask(f"<@{stage.bot}> see", channel=thread.id, attachments=[picture])
        path = f"attachments/{sent.id}/cat.png"
        await stage.hears(f"echo: @J see\n[Image 1: cat.png] saved as {path}")
        await tenant.lanes.idle()
        assert [(group.folder, group.chat) for group in tenant.registry] == [("general", f"dc:{stage.general}")]
        assert (tenant.paths.group("nanoclaw", "general") / path).read_bytes() == pictures.png()
    assert [message.content for message in stage.world.state.messages[thread.id].values()][-1].startswith("echo")
    assert gateway.asked[0].blocks[-1]["type"] == "image"


async def test_what_was_edited_or_deleted_while_the_tenant_was_down_is_answered_as_it_reads_now(tmp_path):
    gateway = ScriptedGateway()
    async with a_stage() as stage:
        patient = a_policy(runs={"retry_delays_s": [0.5], "drain_s": 0})
        async with a_tenant(tmp_path, gateway, patient, make_channel=stage.channel()) as (tenant, channel):
            assert await channel.wait_online(20)
            await stage.ask(f"<@{stage.bot}> hello")
            await stage.hears("echo: @J hello")
            await tenant.lanes.idle()
            gateway.lease_fails = [Unavailable("no worker")] * 9
            await gateway.end_worker("w1")
            typo, oops = await stage.ask(f"<@{stage.bot}> helo"), await stage.ask(f"<@{stage.bot}> oops")
            async with asyncio.timeout(10):
                while await tenant.inbox.find("dc:0", str(oops.id)) is None:
                    await asyncio.sleep(0.01)
        await stage.world.edit(stage.owner, stage.general, typo.id, f"<@{stage.bot}> hello again")
        await stage.world.delete(stage.owner, stage.general, oops.id)
        gateway.lease_fails.clear()
        async with a_tenant(tmp_path, gateway, make_channel=stage.channel()) as (tenant, channel):
            await stage.hears("echo: @J hello again")
            await tenant.lanes.idle()
    assert "oops" not in gateway.asked[-1].prompt


@pytest.mark.parametrize(
    ("spoil", "code", "words"),
    [("token", 77, ["bot token"]), ("intents", 78, ["Message Content Intent", "discord.com/developers"])],
)
async def test_what_discord_refuses_for_good_ends_the_process_with_one_clear_line(tmp_path, spoil, code, words):
    paths = paths_in(tmp_path)
    async with a_stage() as stage:
        token = "MTIz.bad.token" if spoil == "token" else None
        if spoil == "intents":
            stage.world.add_application("nanoclaw", intents_allowed=0)
        async with a_gateway_socket(paths, **stage.startup(token)):
            found, _, err = await finish(await start(paths, "run"))
    assert found == code, err
    lines = err.strip().splitlines()
    assert lines[-1].startswith("nanoclaw: ")
    assert all(word in lines[-1] for word in words)
    assert "Traceback" not in err
    assert stage.cast.bot_tokens["nanoclaw"] not in err
