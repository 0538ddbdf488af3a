"""What people choose for a conversation on Discord, and words that come while its agent works."""

from __future__ import annotations

import asyncio

import pytest
from openclaw_discord import on_discord, online, said, stage
from openclaw_rig import ScriptedModel

from gateway.sandbox.discord.models import Role


async def fate(tenant, message) -> tuple[str, str]:
    async with asyncio.timeout(10):
        while True:
            item = await tenant.inbox.find("dc:0", str(message.id))
            if item is not None and item.state not in ("new", "claimed"):
                return item.state, item.reason
            await asyncio.sleep(0.02)


async def test_choices_have_effect_and_are_taken_back(tmp_path):
    model = ScriptedModel()
    async with stage() as (world, cast, emulator):
        owner = world.find_user("owner")
        bot, channel = cast.bots["openclaw"], int(cast.channel_id)
        async with on_discord(tmp_path, emulator, cast, cast.bot_tokens["openclaw"], model=model) as (tenant, _):
            await online(tenant)

            async def order(text, answer):
                await world.say(owner, channel, f"<@{bot}> {text}")
                await said(world, channel, bot, answer)

            await order("hello", "echo: hello")
            assert "reasoning" not in model.requests[-1][1]
            await order("/think", "takes `off`, `minimal`")
            await order("/think harder", "I do not know `harder`")
            await order("/think high", "set to `high`")
            await order("deep", "echo: deep")
            assert model.requests[-1][1]["reasoning"]["effort"] == "high"
            await order("/think xhigh", "set to `xhigh`")
            await order("deeper", "echo: deeper")
            assert model.requests[-1][1]["reasoning"]["effort"] == "high", "gpt-5.1 knows nothing above"
            await order("/think default", "Done. The model's thinking here is set to what the policy says (off)")
            await order("shallow", "echo: shallow")
            assert "reasoning" not in model.requests[-1][1]
            await order("/think hard about it", "echo: /think hard about it")

            quiet = await world.say(owner, channel, "among ourselves")
            assert (await fate(tenant, quiet))[0] == "context"
            await order("/activation always", "I answer to `always`")
            await world.say(owner, channel, "no mention")
            await said(world, channel, bot, "echo: no mention")
            await order("/activation mention", "I answer to `mention`")
            quiet = await world.say(owner, channel, "among ourselves again")
            assert (await fate(tenant, quiet))[0] == "context"

            await order("/compact", "Summed up about")
            await order("and on", "echo: and on")
            sent = model.requests[-1][1]["input"]
            assert "A record of the earlier conversation" in sent[0]["content"][0]["text"]
            assert len(sent) < 12
            await order("/queue", "treated as what the policy says (collect)")
            await order("/queue interrupt", "treated as `interrupt`")


async def test_interrupt_stops_the_answer_that_is_being_written(tmp_path):
    model = ScriptedModel()
    async with stage() as (world, cast, emulator):
        owner = world.find_user("owner")
        bot, channel = cast.bots["openclaw"], int(cast.channel_id)
        token, queue = cast.bot_tokens["openclaw"], {"mode": "interrupt"}
        async with on_discord(tmp_path, emulator, cast, token, model=model, queue=queue) as (tenant, _):
            await online(tenant)
            first = await world.say(owner, channel, f"<@{bot}> !hold")
            await model.started.wait()
            second = await world.say(owner, channel, f"<@{bot}> something else")
            await said(world, channel, bot, "echo: something else")
            await asyncio.wait_for(model.left.wait(), 5)
            assert await fate(tenant, first) == ("done", "stopped")
            assert await fate(tenant, second) == ("done", "answered")


@pytest.mark.parametrize(("mode", "echoes"), [("steer", 0), ("steer-backlog", 1)])
async def test_steering_is_heard_by_the_agent_at_work(tmp_path, mode, echoes):
    model = ScriptedModel()
    async with stage() as (world, cast, emulator):
        owner = world.find_user("owner")
        bot, channel = cast.bots["openclaw"], int(cast.channel_id)
        token, queue = cast.bot_tokens["openclaw"], {"mode": mode}
        async with on_discord(tmp_path, emulator, cast, token, model=model, queue=queue) as (tenant, gateway):
            await online(tenant)
            runs = gateway.services.runs
            first = await world.say(owner, channel, f"<@{bot}> !heldtool session_status {{}}")
            await model.started.wait()
            second = await world.say(owner, channel, f"<@{bot}> turn left")
            async with asyncio.timeout(10):
                while runs.active_count < 2:
                    await asyncio.sleep(0.02)
            model.release.set()
            assert (await fate(tenant, first))[0] == "done"
            state, reason = await fate(tenant, second)
            if echoes:
                await said(world, channel, bot, "turn left")
            assert "turn left" in model.requests[1][1]["input"][-1]["content"][0]["text"]
            texts = [m.content for m in world.state.messages[channel].values() if str(m.author_id) == bot]
            assert state == "done"
            assert ("said to the agent while it worked" in reason) == (mode == "steer")
            assert sum("turn left" in text for text in texts) >= echoes


async def test_followups_are_a_turn_each_and_new_waits_for_them(tmp_path):
    model = ScriptedModel()
    async with stage() as (world, cast, emulator):
        owner = world.find_user("owner")
        bot, channel = cast.bots["openclaw"], int(cast.channel_id)
        token, queue = cast.bot_tokens["openclaw"], {"mode": "followup"}
        async with on_discord(tmp_path, emulator, cast, token, model=model, queue=queue) as (tenant, _):
            await online(tenant)
            await world.say(owner, channel, f"<@{bot}> !hold")
            await model.started.wait()
            for text in ("one", "two", "/new"):
                last = await world.say(owner, channel, f"<@{bot}> {text}")
            model.release.set()
            assert (await fate(tenant, last))[0] == "done"
            await said(
                world, channel, bot, "A new session begins."
            )  # "done" is stored with the answer, before it is sent
            texts = [m.content for m in world.state.messages[channel].values() if str(m.author_id) == bot]
            assert texts[-3:] == ["echo: one", "echo: two", "A new session begins."]


async def test_roles_are_known_of_people_who_wrote_during_an_outage(tmp_path):
    async with stage() as (world, cast, emulator):
        owner, friend = world.find_user("owner"), world.find_user("friend")
        guild = world.state.guilds[int(cast.guild_id)]
        role = Role(world.core.new_id(), "crew", 0)
        guild.roles[role.id] = role
        guild.members[owner.id].role_ids.append(role.id)
        bot, channel, token = cast.bots["openclaw"], int(cast.channel_id), cast.bot_tokens["openclaw"]
        rules = {"guilds": {cast.guild_id: {"roles": [str(role.id)]}}}
        async with on_discord(tmp_path, emulator, cast, token, discord=rules) as (tenant, _):
            await online(tenant)
            await world.say(owner, channel, f"<@{bot}> before")
            await said(world, channel, bot, "echo: before")
        outsider = await world.say(friend, channel, f"<@{bot}> let me in")
        await world.say(owner, channel, f"<@{bot}> meanwhile")
        async with on_discord(tmp_path, emulator, cast, token, discord=rules) as (tenant, _):
            await online(tenant)
            await said(world, channel, bot, "echo: meanwhile")
            assert (await fate(tenant, outsider))[0] == "ignored"


async def test_a_long_answer_goes_on_in_further_messages_and_nothing_is_lost(tmp_path):
    async with stage() as (world, cast, emulator):
        owner = world.find_user("owner")
        bot, channel = cast.bots["openclaw"], int(cast.channel_id)
        async with on_discord(tmp_path, emulator, cast, cast.bot_tokens["openclaw"]) as (tenant, _):
            await online(tenant)
            asked = await world.say(owner, channel, f"<@{bot}> !long 900")
            assert (await fate(tenant, asked))[0] == "done"
            await said(world, channel, bot, "word899")
            texts = [m.content for m in world.state.messages[channel].values() if str(m.author_id) == bot]
        assert len(texts) >= 4
        assert all(len(text) <= 2000 for text in texts)
        assert " ".join(texts).split() == [f"word{n}" for n in range(900)]
