from datetime import UTC, datetime

import pytest

from shared.channels.base import Attachment, InboundMessage, Sender
from shared.channels.inbox import Inbox
from shared.clock import FakeClock
from shared.errors import Conflict
from shared.testing.channel_bed import channel_database

CHAT = "dc:7"


def message(id_, text="hello", *, chat=CHAT, **more):
    return InboundMessage(
        chat=chat,
        chat_name="general",
        chat_kind="guild",
        id=str(id_),
        sender=Sender("200", "owner"),
        text=text,
        addressed=True,
        sent_at=datetime(2026, 1, 1, tzinfo=UTC),
        guild="1",
        **more,
    )


async def test_a_message_comes_back_as_it_went_in(tmp_path):
    file = Attachment("9", "a.png", "image/png", 12, "http://127.0.0.1/a.png")
    original = message(5, "안녕 👋", attachments=(file,), reply_to="before", reply_to_sender="friend", parent="dc:1")
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables, FakeClock())
        assert await inbox.append(original)
        (item,) = await inbox.claim(CHAT, run_id="run_1")
    assert item.message == original
    assert (item.attempts, item.run_id, item.state) == (1, "run_1", "claimed")


async def test_the_same_message_is_stored_once(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        assert await inbox.append(message(5))
        assert not await inbox.append(message(5, "again"))
        assert [item.message.text for item in await inbox.claim(CHAT)] == ["hello"]


async def test_the_cursor_follows_the_newest_message_only(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        for id_ in (99, 100, 98):
            await inbox.append(message(id_))
        await inbox.append(message(3, chat="dc:8"))
        assert await inbox.cursors() == {CHAT: "100", "dc:8": "3"}
        assert await inbox.cursors("sl") == {}


async def test_one_due_message_takes_the_waiting_ones_along_in_order(tmp_path):
    clock = FakeClock()
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables, clock)
        await inbox.append(message(1))
        (first,) = await inbox.claim(CHAT, run_id="run_1")
        await inbox.retry([first.id], 30)
        assert await inbox.claim(CHAT) == []
        (open_chat,) = await inbox.open_chats()
        assert (open_chat.due_at - clock.now()).total_seconds() == 30
        await inbox.append(message(2))
        again = await inbox.claim(CHAT, run_id="run_2")
        assert [(item.message.id, item.attempts, item.run_id) for item in again] == [
            ("1", 2, "run_1"),
            ("2", 1, "run_2"),
        ]


async def test_a_retry_becomes_due(tmp_path):
    clock = FakeClock()
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables, clock)
        await inbox.append(message(1))
        await inbox.claim(CHAT)
        await inbox.retry([1], 30)
        clock.advance(31)
        assert [item.attempts for item in await inbox.claim(CHAT)] == [2]


async def test_context_comes_along_with_the_next_request_until_it_is_used(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(message(1, "chatter"), state="context", reason="no mention")
        assert await inbox.open_chats() == []
        await inbox.append(message(2, "question"))
        items = await inbox.claim(CHAT, run_id="run_1")
        assert [(item.message.text, item.context) for item in items] == [("chatter", True), ("question", False)]
        await inbox.use_context(CHAT, up_to=items[-1].id, run_id="run_1")
        await inbox.finish([items[-1].id], run_id="run_1")
        await inbox.append(message(3, "next"))
        assert [item.message.text for item in await inbox.claim(CHAT)] == ["next"]


async def test_chats_are_served_longest_waiting_first(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(message(1, chat="dc:9"))
        await inbox.append(message(2, chat="dc:1"))
        await inbox.append(message(3, chat="dc:9"))
        assert [(c.chat, c.count) for c in await inbox.open_chats()] == [("dc:9", 2), ("dc:1", 1)]


async def test_what_a_dead_process_had_taken_is_open_again(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        await Inbox(db, tables).append(message(1))
        await Inbox(db, tables).claim(CHAT, run_id="run_1")
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        assert await inbox.claim(CHAT) == []
        assert await inbox.reset_claims() == 1
        (item,) = await inbox.claim(CHAT, run_id="run_2")
        assert (item.run_id, item.attempts) == ("run_1", 2)


async def test_a_dead_letter_is_listed_with_its_reason_and_can_be_requeued(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(message(1))
        (item,) = await inbox.claim(CHAT, run_id="run_1")
        await inbox.bury([item.id], "the worker died five times")
        assert [letter.reason for letter in await inbox.dead_letters()] == ["the worker died five times"]
        assert (await inbox.requeue(item.id)).state == "new"
        with pytest.raises(Conflict):
            await inbox.requeue(item.id)
        assert [item.run_id for item in await inbox.claim(CHAT, run_id="run_2")] == ["run_2"]


async def test_every_message_ends_in_a_state_with_a_reason(tmp_path):
    clock = FakeClock()
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables, clock)
        for id_ in (1, 2, 3):
            await inbox.append(message(id_))
        await inbox.ignore(1, "written by a stranger")
        await inbox.finish([2], run_id="run_1")
        await inbox.bury([3], "given up")
        states = [await inbox.item(id_) for id_ in (1, 2, 3)]
        assert [(item.state, item.reason) for item in states] == [
            ("ignored", "written by a stranger"),
            ("done", "answered"),
            ("dead", "given up"),
        ]
        assert await inbox.counts() == {"ignored": 1, "done": 1, "dead": 1}
        clock.advance(100)
        assert await inbox.prune(older_than_s=50) == 2
        assert await inbox.counts() == {"dead": 1}


async def test_a_scheduled_prompt_is_a_batch_of_its_own_and_order_is_kept(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables, FakeClock())
        await inbox.append(message(1, "a"))
        await inbox.append(message(2, "b"), state="context")
        await inbox.append(message(3, "c"))
        await inbox.append(message("task:t.1", "tick", task_run="t.1"))
        await inbox.append(message("task:u.1", "tock", task_run="u.1"))
        await inbox.append(message(4, "d"), state="context")
        await inbox.append(message(5, "e"))
        batches = []
        while items := await inbox.claim(CHAT):
            batches.append([item.message.text for item in items])
            await inbox.finish([item.id for item in items if not item.context], run_id="r")
            await inbox.use_context(CHAT, up_to=items[-1].id, run_id="r")
            assert await inbox.is_open(CHAT) == (len(batches) < 4)
    assert batches == [["a", "b", "c"], ["tick"], ["tock"], ["d", "e"]]


async def test_a_scheduled_prompt_leaves_the_chats_cursor_alone(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables, FakeClock())
        await inbox.append(message(99))
        await inbox.append(message("task:t.1", task_run="t.1"))
        await inbox.append(message("task:t.1", chat="dc:8", task_run="t.1"))
        assert await inbox.cursors() == {CHAT: "99"}


async def test_messages_behind_a_prompt_that_waits_for_its_next_try_do_not_overtake_it(tmp_path):
    clock = FakeClock()
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables, clock)
        await inbox.append(message("task:t.1", "tick", task_run="t.1"))
        (item,) = await inbox.claim(CHAT, run_id="run_1")
        await inbox.retry([item.id], 60)
        assert await inbox.claim(CHAT) == []
        await inbox.append(message(5, "hello"))
        (again,) = await inbox.claim(CHAT, run_id="run_2")
    assert (again.message.text, again.run_id, again.attempts) == ("tick", "run_1", 2)


async def test_what_is_given_back_was_not_tried(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(message(1))
        (item,) = await inbox.claim(CHAT, run_id="run_1")
        await inbox.give_back([item.id], reason="no place")
        assert await inbox.count_waiting(CHAT) == 1
        (again,) = await inbox.claim(CHAT, run_id="run_2")
        assert (again.attempts, again.run_id) == (1, "run_1")
        assert await inbox.count_waiting(CHAT) == 0


async def test_claims_that_go_on_are_kept_when_the_others_are_opened(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        for id_, chat in ((1, CHAT), (2, "dc:8")):
            await inbox.append(message(id_, chat=chat))
        (kept,) = await inbox.claim(CHAT)
        await inbox.claim("dc:8")
        assert await inbox.reset_claims(keep=[kept.id]) == 1
        assert [item.state for item in await inbox.items([kept.id, 2, 99])] == ["claimed", "new"]


async def test_a_stop_settles_what_waits_and_what_runs_and_leaves_answers_and_other_chats(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        for id_, chat in ((1, CHAT), (2, CHAT), (3, "dc:8")):
            await inbox.append(message(id_, chat=chat))
        first, second = await inbox.claim(CHAT)
        await inbox.finish([first.id], run_id="run_1")
        await inbox.append(message(4))
        await db.write(inbox.stopping([CHAT], "stopped by ann", states=["new"]))
        assert (await inbox.item(second.id)).state == "claimed"
        await db.write(inbox.stopping([CHAT], "stopped by ann", states=["new", "claimed"]))
        found = {item.message.id: (item.state, item.reason) for item in await inbox.items([1, 2, 3, 4])}
    assert found == {
        "1": ("done", "answered"),
        "2": ("done", "stopped by ann"),
        "3": ("new", ""),
        "4": ("done", "stopped by ann"),
    }


async def test_who_waited_by_a_clock_that_does_not_jump_may_take_what_is_not_due(tmp_path):
    clock = FakeClock()
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables, clock)
        await inbox.append(message(1))
        (item,) = await inbox.claim(CHAT)
        await inbox.retry([item.id], 3600)
        assert await inbox.claim(CHAT) == []
        assert len(await inbox.claim(CHAT, even_if_early=True)) == 1
