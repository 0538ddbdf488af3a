"""The Discord channel against the sandbox's Discord, through an unmodified discord.py."""

import asyncio

import pytest
from discord_bed import Heard, channel_for, cut_connections, discord_world, fault, said_by_bot

from shared.channels.base import Button, ChannelHandlers, Form, OutboundMessage
from shared.channels.discord.identify import IdentifyBudget
from shared.channels.discord.translate import chat_of
from shared.channels.inbox import Inbox
from shared.channels.live import LiveMessage
from shared.channels.marks import Marks
from shared.channels.outbox import Outbox
from shared.errors import AuthRequired, ConfigError, Denied, Invalid, NotFound, RateLimited, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.tasks import TaskPool
from shared.testing.channel_bed import channel_database, delivering, running
from shared.testing.waiting import until

# --- hearing ---------------------------------------------------------------------------------------------------------


async def test_a_mention_arrives_addressed_and_readable():
    heard = Heard()
    async with discord_world() as place, running(channel_for(place, heard)) as _:
        await place.world.say(place.owner, place.general, f"<@{place.bot.id}> hello <@{place.friend.id}>")
        await until(lambda: heard.messages)
    (message,) = heard.messages
    assert (message.text, message.addressed, message.chat) == ("hello @friend", True, place.chat)
    assert (message.chat_name, message.chat_kind, message.guild) == ("general", "guild", str(place.guild.id))
    assert message.sender.id == str(place.owner.id)


async def test_talk_role_mention_reply_and_direct_message():
    heard = Heard()
    async with discord_world() as place:
        channel = channel_for(place, heard)
        async with running(channel):
            role = next(role.id for role in place.guild.roles.values() if role.bot_id == place.bot.id)
            sent = await channel.send(OutboundMessage(place.chat, "I am here", "n1"))
            await place.world.say(place.owner, place.general, "just talking")
            await place.world.say(place.owner, place.general, f"<@&{role}> role")
            await place.world.say(place.owner, place.general, "answer", reply_to=int(sent))
            dm = await place.world.open_dm(place.owner, place.bot)
            await place.world.say(place.owner, dm, "psst")
            await until(lambda: len(heard.messages) == 4)
    by_text = {message.text: message for message in heard.messages}
    assert {text: message.addressed for text, message in by_text.items()} == {
        "just talking": False,
        "role": True,
        "answer": True,
        "psst": True,
    }
    assert by_text["answer"].reply_to == "I am here"
    assert (by_text["psst"].chat_kind, by_text["psst"].guild) == ("dm", "")


async def test_two_bots_do_not_hear_each_other():
    nano, claw = Heard(), Heard()
    async with discord_world() as place:
        one = channel_for(place, nano)
        two = channel_for(place, claw, token=place.world.bot_token(place.other))
        async with running(one), running(two):
            await one.send(OutboundMessage(place.chat, f"<@{place.other.id}> hi", "n1"))
            await place.world.say(place.owner, place.general, "done")
            await until(lambda: nano.texts and claw.texts)
    assert nano.texts == claw.texts == ["done"]


async def test_a_thread_is_a_chat_with_a_parent():
    heard = Heard()
    async with discord_world() as place, running(channel_for(place, heard)):
        thread = await place.world.start_thread(place.owner, place.general, "side talk")
        await place.world.say(place.owner, thread.id, f"<@{place.bot.id}> here")
        await until(lambda: "here" in heard.texts)
    message = heard.messages[-1]
    assert (message.chat_kind, message.chat, message.parent) == ("thread", chat_of(thread.id), place.chat)


async def test_a_burst_keeps_its_order_in_every_chat():
    heard = Heard()
    async with discord_world() as place, running(channel_for(place, heard)):
        for n in range(100):
            await place.world.say(place.owner, place.general, f"g{n}")
            await place.world.say(place.owner, place.lab, f"l{n}")
        await until(lambda: len(heard.messages) == 200)
    for prefix in "gl":
        assert [text for text in heard.texts if text[0] == prefix] == [f"{prefix}{n}" for n in range(100)]


# --- saying ----------------------------------------------------------------------------------------------------------


async def test_the_same_nonce_is_one_message():
    async with discord_world() as place:
        channel = channel_for(place)
        async with running(channel):
            first = await channel.send(OutboundMessage(place.chat, "once", "a" * 24))
            again = await channel.send(OutboundMessage(place.chat, "once", "a" * 24))
            assert first == again
            assert said_by_bot(place) == ["once"]


async def test_edit_delete_react_and_what_is_refused():
    async with discord_world() as place:
        channel = channel_for(place)
        async with running(channel):
            id_ = await channel.send(OutboundMessage(place.chat, "draft", "n1"))
            await channel.edit(place.chat, id_, "final")
            assert said_by_bot(place) == ["final"]
            await channel.react(place.chat, id_, "👍")
            await channel.delete(place.chat, id_)
            await channel.delete(place.chat, id_)
            assert said_by_bot(place) == []
            with pytest.raises(NotFound):
                await channel.edit(place.chat, id_, "too late")
            with pytest.raises(Invalid):
                await channel.send(OutboundMessage(place.chat, "x" * 2001, "n2"))
            with pytest.raises(NotFound):
                await channel.send(OutboundMessage("dc:1", "nowhere", "n3"))
            theirs = await place.world.say(place.owner, place.general, "mine")
            with pytest.raises(Denied):
                await channel.edit(place.chat, str(theirs.id), "not yours")


async def test_a_reply_to_a_deleted_message_is_sent_all_the_same():
    async with discord_world() as place:
        channel = channel_for(place)
        async with running(channel):
            theirs = await place.world.say(place.owner, place.general, "question")
            await place.world.delete(place.owner, place.general, theirs.id)
            await channel.send(OutboundMessage(place.chat, "answer", "n1", reply_to=str(theirs.id)))
        assert said_by_bot(place) == ["answer"]


async def test_model_text_pings_nobody():
    async with discord_world() as place:
        channel = channel_for(place)
        async with running(channel):
            await channel.send(OutboundMessage(place.chat, f"@everyone <@{place.owner.id}>", "n1"))
        (message,) = place.world.state.messages[place.general].values()
        assert not message.mention_everyone
        sent = [seen for seen in place.server.requests if seen.op == "message.create"]
        assert sent[-1].body["allowed_mentions"]["parse"] == []


async def test_typing_is_shown_and_its_failure_does_not_matter():
    async with discord_world(
        fault("typing", status=403, body={"code": 50013, "message": "Missing Permissions"})
    ) as place:
        channel = channel_for(place)
        async with running(channel):
            async with channel.typing(place.chat):
                await until(lambda: place.faults.fired)
            async with channel.typing(place.chat):
                await place.world.wait_for(lambda record: record.kind == "typing", 20)  # shown every 8 s


@pytest.mark.parametrize(
    "trouble",
    [
        fault("message.create", status=503, body={"code": 0, "message": "down"}),
        fault("message.create", "reset"),
        fault("message.create", "reset", applied=True),
        fault("message.create", "edge_page", status=429),
        fault("message.create", "half_body", applied=True),
    ],
    ids=lambda f: f"{f.kind}{'-applied' if f.applied else ''}",
)
async def test_every_message_is_delivered_once_whatever_happens_to_the_call(tmp_path, trouble):
    async with discord_world() as place:
        channel = channel_for(place)
        async with channel_database(tmp_path) as (db, tables), running(channel):
            place.faults.add(trouble)
            with pytest.raises((Unavailable, RateLimited)):
                await channel.send(OutboundMessage(place.chat, "probe", "probe"))
            if trouble.kind == "edge_page":
                return  # the outbox would now wait for a minute
            place.faults.add(trouble)
            outbox = Outbox(db, tables, lambda _chat: channel, backoff=Backoff(0.01, 0.01))
            async with delivering(outbox):
                await outbox.post("run_1", place.chat, "answer")
                await outbox.deliver("run_1", timeout_s=10)
        assert said_by_bot(place).count("answer") == 1


async def test_after_the_nonce_window_history_tells_that_the_message_exists(tmp_path):
    async with discord_world(fault("message.create", "reset", applied=True)) as place:
        channel = channel_for(place)
        async with channel_database(tmp_path) as (db, tables), running(channel):
            outbox = Outbox(db, tables, lambda _chat: channel, backoff=Backoff(0.01, 0.01), nonce_window_s=0)
            async with delivering(outbox):
                await outbox.post("run_1", place.chat, "answer\n```py\nx = 1\n```")
                id_ = await outbox.deliver("run_1", timeout_s=10)
        (message,) = (m for m in place.world.state.messages[place.general].values() if m.author_id == place.bot.id)
        assert str(message.id) == id_
        assert len([seen for seen in place.server.requests if seen.op == "message.create"]) == 1


async def test_a_streamed_answer_ends_whole(tmp_path):
    text = "\n".join(f"line {n} of a long answer" for n in range(150))
    async with discord_world() as place:
        channel = channel_for(place)
        async with channel_database(tmp_path) as (db, tables), running(channel):
            outbox = Outbox(db, tables, lambda _chat: channel)
            async with delivering(outbox), LiveMessage(outbox, "run_1", place.chat, interval_s=0.05) as live:
                for end in (10, 500, 1500, 2500):
                    live.update(text[:end])
                    await asyncio.sleep(0.1)
                for row in await live.finish(text):
                    await outbox.deliver("run_1", row.ordinal, timeout_s=20)
        assert "\n".join(said_by_bot(place)) == text


# --- buttons and commands --------------------------------------------------------------------------------------------


async def test_a_button_works_also_for_the_next_process():
    heard = Heard()
    async with discord_world() as place:
        first = channel_for(place)
        async with running(first):
            buttons = (Button("ok:run_1", "OK", "success"), Button("no:run_1", "No", "danger"))
            id_ = await first.send(OutboundMessage(place.chat, "May I?", "n1", buttons=buttons))
        async with running(channel_for(place, heard)) as _:
            row = place.world.state.messages[place.general][int(id_)].components[0]["components"]
            click = await place.world.click(place.owner, int(id_), row[0]["custom_id"])
            await asyncio.wait_for(click.answered.wait(), 5)
    (press,) = heard.presses
    assert (press.action, press.message, press.chat) == ("ok:run_1", id_, place.chat)
    assert press.sender.id == str(place.owner.id)


async def test_a_slow_press_is_acknowledged_in_time():
    heard = Heard()

    async def slowly(press):
        await asyncio.sleep(2.5)
        heard.presses.append(press)
        return "took a while"

    async with discord_world() as place:
        channel = channel_for(place, handlers=ChannelHandlers(heard.on_message, slowly))
        async with running(channel):
            id_ = await channel.send(OutboundMessage(place.chat, "May I?", "n1", buttons=(Button("a", "A"),)))
            custom_id = place.world.state.messages[place.general][int(id_)].components[0]["components"][0]["custom_id"]
            await place.world.click(place.owner, int(id_), custom_id)
            await until(lambda: [s for s in place.server.requests if s.op == "interaction.callback"])
            assert heard.presses == []
            await until(lambda: heard.presses)
            await until(lambda: [s for s in place.server.requests if s.op == "interaction.followup"])


async def test_a_press_can_open_a_form_and_the_text_comes_back_as_a_press():
    heard = Heard()

    async def pressed(press):
        heard.presses.append(press)
        return Form("e:1", "Edit it", "Text", "old words", 500, "not here") if press.text is None else "kept"

    async with discord_world() as place:
        channel = channel_for(place, handlers=ChannelHandlers(heard.on_message, pressed))
        async with running(channel):
            id_ = await channel.send(OutboundMessage(place.chat, "May I?", "n1", buttons=(Button("e:1", "Edit"),)))
            custom_id = place.world.state.messages[place.general][int(id_)].components[0]["components"][0]["custom_id"]
            click = await place.world.click(place.owner, int(id_), custom_id)
            await asyncio.wait_for(click.answered.wait(), 5)
            assert "old words" in str(click.modal)
            sent = await place.world.submit(place.owner, click.id, {"text": "new words"})
            await asyncio.wait_for(sent.answered.wait(), 5)
    assert [(press.action, press.text, press.message) for press in heard.presses] == [
        ("e:1", None, id_),
        ("e:1", "new words", id_),
    ]


async def test_commands_are_uploaded_once_and_answered(tmp_path):
    heard = Heard()
    async with discord_world() as place, channel_database(tmp_path) as (db, tables):
        handlers = heard.handlers(commands={"status": "How are you?"}, marks=Marks(db, tables))
        for _ in range(2):
            channel = channel_for(place, handlers=handlers)
            async with running(channel):
                interaction = await place.world.slash(
                    place.owner, place.general, place.bot, "status", {"text": "please"}
                )
                await asyncio.wait_for(interaction.answered.wait(), 5)
        uploads = [seen for seen in place.server.requests if seen.op == "commands.put"]
    assert len(uploads) == 1
    assert [(name, message.text, message.chat) for name, message in heard.commands] == [
        ("status", "please", place.chat)
    ] * 2


# --- staying up ------------------------------------------------------------------------------------------------------


async def test_a_cut_connection_is_resumed_and_nothing_is_heard_twice():
    heard = Heard()
    async with discord_world() as place:
        channel = channel_for(place, heard)
        async with running(channel):
            await place.world.say(place.owner, place.general, "before")
            await until(lambda: heard.texts == ["before"])
            cut_connections(place)
            await place.world.say(place.owner, place.general, "meanwhile")
            await until(lambda: len(heard.texts) == 2, timeout_s=15)
            await place.world.say(place.owner, place.general, "after")
            await until(lambda: len(heard.texts) == 3)
            assert channel.status.identifies == 1
    assert heard.texts == ["before", "meanwhile", "after"]


async def test_what_was_written_while_the_process_was_down_is_caught_up_in_order():
    heard = Heard()
    async with discord_world() as place:
        dm = await place.world.open_dm(place.owner, place.bot)
        async with running(channel_for(place, heard)):
            await place.world.say(place.owner, place.general, "one")
            await place.world.say(place.owner, dm, "direct one")
            await until(lambda: len(heard.texts) == 2)
        for n in range(130):
            await place.world.say(place.owner, place.general, f"missed {n}")
        await place.world.say(place.owner, dm, "direct missed")
        await place.world.say(place.owner, place.lab, "in a channel never seen")
        async with running(channel_for(place, heard)):
            await place.world.say(place.owner, place.general, "live")
            await until(lambda: len(heard.texts) >= 135, timeout_s=15)
            await asyncio.sleep(0.05)
    assert sorted(heard.texts) == sorted(
        ["one", "direct one", *(f"missed {n}" for n in range(130)), "direct missed", "in a channel never seen", "live"]
    )
    general = [message.text for message in heard.messages if message.chat == place.chat]
    assert general == ["one", *(f"missed {n}" for n in range(130)), "live"]


async def test_a_first_connection_that_fails_is_tried_again():
    async with discord_world(fault("gateway.connect", "reset"), fault("users.me", status=503)) as place:
        channel = channel_for(place)
        async with running(channel):
            assert channel.status.state == "online"
            assert channel.status.user_id == str(place.bot.id)


async def test_an_absent_server_is_waited_for():
    async with discord_world() as place:
        await place.server.stop()
        channel = channel_for(place)
        async with running(channel, online=False):
            assert not await channel.wait_online(0.3)
            with pytest.raises(Unavailable):
                await channel.send(OutboundMessage(place.chat, "hi", "n1"))
            await place.server.start()
            assert await channel.wait_online(10)


async def test_a_server_that_goes_away_and_comes_back_is_noticed_soon():
    heard = Heard()
    async with discord_world() as place:
        channel = channel_for(place, heard, stall_s=1.5)
        async with running(channel):
            await place.world.say(place.owner, place.general, "before")
            await until(lambda: heard.texts)
            await place.server.stop()
            await until(lambda: channel.status.state != "online")
            await place.world.say(place.owner, place.general, "meanwhile")
            await asyncio.sleep(0.5)
            await place.server.start()
            await until(lambda: len(heard.texts) == 2, timeout_s=15)
    assert heard.texts == ["before", "meanwhile"]


async def test_a_malformed_event_costs_a_restart_and_no_message():
    heard = Heard()
    async with discord_world() as place:
        channel = channel_for(place, heard)
        async with running(channel):
            await place.world.say(place.owner, place.general, "one")
            await until(lambda: heard.texts == ["one"])
            place.faults.add(fault("gateway.dispatch.MESSAGE_CREATE", "malformed"))
            await place.world.say(place.owner, place.general, "two")
            await until(lambda: channel.status.state != "online")
            await place.world.say(place.owner, place.general, "three")
            await until(lambda: heard.texts[-1] == "three", timeout_s=15)
    assert heard.texts == ["one", "two", "three"]


async def test_a_refused_resume_is_caught_up():
    heard = Heard()
    async with discord_world(fault("gateway.resume", "invalid_session", body={"resumable": False})) as place:
        channel = channel_for(place, heard)
        async with running(channel):
            await place.world.say(place.owner, place.general, "one")
            await until(lambda: heard.texts == ["one"])
            cut_connections(place)
            await place.world.say(place.owner, place.general, "two")
            await until(lambda: heard.texts == ["one", "two"], timeout_s=20)
            assert channel.status.identifies == 2


async def test_it_can_be_stopped_at_any_moment_of_connecting():
    async with discord_world() as place:
        for moment_ms in range(25):
            pool = TaskPool("test")
            pool.start(channel_for(place).run(), name="channel")
            await asyncio.sleep(moment_ms / 1000)
            async with asyncio.timeout(5):
                await pool.close()


async def test_a_spent_identify_budget_is_waited_for():
    budget = IdentifyBudget(spacing_s=0)
    for _ in range(5):
        budget.spend()
    async with discord_world() as place:
        channel = channel_for(place, budget=budget)
        async with running(channel, online=False):
            assert not await channel.wait_online(0.3)
            assert channel.status.state == "waiting"
            assert "identified often" in channel.status.reason
            assert channel.status.identifies == 5


async def test_a_malformed_event_at_every_start_does_not_spend_identifies():
    async with discord_world(fault("gateway.dispatch.GUILD_CREATE", "malformed", nth="*")) as place:
        channel = channel_for(place, backoff=Backoff(0.001, 0.001), budget=IdentifyBudget(spacing_s=0))
        async with running(channel, online=False):
            await until(lambda: channel.status.identifies == 5, timeout_s=15)
            await asyncio.sleep(0.3)
            assert channel.status.identifies == 5


async def test_a_stalled_client_is_replaced():
    async with discord_world(fault("gateway.identify", "stall", body={"seconds": 60})) as place:
        channel = channel_for(place, stall_s=0.6)
        async with running(channel, online=False):
            assert await channel.wait_online(20)


async def test_a_wrong_token_is_final_and_says_what_to_do():
    async with discord_world() as place:
        channel = channel_for(place, token="a.b.c")
        async with running(channel, online=False) as task:
            assert not await channel.wait_online(5)
            await asyncio.wait_for(task, 5)
    assert channel.status.state == "failed"
    assert isinstance(channel.status.failure, AuthRequired)
    assert "token" in channel.status.reason
    assert "Fix:" in channel.status.reason


async def test_a_revoked_token_ends_this_bot_and_not_the_other():
    async with discord_world() as place:
        one, two = channel_for(place), channel_for(place, token=place.world.bot_token(place.other))
        async with running(one) as task, running(two):
            place.world.rotate_token(place.bot)
            await asyncio.wait_for(task, 20)
            assert one.status.state == "failed"
            assert isinstance(one.status.failure, AuthRequired)
            assert two.status.state == "online"
            await two.send(OutboundMessage(place.chat, "still here", "n1"))


async def test_a_disallowed_intent_is_final_and_names_it():
    async with discord_world() as place:
        place.bot.intents_allowed = 0
        channel = channel_for(place)
        async with running(channel, online=False) as task:
            await asyncio.wait_for(task, 10)
    assert isinstance(channel.status.failure, ConfigError)
    assert "Message Content Intent" in channel.status.reason


# --- files -----------------------------------------------------------------------------------------------------------


async def test_a_file_is_fetched_within_its_limit():
    from gateway.sandbox.discord.drafts import Upload

    heard = Heard()
    async with discord_world() as place:
        channel = channel_for(place, heard)
        async with running(channel):
            upload = Upload("a.txt", b"hello file", "text/plain")
            await place.world.say(place.owner, place.general, "see", attachments=[upload])
            await until(lambda: heard.messages)
            (file,) = heard.messages[0].attachments
            assert (file.name, file.size_bytes) == ("a.txt", 10)
            assert await channel.fetch_attachment(file, 100) == b"hello file"
            with pytest.raises(Invalid):
                await channel.fetch_attachment(file, 5)


# --- the whole way ---------------------------------------------------------------------------------------------------


async def test_a_question_is_stored_and_answered_once(tmp_path):
    async with discord_world() as place, channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        stored = asyncio.Event()

        async def store(message):
            if await inbox.append(message):
                stored.set()

        channel = channel_for(place, handlers=ChannelHandlers(store, known_chats=inbox.cursors))
        async with running(channel), delivering(Outbox(db, tables, lambda _chat: channel)) as outbox:
            await place.world.say(place.owner, place.general, f"<@{place.bot.id}> question")
            await asyncio.wait_for(stored.wait(), 5)
            (item,) = await inbox.claim(place.chat, run_id="run_1")
            await outbox.post(
                "run_1",
                place.chat,
                f"echo: {item.message.text}",
                reply_to=item.message.id,
                also=inbox.finishing([item.id], run_id="run_1"),
            )
            await outbox.deliver("run_1", timeout_s=10)
        assert said_by_bot(place) == ["echo: question"]
        assert await inbox.counts() == {"done": 1}


async def test_no_token_appears_in_a_log(capfd):
    async with discord_world() as place:
        token = place.world.bot_token(place.bot)
        channel = channel_for(place)
        async with running(channel):
            await channel.send(OutboundMessage(place.chat, "hi", "n1"))
        bad = channel_for(place, token="MTIz.abcdef.thisisnotarealtokenatall")
        async with running(bad, online=False) as task:
            await asyncio.wait_for(task, 5)
    out, err = capfd.readouterr()
    assert token not in out + err
    assert "thisisnotareal" not in out + err
