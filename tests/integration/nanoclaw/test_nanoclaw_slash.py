"""The slash commands as a person meets them: on the emulated Discord, through an unmodified discord.py."""

from __future__ import annotations

import asyncio

from nanoclaw_standins import ScriptedGateway, a_tenant, echo
from test_nanoclaw_discord import a_stage

from nanoclaw.config import NanoclawPolicy


class Person:
    """Orders something in a place, and reads the answer that only this person sees."""

    def __init__(self, stage):
        self.stage = stage

    async def orders(self, name: str, *, channel: int = 0) -> str:
        world = self.stage.world
        place = channel or self.stage.general
        app = next(app for app in world.state.applications.values() if str(app.id) == str(self.stage.bot))
        asked = await world.slash(self.stage.owner, place, app, name)
        async with asyncio.timeout(20):
            while True:
                for message in list(world.state.messages.get(place, {}).values()):
                    if message.ephemeral_for == self.stage.owner.id and message.id > asked.id and message.content:
                        return message.content
                await asyncio.sleep(0.02)


async def test_the_four_commands_in_a_channel_and_in_its_thread(tmp_path):
    stuck = asyncio.Event()

    async def reply(worker, asked, prompt_uuid):
        if "work" in asked.text:
            stuck.set()
            await asyncio.Event().wait()
        await echo(worker, asked, prompt_uuid)

    gateway = ScriptedGateway(reply=reply)
    async with a_stage() as stage, a_tenant(tmp_path, gateway, make_channel=stage.channel()) as (tenant, channel):
        assert await channel.wait_online(20)
        person = Person(stage)
        await stage.ask(f"<@{stage.bot}> hello")
        await stage.hears("echo: @J hello")
        await tenant.lanes.idle()
        assert "`/stop`" in await person.orders("help")
        assert "nothing to do" in await person.orders("status")
        thread = await stage.world.start_thread(stage.owner, stage.general, "aside")
        await stage.ask(f"<@{stage.bot}> work", channel=thread.id)
        await stuck.wait()
        assert "running for" in await person.orders("status", channel=thread.id)
        assert await person.orders("stop", channel=thread.id) == "Stopped."
        note = await stage.hears("Stopped by owner.")
        assert note["channel_id"] == str(thread.id)
        await tenant.lanes.idle()
        assert "begins a new one" in await person.orders("new")
        assert await gateway.workers() == []


async def test_a_chat_that_is_not_registered_says_how_to_register_it(tmp_path):
    async with (
        a_stage() as stage,
        a_tenant(tmp_path, ScriptedGateway(), NanoclawPolicy(), make_channel=stage.channel()) as (_, channel),
    ):
        assert await channel.wait_online(20)
        told = await Person(stage).orders("status")
    assert f"nanoclaw groups register --chat dc:{stage.general}" in told
