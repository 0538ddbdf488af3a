"""The tenant with an unmodified discord.py against the emulated Discord."""

from __future__ import annotations

import asyncio

import pytest
from openclaw_discord import on_discord, online, said, stage

from shared.errors import AuthRequired, ConfigError


async def test_a_mention_and_an_approved_direct_message_are_answered(tmp_path):
    async with (
        stage() as (world, cast, emulator),
        on_discord(tmp_path, emulator, cast, cast.bot_tokens["openclaw"]) as (tenant, gateway),
    ):
        await online(tenant)
        owner, bot = world.find_user("owner"), cast.bots["openclaw"]
        channel = int(cast.channel_id)
        await world.say(owner, channel, f"<@{bot}> hello")
        await said(world, channel, bot, "echo: hello")
        application = world.add_application("openclaw")
        dm = await world.open_dm(owner, application)
        await world.say(owner, dm, "let me in")
        await said(world, dm, bot, "openclaw pairing approve discord")
        (pending,) = await gateway.services.dm_pairing.pending()
        await gateway.services.dm_pairing.approve(pending["code"])
        await world.say(owner, dm, "thanks")
        await said(world, dm, bot, "echo: thanks")


async def test_an_edit_that_mentions_the_bot_is_answered_once(tmp_path):
    async with (
        stage() as (world, cast, emulator),
        on_discord(tmp_path, emulator, cast, cast.bot_tokens["openclaw"]) as (tenant, _),
    ):
        await online(tenant)
        owner, bot, channel = world.find_user("owner"), cast.bots["openclaw"], int(cast.channel_id)
        talk = await world.say(owner, channel, "hello there")
        oops = await world.say(owner, channel, "never mind")
        await world.delete(owner, channel, oops.id)
        await world.edit(owner, channel, talk.id, f"<@{bot}> hello")
        await said(world, channel, bot, "echo: hello")
        await world.edit(owner, channel, talk.id, f"<@{bot}> too late")
        await world.say(owner, channel, f"<@{bot}> next")
        await said(world, channel, bot, "next")
        item = await tenant.inbox.find("dc:0", str(oops.id))
        assert (item.state, item.reason) == ("ignored", "taken back by its author")
        texts = [m.content for m in world.state.messages[channel].values() if str(m.author_id) == bot]
    assert len(texts) == 2
    assert "too late" not in "".join(texts)


@pytest.mark.slow
async def test_a_click_in_the_approvers_direct_messages_lets_a_command_run(tmp_path):
    async with stage() as (world, cast, emulator):
        owner, friend = world.find_user("owner"), world.find_user("friend")
        bot, channel = cast.bots["openclaw"], int(cast.channel_id)
        approvals = {"approvers": ["operator", str(owner.id)]}
        where = (tmp_path, emulator, cast, cast.bot_tokens["openclaw"])
        async with on_discord(*where, approvals=approvals) as (tenant, _):
            await online(tenant)
            await world.say(friend, channel, f'<@{bot}> !tool exec {{"command":"echo from-a-click"}}')
            await said(world, channel, bot, "approval-pending")
            dm = await world.open_dm(owner, world.add_application("openclaw"))
            await said(world, dm, bot, "wants to run a command")
        async with on_discord(*where, approvals=approvals) as (tenant, _):  # restarted before the click
            await online(tenant)
            (card,) = world.state.messages[dm].values()
            once = next(b for b in card.components[0]["components"] if b["label"] == "Allow once")
            await world.click(owner, card.id, once["custom_id"])
            await said(world, channel, bot, "echo: from-a-click")
            card = world.state.messages[dm][card.id]
            assert "Allowed once by" in card.content
            assert card.components == []


async def test_a_refused_token_ends_the_tenant_with_77(tmp_path):
    async with stage() as (_, cast, emulator), on_discord(tmp_path, emulator, cast, "bad.token.here") as (tenant, _g):
        with pytest.raises(AuthRequired) as refused:
            await asyncio.wait_for(tenant.wait(), 10)
        assert refused.value.exit_code == 77


async def test_disallowed_intents_end_the_tenant_with_78(tmp_path):
    async with stage() as (world, cast, emulator):
        world.add_application("openclaw").intents_allowed = 0
        async with on_discord(tmp_path, emulator, cast, cast.bot_tokens["openclaw"]) as (tenant, _gateway):
            with pytest.raises(ConfigError, match="Message Content") as refused:
                await asyncio.wait_for(tenant.wait(), 10)
            assert refused.value.exit_code == 78
