"""An unmodified discord.py client lives against the emulator as it would against Discord."""

import io

import discord
import httpx
import pytest
from discord_emulator_support import Bot, online, town


async def test_it_logs_in_and_knows_its_guild():
    async with town() as place, online(place) as bot:
        assert bot.user.id == place.app.id
        assert [channel.name for channel in bot.guilds[0].text_channels] == ["general", "lab"]
        assert bot.guilds[0].self_role.name == "J"
        assert place.emulator.unknown_routes == []


async def test_a_mention_is_answered_with_a_reply():
    async with town() as place, online(place) as bot:
        said = await place.world.say(place.owner, place.general.id, f"{place.mention} hello")
        got = await bot.next_message()
        assert got.id == said.id
        assert bot.user in got.mentions
        assert got.author.name == "owner"
        await got.reply("hi", mention_author=True)
        record = await place.world.wait_for(lambda r: r.kind == "message.create")
        assert record.content == "hi"
        assert record.data["message_reference"]["message_id"] == str(said.id)
        assert record.data["referenced_message"]["content"] == f"{place.mention} hello"
        assert [user["username"] for user in record.data["mentions"]] == ["owner"]


async def test_a_reply_to_the_bot_mentions_it_without_naming_it():
    async with town() as place, online(place) as bot:
        sent = await bot.get_channel(place.general.id).send("question?")
        await place.world.say(place.owner, place.general.id, "answer", reply_to=sent.id)
        got = await bot.next_message(2)
        assert bot.user in got.mentions
        assert got.reference.resolved.content == "question?"


async def test_the_managed_role_can_be_mentioned():
    async with town() as place, online(place) as bot:
        role = bot.guilds[0].self_role
        await place.world.say(place.owner, place.general.id, f"<@&{role.id}> hello")
        assert (await bot.next_message()).role_mentions == [role]


async def test_a_dm_reaches_the_bot_and_back():
    async with town() as place, online(place) as bot:
        channel_id = await place.world.open_dm(place.owner, place.app)
        await place.world.say(place.owner, channel_id, "psst")
        got = await bot.next_message()
        assert got.guild is None
        assert got.content == "psst"
        await got.channel.send("yes?")
        assert (await place.world.wait_for(lambda r: r.kind == "message.create")).channel_id == channel_id
        assert await place.world.open_dm(place.owner, place.app) == channel_id
        assert (await (await bot.fetch_user(place.owner.id)).create_dm()).id == channel_id


async def test_a_person_without_open_dms_cannot_be_written_to():
    async with town() as place, online(place) as bot:
        place.friend.accepts_dms = False
        with pytest.raises(discord.Forbidden) as refused:
            await (await bot.fetch_user(place.friend.id)).send("hello?")
        assert refused.value.code == 50007


async def test_it_types_reacts_edits_and_deletes():
    async with town() as place, online(place) as bot:
        said = await place.world.say(place.owner, place.general.id, "work")
        got = await bot.next_message()
        async with got.channel.typing():
            await got.add_reaction("👀")
        sent = await got.channel.send("part")
        await sent.edit(content="part and more")
        await bot.until(lambda: bot.edited)
        await got.remove_reaction("👀", bot.user)
        await sent.delete()
        kinds = [r.kind for r in place.world.core.log.records if not r.kind.startswith("gateway")]
        assert kinds == [
            "typing",
            "reaction.add",
            "message.create",
            "message.edit",
            "reaction.remove",
            "message.delete",
        ]
        assert place.world.state.message(place.general.id, said.id).reactions == {}
        assert bot.edited[0].content == "part and more"
        assert bot.edited[0].edited_at is not None


async def test_people_edit_react_and_delete_where_the_bot_sees_it():
    async with town() as place, online(place, Bot(intents=37377 | 1024)) as bot:
        seen = []
        bot.on_raw_message_delete = lambda event: _note(seen, "delete", event.message_id)
        bot.on_raw_reaction_add = lambda event: _note(seen, "react", str(event.emoji))
        said = await place.world.say(place.owner, place.general.id, "one")
        await bot.next_message()
        await place.world.edit(place.owner, place.general.id, said.id, "two")
        await bot.until(lambda: bot.edited)
        await place.world.react(place.friend, place.general.id, said.id, "👍")
        await place.world.delete(place.owner, place.general.id, said.id)
        last = await place.world.say(place.owner, place.general.id, "three")
        await bot.until(lambda: bot.got[-1].id == last.id)
        assert bot.edited[0].content == "two"
        assert seen == [("react", "👍"), ("delete", said.id)]


async def test_files_travel_both_ways_and_their_addresses_expire():
    async with town() as place, online(place) as bot:
        sent = await bot.get_channel(place.general.id).send(
            "here", file=discord.File(io.BytesIO(b"\x00\xffbytes"), "a b.bin", description="some bytes")
        )
        assert await sent.attachments[0].read() == b"\x00\xffbytes"
        assert sent.attachments[0].description == "some bytes"
        url = place.world.core.scribe.message(
            place.world.state.message(place.general.id, sent.id),
            _viewer(place.owner.id),
        )["attachments"][0]["url"]
        async with httpx.AsyncClient() as http:
            assert (await http.get(url)).content == b"\x00\xffbytes"
            assert (await http.get(url.replace("hm=", "hm=0"))).status_code == 404


async def test_a_file_over_ten_mebibytes_is_refused():
    async with town() as place, online(place) as bot:
        big = discord.File(io.BytesIO(b"x" * (10 * 1024 * 1024 + 1)), "big.bin")
        with pytest.raises(discord.HTTPException) as refused:
            await bot.get_channel(place.general.id).send(file=big)
        assert (refused.value.status, refused.value.code) == (413, 40005)


async def test_history_is_paged_in_order_from_a_cursor():
    async with town() as place, online(place) as bot:
        first = await place.world.say(place.owner, place.general.id, "0")
        for number in range(1, 251):
            await place.world.say(place.owner, place.general.id, str(number))
        channel = bot.get_channel(place.general.id)
        after = [m async for m in channel.history(after=discord.Object(first.id), limit=None, oldest_first=True)]
        assert [m.content for m in after] == [str(n) for n in range(1, 251)]
        newest = [m async for m in channel.history(limit=3)]
        assert [m.content for m in newest] == ["250", "249", "248"]
        around = [m.content async for m in channel.history(around=after[99], limit=5)]
        assert sorted(around, key=int) == ["98", "99", "100", "101", "102"]


async def test_a_thread_is_started_written_in_and_archived():
    async with town() as place, online(place) as bot:
        said = await place.world.say(place.owner, place.general.id, "topic")
        got = await bot.next_message()
        thread = await got.create_thread(name="details")
        assert thread.id == said.id
        await thread.send("inside")
        await place.world.say(place.friend, thread.id, "me too")
        await bot.until(lambda: any(m.content == "me too" for m in bot.got))
        assert next(m for m in bot.got if m.content == "me too").channel.parent_id == place.general.id
        edited = await thread.edit(archived=True)
        assert edited.archived
        lone = await bot.get_channel(place.lab.id).create_thread(name="alone", type=discord.ChannelType.public_thread)
        assert lone.parent_id == place.lab.id
        await lone.add_user(discord.Object(place.owner.id))
        assert {member.id for member in await lone.fetch_members()} == {place.app.id, place.owner.id}


async def test_what_discord_refuses_is_refused_with_its_codes():
    async with town() as place, online(place) as bot:
        channel = bot.get_channel(place.general.id)
        said = await place.world.say(place.owner, place.general.id, "mine")

        async def code(awaitable) -> int:
            with pytest.raises(discord.HTTPException) as refused:
                await awaitable
            return refused.value.code

        assert await code(channel.send("x" * 2001)) == 50035
        assert await code(channel.send("   ")) == 50006
        foreign = channel.get_partial_message(said.id)
        assert await code(foreign.edit(content="yours")) == 50005
        assert await code(foreign.delete()) == 50013
        assert await code(foreign.add_reaction("x")) == 10014
        assert await code(channel.fetch_message(said.id + 1)) == 10008
        assert await code(bot.fetch_channel(1)) == 10003
        secret = place.world.add_channel(place.guild, "secret")
        place.world.deny(place.app, secret, 1 << 10)
        assert await code(bot.fetch_channel(secret.id)) == 50001
        place.world.deny(place.app, place.lab, 1 << 11)
        assert await code(bot.get_channel(place.lab.id).send("no")) == 50013


async def test_a_sharded_client_asks_for_the_gateway_first():
    async with town() as place:

        class Sharded(Bot, discord.AutoShardedClient):
            pass

        async with online(place, Sharded()) as bot:
            assert bot.shard_count == 1
            await place.world.say(place.owner, place.general.id, "hi")
            assert (await bot.next_message()).content == "hi"
            assert place.emulator.unknown_routes == []


async def test_members_can_be_asked_for():
    async with town() as place, online(place, Bot(intents=37377 | 2)) as bot:
        assert {m.name for m in await bot.guilds[0].query_members("fri")} == {"friend"}
        assert (await bot.guilds[0].fetch_member(place.owner.id)).name == "owner"


async def _note(seen, *what):
    seen.append(what)


def _viewer(user_id):
    from gateway.sandbox.discord.wire import Viewer

    return Viewer(user_id)
