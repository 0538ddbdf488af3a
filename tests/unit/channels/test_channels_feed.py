import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from shared.channels.base import ChannelHandlers, InboundMessage, Sender
from shared.channels.feed import Feed
from shared.errors import Denied, Unavailable
from shared.lifecycle.tasks import TaskPool
from shared.testing.waiting import until


def message(id_, chat="dc:1"):
    sent_at = datetime(2026, 1, 1, tzinfo=UTC)
    return InboundMessage(chat, "c", "guild", str(id_), Sender("2", "o"), str(id_), addressed=True, sent_at=sent_at)


class Platform:
    """A history, and a tenant that notes what it gets."""

    def __init__(self, *history, known=None):
        self.histories = list(history)
        self.known = known or {}
        self.got = []
        self.asked = []
        self.troubles = []
        self.tenant_troubles = []

    async def known_chats(self):
        return dict(self.known)

    async def on_message(self, inbound):
        await asyncio.sleep(0)
        if self.tenant_troubles:
            raise self.tenant_troubles.pop()
        self.got.append(inbound.id)

    async def on_edit(self, inbound):
        self.got.append(f"edit {inbound.id}")

    async def on_delete(self, _chat, id_):
        self.got.append(f"delete {id_}")

    async def fetch(self, chat, after):
        self.asked.append((chat, after))
        for inbound in self.histories:
            if inbound.chat == chat and int(inbound.id) > int(after):
                yield inbound
                if self.troubles:
                    raise self.troubles.pop()


@asynccontextmanager
async def feeding(platform):
    pool = TaskPool("test")
    handlers = ChannelHandlers(
        platform.on_message, on_edit=platform.on_edit, on_delete=platform.on_delete, known_chats=platform.known_chats
    )
    try:
        yield Feed(handlers, platform.fetch, pool, name="test")
    finally:
        await pool.close()


async def test_what_was_missed_comes_before_what_is_live():
    platform = Platform(message(6), message(7), known={"dc:1": "5"})
    async with feeding(platform) as feed:
        feed.begin_session()
        feed.push(message(8))
        await until(lambda: len(platform.got) == 3)
    assert platform.got == ["6", "7", "8"]
    assert platform.asked == [("dc:1", "5")]


async def test_what_history_and_the_live_stream_both_have_comes_once():
    platform = Platform(message(6), message(8), known={"dc:1": "5"})
    async with feeding(platform) as feed:
        feed.begin_session()
        feed.push(message(8))
        feed.push(message(9))
        await until(lambda: "9" in platform.got)
    assert platform.got == ["6", "8", "9"]


async def test_a_first_start_asks_for_no_history():
    platform = Platform(message(1))
    async with feeding(platform) as feed:
        feed.begin_session()
        feed.push(message(8))
        await until(lambda: platform.got)
    assert platform.asked == []


async def test_a_chat_never_seen_is_caught_up_from_the_newest_stored_message():
    platform = Platform(message(9, "dc:2"), known={"dc:1": "5"})
    async with feeding(platform) as feed:
        feed.begin_session()
        feed.push(message(10, "dc:2"))
        await until(lambda: len(platform.got) == 2)
    assert platform.got == ["9", "10"]
    assert ("dc:2", "5") in platform.asked


async def test_a_broken_history_is_read_on_from_where_it_broke():
    platform = Platform(message(6), message(7), known={"dc:1": "5"})
    platform.troubles = [Unavailable("cut")]
    async with feeding(platform) as feed:
        feed.begin_session()
        feed.push(message(8))
        await until(lambda: len(platform.asked) == 1)
        await asyncio.sleep(0.01)
        assert platform.got == ["6"]
        feed.begin_session()
        await until(lambda: platform.got[-1] == "8")
    # the second session starts from the stored cursor, which the tenant's dedup makes harmless
    assert platform.got[-2:] == ["7", "8"]


async def test_a_chat_we_may_not_read_does_not_hold_back_live_messages():
    platform = Platform(message(6), known={"dc:1": "5"})
    platform.troubles = [Denied("no access")]
    async with feeding(platform) as feed:
        feed.begin_session()
        feed.push(message(8))
        await until(lambda: "8" in platform.got)


async def test_a_failing_store_delays_but_loses_nothing():
    platform = Platform()
    platform.tenant_troubles = [Unavailable("disk full")]
    async with feeding(platform) as feed:
        feed.begin_session()
        feed.push(message(1))
        feed.push(message(2))
        await until(lambda: len(platform.got) == 2)
    assert platform.got == ["1", "2"]


async def test_a_message_that_trips_the_tenant_every_time_is_passed_over():
    platform = Platform()
    platform.tenant_troubles = [RuntimeError("defect")] * 3
    async with feeding(platform) as feed:
        feed.push(message(1))
        feed.push(message(2))
        await until(lambda: platform.got == ["2"])
        assert feed.dropped == 1


async def test_edits_and_deletes_keep_their_place_among_the_messages():
    platform = Platform(message(6), known={"dc:1": "5"})
    async with feeding(platform) as feed:
        feed.begin_session()
        feed.push_edit(message(6))
        feed.push(message(7))
        feed.push_edit(message(7))
        feed.push_delete("dc:1", "7")
        feed.push(message(8))
        await until(lambda: "8" in platform.got)
    assert platform.got == ["6", "edit 6", "7", "edit 7", "delete 7", "8"]


async def test_a_tenant_that_does_not_ask_is_not_told_of_edits_and_deletes():
    platform = Platform()
    pool = TaskPool("test")
    feed = Feed(ChannelHandlers(platform.on_message), platform.fetch, pool, name="test")
    feed.push_edit(message(1))
    feed.push_delete("dc:1", "1")
    feed.push(message(2))
    await until(lambda: platform.got)
    await pool.close()
    assert platform.got == ["2"]


async def test_edits_outlive_an_overflow_while_messages_are_read_again():
    history = [message(n) for n in range(6, 1206)]
    platform = Platform(*history, known={"dc:1": "5"})
    platform.tenant_troubles = [Unavailable("disk full")]
    async with feeding(platform) as feed:
        feed.begin_session()
        feed.push_delete("dc:1", "3")
        for inbound in history:
            feed.push(inbound)
        await until(lambda: "delete 3" in platform.got and "1205" in platform.got, timeout_s=20)
    first_seen = dict.fromkeys(platform.got)
    assert [id_ for id_ in first_seen if id_.isdecimal()] == [inbound.id for inbound in history]


async def test_a_chat_that_is_idle_and_caught_up_has_no_lane_and_is_caught_up_once_in_a_session():
    known = {f"dc:{n}": "5" for n in range(1, 301)}
    platform = Platform(*(message(7, chat) for chat in known), known=known)
    async with feeding(platform) as feed:
        feed.begin_session()
        await until(lambda: len(platform.got) == 300 and not feed._lanes)
        for chat in known:
            feed.touch(chat)
            feed.push(message(8, chat))
        await until(lambda: len(platform.got) == 600 and not feed._lanes)
        assert sorted(platform.asked) == sorted(known.items())
        feed.begin_session()
        await until(lambda: len(platform.asked) == 600 and not feed._lanes)
