from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.channels.base import Attachment, InboundMessage, Sender
from shared.channels.inbox import Inbox
from shared.testing.channel_bed import channel_database

CHAT = "dc:7"


def message(text="hello", id_="1", **more):
    sent_at = datetime(2026, 1, 1, tzinfo=UTC)
    return InboundMessage(
        CHAT, "general", "guild", id_, Sender("200", "owner"), text, **({"addressed": False} | more), sent_at=sent_at
    )


async def test_a_waiting_message_reads_as_edited_and_goes_on_waiting(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(message("helo", reply_to="what?", reply_to_sender="bot"))
        # An edit may come without the message it replies to, and so without a call.
        assert await inbox.edit(message("hello"), wanted="context", reason="not called") == "updated"
        (item,) = await inbox.claim(CHAT)
    assert (item.message.text, item.message.reply_to, item.message.reply_to_sender) == ("hello", "what?", "bot")


@pytest.mark.parametrize("state", ["context", "ignored"])
async def test_background_that_calls_by_an_edit_is_opened_once(tmp_path, state):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(message("hello"), state=state, reason="not called")
        called = message("@J hello", addressed=True)
        assert await inbox.edit(called, wanted="new", reason="edited: called") == "opened"
        assert await inbox.edit(called, wanted="new", reason="edited: called") == "updated"
        (item,) = await inbox.claim(CHAT, run_id="run_1")
        assert (item.message, item.reason, item.run_id) == (called, "edited: called", "run_1")


async def test_background_stays_background_without_a_call_or_without_a_change(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(message("hello", addressed=True), state="ignored", reason="the chat is not registered")
        assert await inbox.edit(message("hello!"), wanted="ignored", reason="x") == "updated"
        # The chat was registered since; what was said before is not answered for a preview or a pin.
        assert await inbox.edit(message("hello!"), wanted="new", reason="x") == "updated"
        assert await inbox.counts() == {"ignored": 1}


async def test_context_an_answer_took_along_is_opened_too(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(message("background"), state="context")
        await inbox.append(message("question", "2", addressed=True))
        items = await inbox.claim(CHAT, run_id="run_1")
        await inbox.finish([items[-1].id], run_id="run_1")
        await inbox.use_context(CHAT, up_to=items[-1].id, run_id="run_1")
        assert await inbox.edit(message("@J background", addressed=True), wanted="new", reason="called") == "opened"
        (item,) = await inbox.claim(CHAT, run_id="run_2")
    assert (item.message.text, item.run_id) == ("@J background", "run_2")


async def test_what_is_being_answered_or_was_stays_as_it_is(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(message("question", addressed=True))
        (item,) = await inbox.claim(CHAT)
        changed = message("other", addressed=True)
        for _ in range(2):
            assert await inbox.edit(changed, wanted="new", reason="x") == "late"
            assert await inbox.take_back(CHAT, "1") is None
            assert (await inbox.item(item.id)).message.text == "question"
            await inbox.finish([item.id], run_id="run_1")
        assert await inbox.edit(message("never seen", "99"), wanted="new", reason="x") == "unknown"
        assert await inbox.take_back(CHAT, "99") is None


@pytest.mark.parametrize("state", ["new", "context"])
async def test_a_message_taken_back_is_neither_answered_nor_shown(tmp_path, state):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(message("oops"), state=state)
        item = await inbox.take_back(CHAT, "1")
        assert (item.state, item.reason) == ("ignored", "taken back by its author")
        await inbox.append(message("question", "2", addressed=True))
        assert [claimed.message.text for claimed in await inbox.claim(CHAT)] == ["question"]
        # History may bring it once more, and an edit may have been under way.
        assert not await inbox.append(message("oops"))
        assert await inbox.edit(message("@J oops", addressed=True), wanted="new", reason="x") == "late"


async def test_what_became_of_files_is_remembered_over_edits(tmp_path):
    files = tuple(Attachment(str(n), f"{n}.txt", "text/plain", 1, "http://127.0.0.1/") for n in range(3))
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(message("see", attachments=files))
        fates = [replace(files[0], path="attachments/1/0.txt"), replace(files[1], problem="too large")]
        noted = await inbox.note_attachments(CHAT, "1", fates)
        assert [(file.path, file.problem) for file in noted.attachments] == [
            ("attachments/1/0.txt", ""),
            ("", "too large"),
            ("", ""),
        ]
        await inbox.edit(message("look", attachments=files[:2]), wanted="new", reason="x")
        (item,) = await inbox.claim(CHAT)
        assert (item.message.text, item.message.attachments) == ("look", tuple(fates))
        assert await inbox.note_attachments(CHAT, "99", fates) is None


async def test_open_chats_know_the_channel_of_a_thread(tmp_path):
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables)
        await inbox.append(replace(message(), chat="dc:8", chat_kind="thread", parent=CHAT, parent_name="general"))
        await inbox.append(message("other", "2"))
        assert [(found.chat, found.parent, found.count) for found in await inbox.open_chats()] == [
            ("dc:8", CHAT, 1),
            (CHAT, "", 1),
        ]
        (item,) = await inbox.waiting("dc:8")
        assert (item.message.parent_name, item.state) == ("general", "new")
