"""Buttons, commands and forms, with Discord's deadlines, as an unmodified discord.py client uses them."""

import asyncio

import discord
import pytest
from discord import app_commands
from discord_emulator_support import Bot, online, town

from shared.clock import FakeClock
from shared.errors import Invalid, NotFound


class Approve(discord.ui.DynamicItem[discord.ui.Button], template=r"ex:(?P<op>[ad]):(?P<id>[0-9]+)"):
    def __init__(self, op: str, number: str) -> None:
        super().__init__(discord.ui.Button(label="Approve", custom_id=f"ex:{op}:{number}"))
        self.op, self.number = op, number

    @classmethod
    async def from_custom_id(cls, interaction, item, match):
        return cls(match["op"], match["id"])

    async def callback(self, interaction):
        await interaction.response.edit_message(
            content=f"{self.op} {self.number} by {interaction.user.name}", view=None
        )


def view_with(*buttons: discord.ui.Item) -> discord.ui.View:
    view = discord.ui.View(timeout=None)
    for button in buttons:
        view.add_item(button)
    return view


async def test_a_button_updates_its_message_also_after_the_bot_restarted():
    async with town() as place:
        async with online(place) as first:
            sent = await first.get_channel(place.general.id).send("run it?", view=view_with(Approve("a", "7")))
        fresh = Bot()
        fresh.add_dynamic_items(Approve)
        async with online(place, fresh):
            await place.world.click(place.owner, sent.id, "ex:a:7")
            edited = await place.world.wait_for(lambda r: r.kind == "message.edit")
            assert edited.content == "a 7 by owner"
            assert edited.data["components"] == []
        with pytest.raises(Invalid, match="no component"):
            await place.world.click(place.owner, sent.id, "ex:a:7")


async def test_an_answer_to_a_click_can_be_seen_by_the_clicker_alone():
    async with town() as place, online(place) as bot:
        button = discord.ui.Button(label="who", custom_id="who")
        button.callback = lambda i: i.response.send_message("only you", ephemeral=True)
        sent = await bot.get_channel(place.general.id).send("?", view=view_with(button))
        await place.world.click(place.friend, sent.id, "who")
        record = await place.world.wait_for(lambda r: r.kind == "message.create" and r.content == "only you")
        assert record.data["flags"] & 64
        channel = bot.get_channel(place.general.id)
        assert [m.content async for m in channel.history()] == ["?"]
        assert not any(m.content == "only you" for m in bot.got)


async def test_a_slash_command_with_options_is_registered_and_answered():
    async with town() as place:
        bot = Bot()

        @bot.tree.command(name="roll", description="roll dice")
        @app_commands.choices(
            kind=[app_commands.Choice(name="six", value=6), app_commands.Choice(name="ten", value=10)]
        )
        async def roll(interaction: discord.Interaction, kind: int, who: discord.User | None = None) -> None:
            await interaction.response.send_message(f"{kind} for {who.name if who else 'all'}")

        async with online(place, bot):
            await bot.tree.sync()
            await place.world.slash(
                place.owner, place.general.id, place.app, "roll", {"kind": "six", "who": place.friend.id}
            )
            record = await place.world.wait_for(lambda r: r.kind == "message.create")
            assert record.content == "6 for friend"
            assert record.data["type"] == 20
            assert record.data["interaction_metadata"]["user"]["username"] == "owner"
            with pytest.raises(Invalid, match="'kind' is required"):
                await place.world.slash(place.owner, place.general.id, place.app, "roll")
            with pytest.raises(NotFound, match="offers no /reset"):
                await place.world.slash(place.owner, place.general.id, place.app, "reset")


async def test_a_deferred_answer_shows_thinking_then_the_followup_takes_its_place():
    async with town() as place:
        bot = Bot()
        go_on = asyncio.Event()

        @bot.tree.command(name="slow", description="slow")
        async def slow(interaction: discord.Interaction) -> None:
            await interaction.response.defer(ephemeral=True)
            await go_on.wait()
            await interaction.followup.send("first")
            await interaction.followup.send("second")
            await interaction.edit_original_response(content="first, edited")

        async with online(place, bot):
            await bot.tree.sync(guild=None)
            await place.world.slash(place.owner, place.general.id, place.app, "slow")
            thinking = await place.world.wait_for(lambda r: r.kind == "message.create")
            assert thinking.data["flags"] & 128
            assert thinking.data["flags"] & 64
            go_on.set()
            first = await place.world.wait_for(lambda r: r.kind == "message.edit")
            assert first.data["id"] == thinking.data["id"]
            assert first.content == "first"
            assert not first.data["flags"] & 128
            second = await place.world.wait_for(lambda r: r.kind == "message.create" and r.content == "second")
            assert second.data["id"] != thinking.data["id"]
            await place.world.wait_for(lambda r: r.content == "first, edited")


async def test_after_three_seconds_the_interaction_is_gone():
    clock = FakeClock()
    async with town(clock=clock) as place, online(place) as bot:
        button = discord.ui.Button(label="late", custom_id="late")
        sent = await bot.get_channel(place.general.id).send("?", view=view_with(button))
        await place.world.click(place.owner, sent.id, "late")
        await bot.until(lambda: bot.interactions)
        clock.advance(3.1)
        with pytest.raises(discord.NotFound) as refused:
            await bot.interactions[0].response.send_message("too late")
        assert refused.value.code == 10062


async def test_one_interaction_is_answered_once():
    async with town() as place, online(place) as bot:
        sent = await bot.get_channel(place.general.id).send(
            "?", view=view_with(discord.ui.Button(custom_id="b", label="b"))
        )
        await place.world.click(place.owner, sent.id, "b")
        await bot.until(lambda: bot.interactions)
        one = bot.interactions[0]
        await one.response.defer()
        again = discord.Interaction(data=_raw(one), state=bot._connection)
        with pytest.raises(discord.HTTPException) as refused:
            await again.response.send_message("twice")
        assert refused.value.code == 40060


async def test_fifteen_minutes_later_the_token_is_dead():
    clock = FakeClock()
    async with town(clock=clock) as place, online(place) as bot:
        sent = await bot.get_channel(place.general.id).send(
            "?", view=view_with(discord.ui.Button(custom_id="b", label="b"))
        )
        await place.world.click(place.owner, sent.id, "b")
        await bot.until(lambda: bot.interactions)
        await bot.interactions[0].response.defer()
        clock.advance(901)
        with pytest.raises(discord.HTTPException) as refused:
            await bot.interactions[0].followup.send("hello?")
        assert refused.value.code == 50027


async def test_a_form_is_shown_and_comes_back_filled():
    async with town() as place:
        bot = Bot()

        class Form(discord.ui.Modal, title="Details"):
            reason = discord.ui.TextInput(label="Why", custom_id="reason")

            async def on_submit(self, interaction: discord.Interaction) -> None:
                await interaction.response.send_message(f"because {self.reason.value}")

        @bot.tree.command(name="why", description="why")
        async def why(interaction: discord.Interaction) -> None:
            await interaction.response.send_modal(Form())

        async with online(place, bot):
            await bot.tree.sync()
            asked = await place.world.slash(place.owner, place.general.id, place.app, "why")
            await asked.answered.wait()
            await place.world.submit(place.owner, asked.id, {"reason": "I can"})
            record = await place.world.wait_for(lambda r: r.kind == "message.create")
            assert record.content == "because I can"


async def test_a_select_menu_and_suggestions():
    async with town() as place:
        bot = Bot()

        @bot.tree.command(name="pick", description="pick")
        async def pick(interaction: discord.Interaction, fruit: str) -> None:
            select = discord.ui.Select(
                custom_id="s", options=[discord.SelectOption(label=fruit), discord.SelectOption(label="no")]
            )
            select.callback = lambda i: i.response.send_message(f"picked {select.values[0]}")
            await interaction.response.send_message("choose", view=view_with(select))

        @pick.autocomplete("fruit")
        async def suggest(_interaction: discord.Interaction, current: str):
            return [app_commands.Choice(name=n, value=n) for n in ("apple", "pear") if n.startswith(current)]

        async with online(place, bot):
            await bot.tree.sync()
            asked = await place.world.autocomplete(place.owner, place.general.id, place.app, "pick", "fruit", "ap")
            await asyncio.wait_for(asked.answered.wait(), 2)
            assert [choice["value"] for choice in asked.choices] == ["apple"]
            await place.world.slash(place.owner, place.general.id, place.app, "pick", {"fruit": "apple"})
            shown = await place.world.wait_for(lambda r: r.content == "choose")
            await place.world.click(place.owner, int(shown.data["id"]), "s", ["apple"])
            await place.world.wait_for(lambda r: r.content == "picked apple")


async def test_a_slash_command_works_in_a_dm():
    async with town() as place:
        bot = Bot()

        @bot.tree.command(name="hi", description="hi")
        @app_commands.allowed_contexts(guilds=False, dms=True, private_channels=False)
        @app_commands.allowed_installs(guilds=True, users=False)
        async def hi(interaction: discord.Interaction) -> None:
            await interaction.response.send_message(f"hi {interaction.user.name}, guild {interaction.guild_id}")

        async with online(place, bot):
            await bot.tree.sync()
            channel_id = await place.world.open_dm(place.owner, place.app)
            await place.world.slash(place.owner, channel_id, place.app, "hi")
            assert (await place.world.wait_for(lambda r: r.kind == "message.create")).content == "hi owner, guild None"
            with pytest.raises(NotFound):
                await place.world.slash(place.owner, place.general.id, place.app, "hi")


async def test_commands_keep_their_ids_over_a_second_upload_and_bad_ones_are_refused():
    async with town() as place:
        bot = Bot()

        @bot.tree.command(name="same", description="same")
        async def same(interaction: discord.Interaction) -> None: ...

        async with online(place, bot):
            first = await bot.tree.sync()
            second = await bot.tree.sync()
            assert [command.id for command in first] == [command.id for command in second]
            with pytest.raises(discord.HTTPException) as refused:
                await bot.http.bulk_upsert_global_commands(place.app.id, [{"name": "Bad Name", "description": "x"}])
            assert refused.value.code == 50035


def _raw(interaction: discord.Interaction) -> dict:
    return {
        "id": str(interaction.id),
        "application_id": str(interaction.application_id),
        "type": 3,
        "token": interaction.token,
        "version": 1,
        "data": interaction.data,
        "attachment_size_limit": 1,
        "user": {"id": "1", "username": "x", "discriminator": "0", "avatar": None},
    }
