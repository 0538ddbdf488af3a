import asyncio

from shared.channels.base import Button, ChannelHandlers
from shared.channels.live import LiveMessage
from shared.channels.outbox import Outbox
from shared.clock import FakeClock
from shared.errors import RateLimited, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.testing.channel_bed import Fault, MemoryChannel, channel_database, delivering
from shared.testing.waiting import until

CHAT = "dc:7"


async def nobody(_message):
    raise AssertionError("nothing is expected here")


def platform():
    return MemoryChannel(ChannelHandlers(nobody), clock=FakeClock())


def running(db, tables, channel):
    return delivering(Outbox(db, tables, lambda _chat: channel, backoff=Backoff(0.001, 0.001)))


async def settle(outbox, key):
    for row in await outbox.rows(key):
        if row.text:
            await outbox.deliver(key, row.ordinal, timeout_s=5)
    assert await outbox.flush(5)


async def test_it_posts_once_and_then_edits(tmp_path):
    channel = platform()
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        async with LiveMessage(outbox, "run_1", CHAT, reply_to="5", interval_s=0.02) as live:
            live.update("Hel")
            await until(lambda: channel.texts(CHAT) == ["Hel"])
            for text in ("Hello", "Hello w", "Hello wor"):
                live.update(text)
            await until(lambda: channel.texts(CHAT) == ["Hello wor"])
            await live.finish("Hello world", buttons=(Button("a", "A"),))
        await settle(outbox, "run_1")
    (shown,) = channel.shown
    assert (shown.text, shown.reply_to, [button.action for button in shown.buttons]) == ("Hello world", "5", ["a"])
    assert channel.calls == [("send", "Hel"), ("edit", "Hello wor"), ("edit", "Hello world")]


async def test_a_final_text_that_is_shown_already_needs_no_call(tmp_path):
    channel = platform()
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        async with LiveMessage(outbox, "run_1", CHAT, interval_s=0.001) as live:
            live.update("done")
            await until(lambda: live.is_visible)
            rows = await live.finish("done")
        assert [row.state for row in rows] == ["sent"]
    assert channel.calls == [("send", "done")]


async def test_a_growing_text_overflows_into_further_messages(tmp_path):
    channel = platform()
    text = "\n".join(f"line {n} of the answer" for n in range(300))
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        async with LiveMessage(outbox, "run_1", CHAT, interval_s=0.001) as live:
            for end in range(0, len(text), 700):
                live.update(text[:end])
                await asyncio.sleep(0.002)
            await live.finish(text)
        await settle(outbox, "run_1")
    assert "\n".join(channel.texts(CHAT)) == text
    assert len(channel.texts(CHAT)) > 2


async def test_a_shorter_final_text_takes_the_rest_back(tmp_path):
    channel = platform()
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        async with LiveMessage(outbox, "run_1", CHAT, interval_s=0.001) as live:
            live.update("word " * 900)
            await until(lambda: len(channel.texts(CHAT)) == 3)
            await live.finish("Sorry, that went wrong (run_1).")
        await settle(outbox, "run_1")
        assert await outbox.dead_letters() == []
    assert channel.texts(CHAT) == ["Sorry, that went wrong (run_1)."]


async def test_trouble_while_streaming_does_not_touch_the_final_text(tmp_path):
    channel = platform()
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        async with LiveMessage(outbox, "run_1", CHAT, interval_s=0.001) as live:
            live.update("a")
            await until(lambda: live.is_visible)
            channel.faults = [
                Fault("edit", Unavailable("cut"), applied=True),
                Fault("edit", RateLimited("slowly", retry_after_s=0.001)),
                Fault("edit", Unavailable("cut")),
            ]
            for text in ("ab", "abc", "abcd"):
                live.update(text)
                await asyncio.sleep(0.005)
            await live.finish("abcde")
        await settle(outbox, "run_1")
    assert channel.texts(CHAT) == ["abcde"]


async def test_an_answer_cut_by_a_crash_is_continued_in_the_same_message(tmp_path):
    channel = platform()
    async with channel_database(tmp_path) as (db, tables):
        async with running(db, tables, channel) as outbox, LiveMessage(outbox, "run_1", CHAT) as live:
            live.update("half an ans")
            await until(lambda: live.is_visible)
        async with running(db, tables, channel) as outbox:
            async with LiveMessage(outbox, "run_1", CHAT, interval_s=0.001) as live:
                assert live.is_visible
                live.update("another")
                await until(lambda: channel.texts(CHAT) == ["another"])
                await live.finish("another wording")
            await settle(outbox, "run_1")
    assert channel.texts(CHAT) == ["another wording"]


async def test_an_outage_in_the_first_post_ends_in_one_message_with_the_final_text(tmp_path):
    channel = platform()
    channel.faults = [Fault("send", Unavailable("cut"), applied=True)]
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        async with LiveMessage(outbox, "run_1", CHAT, interval_s=0.001) as live:
            live.update("par")
            await asyncio.sleep(0.005)
            await live.finish("partial no more")
        await settle(outbox, "run_1")
    assert channel.texts(CHAT) == ["partial no more"]


async def test_buttons_are_not_lost_when_the_first_post_was_in_doubt(tmp_path):
    channel = platform()
    channel.faults = [Fault("send", Unavailable("cut"), applied=True)]
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        async with LiveMessage(outbox, "run_1", CHAT, interval_s=0.001) as live:
            live.update("same")
            await until(lambda: channel.shown)
            await live.finish("same", buttons=(Button("a", "A"),))
        await settle(outbox, "run_1")
    (shown,) = channel.shown
    assert (shown.text, [button.action for button in shown.buttons]) == ("same", ["a"])


async def test_finishing_does_not_wait_for_an_absent_platform(tmp_path):
    channel = platform()
    channel.set_online(online=False)
    async with channel_database(tmp_path) as (db, tables), running(db, tables, channel) as outbox:
        async with LiveMessage(outbox, "run_1", CHAT, interval_s=0.001) as live:
            live.update("draft")
            await asyncio.sleep(0.01)
            async with asyncio.timeout(1):
                await live.finish("final")
        channel.set_online(online=True)
        await settle(outbox, "run_1")
    assert channel.texts(CHAT) == ["final"]
