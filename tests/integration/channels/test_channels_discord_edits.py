"""Edits, deletes, threads and slash commands, through an unmodified discord.py."""

import asyncio
from dataclasses import dataclass, field

import pytest
from discord_bed import Heard, channel_for, discord_world

from gateway.sandbox.discord.drafts import read_draft
from shared.channels.base import ChannelHandlers
from shared.channels.discord.client import policy_intents
from shared.channels.discord.translate import chat_of
from shared.testing.channel_bed import running
from shared.testing.waiting import until


@dataclass
class Told(Heard):
    edits: list = field(default_factory=list)
    deletes: list = field(default_factory=list)

    async def on_edit(self, message):
        self.edits.append((message.id, message.text, message.addressed))

    async def on_delete(self, chat, message):
        self.deletes.append((chat, message))

    def handlers(self, **more):
        return super().handlers(on_edit=self.on_edit, on_delete=self.on_delete, **more)


def test_the_intents_are_the_policys():
    assert policy_intents().value == 37377


async def test_edits_and_deletes_are_told_also_of_messages_no_cache_knows():
    told = Told()
    async with discord_world() as place:
        dm = await place.world.open_dm(place.owner, place.bot)
        old = await place.world.say(place.owner, place.general, "before the start")
        direct = await place.world.say(place.owner, dm, "psst")
        async with running(channel_for(place, handlers=told.handlers())):
            await place.world.edit(place.owner, place.general, old.id, f"<@{place.bot.id}> now")
            await place.world.edit(place.owner, dm, direct.id, "psst!")
            await place.world.delete(place.owner, dm, direct.id)
            await place.world.delete(place.owner, place.general, old.id)
            await until(lambda: len(told.deletes) == 2)
    assert sorted(told.edits) == sorted([(str(old.id), "now", True), (str(direct.id), "psst!", True)])
    assert set(told.deletes) == {(chat_of(dm), str(direct.id)), (place.chat, str(old.id))}


async def test_what_changes_without_its_author_is_no_edit_and_our_own_edits_are_not_told():
    told = Told()
    async with discord_world() as place:
        channel = channel_for(place, handlers=told.handlers())
        async with running(channel):
            message = await place.world.say(place.owner, place.general, "see this link")
            place.world.messages.changed(message)  # a preview was found
            await place.world.start_thread(place.owner, place.general, "side", message_id=message.id)
            own = place.world.messages.send(
                place.world.state.users[place.bot.id],
                place.world.state.channels[place.general],
                read_draft({"content": "mine"}),
            )
            await channel.edit(place.chat, str(own.id), "mine, edited")
            await place.world.edit(place.owner, place.general, message.id, "real")
            await until(lambda: told.edits)
    assert told.edits == [(str(message.id), "real", False)]


async def test_a_moderators_bulk_delete_takes_every_message_back():
    told = Told()
    async with discord_world() as place, running(channel_for(place, handlers=told.handlers())):
        sent = [await place.world.say(place.friend, place.general, f"spam {n}") for n in range(3)]
        place.world.messages.remove_many(place.world.state.channels[place.general], sent, by=place.owner)
        await until(lambda: len(told.deletes) == 3)
    assert told.deletes == [(place.chat, str(message.id)) for message in sent]


async def test_edits_come_after_what_was_missed_and_in_order():
    told = Told()
    async with discord_world() as place:
        async with running(channel_for(place, handlers=told.handlers())):
            await place.world.say(place.owner, place.general, "one")
            await until(lambda: told.texts == ["one"])
        missed = await place.world.say(place.owner, place.general, "missed")
        await place.world.edit(place.owner, place.general, missed.id, "missed, edited")
        async with running(channel_for(place, handlers=told.handlers())):
            await place.world.edit(place.owner, place.general, missed.id, "edited again")
            await until(lambda: told.edits)
    assert told.texts in (["one", "missed, edited"], ["one", "edited again"])
    assert told.edits == [(str(missed.id), "edited again", False)]


async def test_a_message_is_read_again_wherever_it_is():
    told = Told()
    async with discord_world() as place:
        channel = channel_for(place, handlers=told.handlers())
        dm = await place.world.open_dm(place.owner, place.bot)
        thread = await place.world.start_thread(place.owner, place.general, "side talk")
        async with running(channel):
            for channel_id, kind in ((place.general, "guild"), (dm, "dm"), (thread.id, "thread")):
                sent = await place.world.say(place.owner, channel_id, "hello")
                await place.world.edit(place.owner, channel_id, sent.id, "hello!")
                found = await channel.reread(chat_of(channel_id), str(sent.id))
                assert (found.text, found.chat_kind) == ("hello!", kind)
                await place.world.delete(place.owner, channel_id, sent.id)
                assert await channel.reread(chat_of(channel_id), str(sent.id)) is None
            assert await channel.reread("dc:1", "1") is None


async def test_a_thread_names_its_channel():
    told = Told()
    async with discord_world() as place, running(channel_for(place, handlers=told.handlers())):
        thread = await place.world.start_thread(place.owner, place.general, "side talk")
        await place.world.say(place.owner, thread.id, f"<@{place.bot.id}> here")
        await until(lambda: "here" in told.texts)
    message = told.messages[-1]
    assert (message.chat_name, message.parent, message.parent_name) == ("side talk", place.chat, "general")


@pytest.mark.parametrize("where", ["guild", "thread", "dm"])
async def test_a_command_is_answered_for_its_caller_alone_wherever_it_is_called(where):
    told = Told()
    async with discord_world() as place:
        thread = await place.world.start_thread(place.owner, place.general, "side talk")
        dm = await place.world.open_dm(place.owner, place.bot)
        channel_id = {"guild": place.general, "thread": thread.id, "dm": dm}[where]
        channel = channel_for(place, handlers=told.handlers(commands={"status": "How are you?"}))
        async with running(channel):
            call = await place.world.slash(place.owner, channel_id, place.bot, "status")
            await asyncio.wait_for(call.answered.wait(), 5)
            await until(lambda: [s for s in place.server.requests if s.op == "interaction.callback"])
        ((name, message),) = told.commands
        answers = [m for m in place.world.state.messages[channel_id].values() if m.author_id == place.bot.id]
    assert (name, message.chat, message.chat_kind) == ("status", chat_of(channel_id), where)
    assert message.sender.id == str(place.owner.id)
    assert message.parent == (place.chat if where == "thread" else "")
    assert [(m.content, m.ephemeral_for) for m in answers] == [("status:", place.owner.id)]


async def test_a_command_that_takes_longer_than_discord_waits_is_announced_and_answered_in_parts():
    done = asyncio.Event()

    async def slowly(_name, _message):
        await asyncio.sleep(3.2)
        done.set()
        return "word " * 700

    async with discord_world() as place:
        handlers = ChannelHandlers(Heard().on_message, commands={"report": "All of it"}, on_command=slowly)
        async with running(channel_for(place, handlers=handlers)):
            call = await place.world.slash(place.owner, place.general, place.bot, "report")
            await asyncio.wait_for(call.answered.wait(), 3)
            assert not done.is_set()

            def own():
                return [m for m in place.world.state.messages[place.general].values() if m.author_id == place.bot.id]

            await until(lambda: sum(m.content.count("word") for m in own()) == 700, timeout_s=10)
            assert len(own()) == 2
            assert {m.ephemeral_for for m in own()} == {place.owner.id}
