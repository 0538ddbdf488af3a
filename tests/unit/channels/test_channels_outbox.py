import asyncio
from datetime import UTC, datetime

import pytest

from shared.channels.base import Button, ChannelHandlers, InboundMessage, Sender
from shared.channels.inbox import Inbox
from shared.channels.outbox import Outbox, nonce_for
from shared.clock import FakeClock
from shared.errors import Conflict, DeadlineExceeded, Denied, Invalid, NotFound, RateLimited, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.testing.channel_bed import Fault, MemoryChannel, channel_database, delivering

CHAT = "dc:7"
QUICK = Backoff(base_s=0.001, ceiling_s=0.001)


async def nobody(_message):
    raise AssertionError("nothing is expected here")


def platform(clock=None, **more):
    return MemoryChannel(ChannelHandlers(nobody), clock=clock or FakeClock(), **more)


def running(db, tables, channel, **more):
    return delivering(Outbox(db, tables, lambda _chat: channel, **({"backoff": QUICK} | more)))


async def test_a_message_is_delivered_with_its_own_nonce(tmp_path):
    channel = platform()
    button = Button("ok:1", "OK")
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        row = await outbox.put("run_1", 0, chat=CHAT, text="hi", reply_to="5", buttons=(button,))
        assert row.state == "pending"
        id_ = await outbox.deliver("run_1", timeout_s=5)
    (shown,) = channel.shown
    assert (shown.id, shown.text, shown.reply_to, shown.buttons) == (id_, "hi", "5", (button,))
    assert shown.nonce == nonce_for("run_1", 0)
    assert len(shown.nonce) <= 25


async def test_the_same_key_is_one_message(tmp_path):
    channel = platform()
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        await outbox.put("run_1", 0, chat=CHAT, text="first wording")
        await outbox.deliver("run_1")
        row = await outbox.put("run_1", 0, chat=CHAT, text="second wording")
        assert (row.state, row.text) == ("sent", "first wording")
        assert await outbox.deliver("run_1") == row.message_id
    assert channel.texts(CHAT) == ["first wording"]


async def test_a_retold_answer_adds_no_parts_to_the_first(tmp_path):
    channel = platform()
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        await outbox.post("run_1", CHAT, "short")
        await outbox.post("run_1", CHAT, "long " * 1000)
        await outbox.flush(5)
    assert channel.texts(CHAT) == ["short"]


async def test_a_long_answer_goes_out_in_order(tmp_path):
    channel = platform()
    text = "\n\n".join(f"paragraph {n} " + "word " * 60 for n in range(20))
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        rows = await outbox.post("run_1", CHAT, text, reply_to="5", buttons=(Button("a", "A"),))
        assert await outbox.flush(5)
    assert len(rows) > 2
    assert " ".join(channel.texts(CHAT)).split() == text.split()
    assert [bool(shown.reply_to) for shown in channel.shown] == [True] + [False] * (len(rows) - 1)
    assert [bool(shown.buttons) for shown in channel.shown] == [False] * (len(rows) - 1) + [True]


@pytest.mark.parametrize("applied", [False, True])
async def test_a_lost_answer_gives_one_message(tmp_path, applied):
    channel = platform()
    channel.faults = [Fault("send", Unavailable("cut"), applied=applied)]
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        await outbox.put("run_1", 0, chat=CHAT, text="hi")
        await outbox.deliver("run_1", timeout_s=5)
    assert channel.texts(CHAT) == ["hi"]
    assert len([call for call in channel.calls if call[0] == "send"]) == 2


@pytest.mark.parametrize("applied", [False, True])
async def test_after_the_nonce_window_the_history_is_asked_first(tmp_path, applied):
    clock = FakeClock()
    channel = platform(clock, nonce_memory_s=60)
    channel.faults = [Fault("send", Unavailable("cut"), applied=applied)]
    async with channel_database(tmp_path) as (db, tables):
        slow = Backoff(base_s=500, ceiling_s=500)
        async with running(db, tables, channel, clock=clock, backoff=slow) as outbox:
            await outbox.put("run_0", 0, chat="dc:8", text="hi")
            await outbox.put("run_1", 0, chat=CHAT, text="hi")
            while (await outbox.pending())[-1].next_try_at is None:
                await asyncio.sleep(0.001)
        clock.advance(600)
        async with running(db, tables, channel, clock=clock) as outbox:
            await outbox.deliver("run_0", timeout_s=5)
            await outbox.deliver("run_1", timeout_s=5)
    assert [shown.text for shown in channel.shown] == ["hi", "hi"]
    assert {shown.chat for shown in channel.shown} == {CHAT, "dc:8"}
    assert any(call[0] == "history" for call in channel.calls)


async def test_what_is_stored_is_sent_by_the_next_process(tmp_path):
    channel = platform()
    async with channel_database(tmp_path) as (db, tables):
        outbox = Outbox(db, tables, lambda _chat: channel)
        await outbox.put("run_1", 0, chat=CHAT, text="written, not sent")
    assert channel.shown == []
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        await outbox.deliver("run_1", timeout_s=5)
    assert channel.texts(CHAT) == ["written, not sent"]


async def test_being_offline_costs_no_tries(tmp_path):
    channel = platform()
    channel.set_online(online=False)
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        await outbox.put("run_1", 0, chat=CHAT, text="hi")
        with pytest.raises(DeadlineExceeded):
            await outbox.deliver("run_1", timeout_s=0.05)
        channel.set_online(online=True)
        await outbox.deliver("run_1", timeout_s=5)
    assert channel.calls == [("send", "hi")]


async def test_a_stuck_message_holds_back_its_own_chat_only(tmp_path):
    channel = platform()
    channel.faults = [Fault("send", Unavailable("cut"))]
    patient = Backoff(0.05, 0.05)
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel, backoff=patient) as outbox:
        await outbox.put("run_1", 0, chat=CHAT, text="one")
        await outbox.put("run_2", 0, chat=CHAT, text="two")
        await outbox.put("run_3", 0, chat="dc:8", text="elsewhere")
        await outbox.deliver("run_2", timeout_s=5)
    assert channel.texts(CHAT) == ["one", "two"]
    assert channel.shown[0].chat == "dc:8"


async def test_a_refused_message_is_visible_and_does_not_block(tmp_path):
    channel = platform()
    channel.faults = [Fault("send", Denied("no permission to write in this channel"))]
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        await outbox.put("run_1", 0, chat=CHAT, text="one")
        await outbox.put("run_2", 0, chat=CHAT, text="two")
        with pytest.raises(Unavailable, match="no permission") as caught:
            await outbox.deliver("run_1", timeout_s=5)
        assert (caught.value.code, caught.value.retryable) == ("outbox.failed", False)
        await outbox.deliver("run_2", timeout_s=5)
        (letter,) = await outbox.dead_letters()
        assert (letter.key, letter.state) == ("run_1", "failed")
        await outbox.requeue(letter.id)
        await outbox.deliver("run_1", timeout_s=5)
        with pytest.raises(Conflict):
            await outbox.requeue(letter.id)
    assert channel.texts(CHAT) == ["two", "one"]


async def test_a_message_is_given_up_after_the_last_try(tmp_path):
    channel = platform()
    channel.faults = [Fault("send", Unavailable("cut"))] * 3
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel, max_attempts=3) as outbox:
        await outbox.put("run_1", 0, chat=CHAT, text="one")
        with pytest.raises(Unavailable, match="given up after 3 tries: cut"):
            await outbox.deliver("run_1", timeout_s=5)
        assert await outbox.counts() == {"dead": 1}


async def test_a_defect_in_a_channel_does_not_end_delivery(tmp_path):
    channel = platform()
    channel.faults = [Fault("send", RuntimeError("a defect"))]
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        await outbox.put("run_1", 0, chat=CHAT, text="one")
        await outbox.deliver("run_1", timeout_s=5)
    assert channel.texts(CHAT) == ["one"]


async def test_rate_limits_do_not_count_as_tries(tmp_path):
    channel = platform()
    channel.faults = [Fault("send", RateLimited("slowly", retry_after_s=0.001))] * 5
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel, max_attempts=2) as outbox:
        await outbox.put("run_1", 0, chat=CHAT, text="one")
        await outbox.deliver("run_1", timeout_s=5)
    assert channel.texts(CHAT) == ["one"]


async def test_answer_and_mark_become_durable_together(tmp_path):
    channel = platform()
    question = InboundMessage(
        CHAT,
        "general",
        "guild",
        "1",
        Sender("2", "owner"),
        "?",
        addressed=True,
        sent_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        inbox = Inbox(db, tables)
        await inbox.append(question)
        (item,) = await inbox.claim(CHAT, run_id="run_1")

        def fails(_connection):
            raise Invalid("the second half of the transaction fails")

        with pytest.raises(Invalid):
            await outbox.post("run_1", CHAT, "answer", also=fails)
        assert await outbox.rows("run_1") == []
        await outbox.post("run_1", CHAT, "answer", also=inbox.finishing([item.id], run_id="run_1"))
        assert (await inbox.item(item.id)).state == "done"
        await outbox.deliver("run_1", timeout_s=5)
    assert channel.texts(CHAT) == ["answer"]


async def test_what_is_withdrawn_is_taken_back_or_never_sent_and_is_no_dead_letter(tmp_path):
    channel = platform()
    async with channel_database(tmp_path) as (db, tables):
        outbox = Outbox(db, tables, lambda _chat: channel, backoff=QUICK)
        await outbox.post("note_1", CHAT, "never sent")
        assert await outbox.shown_keys("note_") == ["note_1"]
        await outbox.withdraw("note_1")
        async with delivering(outbox):
            await outbox.post("note_2", CHAT, "sent")
            await outbox.post("other_3", CHAT, "stays")
            await outbox.deliver("other_3", timeout_s=5)
            assert channel.texts(CHAT) == ["sent", "stays"]
            assert await outbox.shown_keys("note_") == ["note_2"]
            await outbox.withdraw("note_2")
            assert await outbox.flush(5)
            assert channel.texts(CHAT) == ["stays"]
            assert await outbox.shown_keys("note_") == []
            assert await outbox.dead_letters() == []


async def test_a_clock_that_is_set_back_holds_nothing_up_for_longer_than_the_longest_wait(tmp_path):
    clock, channel = FakeClock(), platform()
    channel.faults = [Fault("send", Unavailable("no answer"))]
    slow = Backoff(base_s=3600, ceiling_s=3600)  # the clock stands still: to it, the next try is never due
    async with (
        channel_database(tmp_path) as (db, tables),
        running(db, tables, channel, clock=clock, backoff=slow, longest_wait_s=0.05) as outbox,
    ):
        await outbox.post("run_1", CHAT, "hello")
        assert await outbox.deliver("run_1", timeout_s=5)
    assert channel.texts(CHAT) == ["hello"]


async def test_a_clock_that_was_set_back_makes_no_second_message(tmp_path):
    clock = FakeClock()
    channel = platform(clock, nonce_memory_s=60)
    channel.faults = [Fault("send", Unavailable("cut"), applied=True)]
    async with channel_database(tmp_path) as (db, tables):
        slow = Backoff(base_s=500, ceiling_s=500)
        async with running(db, tables, channel, clock=clock, backoff=slow) as outbox:
            await outbox.put("run_1", 0, chat=CHAT, text="hi")
            while (await outbox.pending())[-1].next_try_at is None:
                await asyncio.sleep(0.001)
        # The platform forgot the nonce meanwhile, and our wall clock was set back by more than that took.

        clock.advance(600)
        ours = FakeClock()
        ours.advance(-3600)
        async with running(db, tables, channel, clock=ours, longest_wait_s=0.01) as outbox:
            await outbox.deliver("run_1", timeout_s=5)
    assert channel.texts(CHAT) == ["hi"]
    assert any(call[0] == "history" for call in channel.calls)


async def test_an_edit_of_a_message_that_somebody_deleted_posts_it_anew_once(tmp_path):
    channel = platform()
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        await outbox.put("run_1", 0, chat=CHAT, text="So far")
        first = await outbox.deliver("run_1", timeout_s=5)
        await channel.delete(CHAT, first)
        channel.faults = [Fault("edit", NotFound("Unknown Message")), Fault("send", Unavailable("cut"), applied=True)]
        await outbox.rewrite("run_1", outbox.drafts("run_1", CHAT, "The whole answer"), shown={})
        second = await outbox.deliver("run_1", timeout_s=5)
        assert await outbox.dead_letters() == []
    assert second != first
    assert channel.texts(CHAT) == ["The whole answer"]


async def test_a_requeued_dead_letter_whose_message_somebody_deleted_is_posted_anew_once(tmp_path):
    channel = platform()
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        await outbox.put("run_1", 0, chat=CHAT, text="So far")
        first = await outbox.deliver("run_1", timeout_s=5)
        channel.faults = [Fault("edit", Denied("no permission to write in this channel"))]
        await outbox.rewrite("run_1", outbox.drafts("run_1", CHAT, "The whole answer"), shown={})
        with pytest.raises(Unavailable, match="no permission"):
            await outbox.deliver("run_1", timeout_s=5)
        (letter,) = await outbox.dead_letters()
        await channel.delete(CHAT, first)
        await outbox.requeue(letter.id)
        second = await outbox.deliver("run_1", timeout_s=5)
        assert await outbox.dead_letters() == []
    assert second != first
    assert channel.texts(CHAT) == ["The whole answer"]
