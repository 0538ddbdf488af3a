"""The Slack channel against the sandbox's Slack: nothing is lost, nothing comes twice."""

import asyncio

import pytest
from slack_bed import Heard, channel_for, fault, slack_world, unacknowledged

from gateway.sandbox.slack.sockets import Redelivery
from shared.channels.base import ChannelHandlers, OutboundMessage
from shared.channels.inbox import Inbox
from shared.channels.slack.addresses import Place, message_id
from shared.errors import Unavailable
from shared.testing.channel_bed import channel_database, running
from shared.testing.waiting import until


async def test_nothing_is_acknowledged_before_it_is_stored():
    heard, gate = Heard(), asyncio.Event()

    async def on_message(message):
        await gate.wait()
        await heard.on_message(message)

    async with slack_world() as place, running(channel_for(place, handlers=heard.handlers(on_message=on_message))):
        place.world.say(place.owner, place.general, "patience")
        await until(lambda: len(place.sockets.sent) >= 2)  # so long in coming that Slack sends it again
        assert not [sent for sent in place.sockets.sent if sent.acked.is_set()]
        gate.set()
        await until(lambda: [sent for sent in place.sockets.sent if sent.acked.is_set()])
    assert heard.texts == ["patience"]


async def test_an_edit_is_not_acknowledged_before_it_is_stored():
    heard, gate = Heard(), asyncio.Event()

    async def on_edit(message):
        await gate.wait()
        await heard.on_edit(message)

    async with slack_world() as place, running(channel_for(place, handlers=heard.handlers(on_edit=on_edit))):
        said = place.world.say(place.owner, place.general, "frist")
        place.world.edit(place.general, said.ts, "first")
        await until(lambda: len(place.sockets.sent) >= 3)  # the edit was sent again
        first, *edits = place.sockets.sent
        assert first.acked.is_set()
        assert not any(edit.acked.is_set() for edit in edits)
        gate.set()
        await until(lambda: any(edit.acked.is_set() for edit in place.sockets.sent[1:]))
    assert set(heard.changes) == {(message_id(place.general.id, said.ts), "first")}


async def test_a_store_that_fails_for_a_while_loses_nothing():
    heard, troubles = Heard(), [Unavailable("disk full"), Unavailable("disk full")]

    async def on_message(message):
        if troubles:
            raise troubles.pop()
        await heard.on_message(message)

    async with slack_world() as place, running(channel_for(place, handlers=heard.handlers(on_message=on_message))):
        place.world.say(place.owner, place.general, "one")
        place.world.say(place.owner, place.general, "two")
        await until(lambda: len(heard.messages) == 2)
    assert heard.texts == ["one", "two"]


@pytest.mark.parametrize("kind", ["drop_ack", "duplicate"])
async def test_what_slack_sends_again_is_taken_once(kind):
    heard = Heard()
    async with slack_world(fault("socket.event.message", kind)) as place, running(channel_for(place, heard)):
        place.world.say(place.owner, place.general, "once")
        if kind == "drop_ack":
            await until(lambda: len(place.sockets.sent) == 2 and place.sockets.sent[1].acked.is_set())
        place.world.say(place.owner, place.general, "then")
        await until(lambda: "then" in heard.texts)
    assert heard.texts == ["once", "then"]


async def test_a_refreshed_connection_misses_nothing_and_reads_no_history():
    heard = Heard()
    async with slack_world() as place:
        channel = channel_for(place, heard)
        async with running(channel):
            place.world.say(place.owner, place.general, "before")
            await until(lambda: heard.texts == ["before"])
            place.sockets.disconnect(place.app, "warning", grace_s=0.3)
            place.world.say(place.owner, place.general, "meanwhile")
            await until(lambda: channel.status.identifies == 2)
            assert channel.status.state == "online"
            await until(lambda: place.sockets.connected(place.app) == 1)
            place.world.say(place.owner, place.general, "after")
            await until(lambda: len(heard.messages) == 3)
        assert place.server.of("conversations.history") == []
    assert heard.texts == ["before", "meanwhile", "after"]


async def test_after_an_outage_everything_is_caught_up_in_order_and_once():
    heard = Heard()
    async with slack_world(redelivery=Redelivery(0.2, ())) as place:
        channel = channel_for(place, heard)
        async with running(channel):
            place.world.say(place.owner, place.general, "before")
            fresh = place.world.say(place.owner, place.general, "fresh thread")
            place.world.say(place.owner, place.general, "known", thread=fresh.ts)
            new = place.world.say(place.owner, place.general, "no thread yet")
            await until(lambda: len(heard.messages) == 4)
            place.faults.add(fault("apps.connections.open", status=503, nth=(1, 2)))
            place.sockets.cut(place.app)
            await until(lambda: not place.sockets.connected(place.app))
            place.world.say(place.owner, place.general, "missed 1")
            place.world.say(place.friend, place.general, "missed in the known thread", thread=fresh.ts)
            place.world.say(place.friend, place.general, f"{place.me} missed in a new thread", thread=new.ts)
            place.world.say(place.owner, place.general, "missed 2")
            await channel.wait_online(10)
            place.world.say(place.owner, place.general, "live")
            await until(lambda: "live" in heard.texts)
            await until(lambda: len(set(heard.texts)) == 9)
    there = [message.text for message in heard.messages if message.chat == place.chat]
    assert there == ["before", "fresh thread", "no thread yet", "missed 1", "missed 2", "live"]
    assert {m.text for m in heard.messages if m.chat_kind == "thread"} == {
        "known",
        "missed in the known thread",
        "missed in a new thread",
    }
    assert next(m for m in heard.messages if m.text == "missed in a new thread").addressed


async def test_the_inbox_has_each_message_once_whatever_is_read_again(tmp_path):
    async with slack_world() as place, channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)

        async def store(message):
            await inbox.append(message)

        handlers = ChannelHandlers(store, known_chats=lambda: inbox.cursors("sl"))
        channel = channel_for(place, handlers=handlers)
        async with running(channel):
            root = place.world.say(place.owner, place.general, "0")
            for n in range(1, 5):
                place.world.say(place.owner, place.general, f"{place.me} {n}", thread=root.ts if n % 2 else "")
                place.sockets.cut(place.app)
                await until(lambda: not place.sockets.connected(place.app))
                await until(lambda: place.sockets.connected(place.app))
            await until(lambda: not unacknowledged(place) or place.sockets.sent[-1].acked.is_set())
            async with asyncio.timeout(10):
                while (await inbox.counts()).get("new") != 5:
                    await asyncio.sleep(0.01)
        cursors = await inbox.cursors("sl")
    assert set(cursors) == {place.chat, Place(place.general.id, root.ts).chat}


async def test_edits_and_deletions_by_their_authors_are_told_after_the_message():
    heard, gate = Heard(), asyncio.Event()

    async def on_message(message):
        await gate.wait()
        await heard.on_message(message)

    async with slack_world() as place:
        channel = channel_for(place, handlers=heard.handlers(on_message=on_message))
        async with running(channel):
            said = place.world.say(place.owner, place.general, "frist")
            place.world.edit(place.general, said.ts, "first")
            place.world.unfurl(place.general, said.ts)
            place.world.delete(place.general, said.ts)
            mine = await channel.send(OutboundMessage(place.chat, "mine", "n1"))
            await channel.edit(place.chat, mine, "still mine")
            await channel.delete(place.chat, mine)
            await until(lambda: sum(sent.acked.is_set() for sent in place.sockets.sent) >= 3)  # ours and the preview
            assert heard.changes == []
            gate.set()
            await until(lambda: len(heard.changes) == 3)
            root = place.world.say(place.owner, place.general, "asked")
            place.world.say(place.friend, place.general, "answered", thread=root.ts)
            place.world.delete(place.general, root.ts)
            await until(lambda: len(heard.changes) == 4)
            await until(lambda: not unacknowledged(place) or place.sockets.sent[-1].acked.is_set())
    id_ = message_id(place.general.id, said.ts)
    assert heard.changes == [(id_, "first"), (id_, None), (mine, None), (message_id(place.general.id, root.ts), None)]


async def test_a_message_is_read_again_as_it_stands_now():
    async with slack_world() as place:
        channel = channel_for(place)
        async with running(channel):
            root = place.world.say(place.owner, place.general, "asked")
            answer = place.world.say(place.friend, place.general, "answered", thread=root.ts)
            gone = place.world.say(place.owner, place.general, "oops")
            place.world.edit(place.general, root.ts, "asked anew")
            place.world.edit(place.general, answer.ts, "answered anew")
            place.world.delete(place.general, gone.ts)
            mine = await channel.send(OutboundMessage(place.chat, "mine", "n1"))
            thread = Place(place.general.id, root.ts).chat
            told = [
                await channel.reread(chat, message_id(place.general.id, ts))
                for chat, ts in ((place.chat, root.ts), (thread, answer.ts), (place.chat, gone.ts))
            ]
            assert [message and message.text for message in told] == ["asked anew", "answered anew", None]
            assert await channel.reread(place.chat, mine) is None
            place.world.delete(place.general, root.ts)
            assert await channel.reread(place.chat, message_id(place.general.id, root.ts)) is None
