"""Messages that waited through an outage are read again once, and nothing is kept of chats that have none."""

from datetime import UTC, datetime, timedelta

from nanoclaw.rereading import Rereading
from shared.channels.base import ChannelHandlers, ChannelStatus, InboundMessage, Sender
from shared.channels.inbox import Inbox
from shared.clock import FakeClock
from shared.testing.channel_bed import MemoryChannel, channel_database

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class BackOnline(MemoryChannel):
    """Came online after everything was stored; counts what is read again."""

    rereads = 0

    @property
    def status(self):
        return ChannelStatus("online", since=NOON + timedelta(minutes=1))

    async def reread(self, chat, message):
        self.rereads += 1
        return InboundMessage(chat, "c", "thread", message, Sender("2", "o"), "hi", addressed=True, sent_at=NOON)


async def test_a_chats_note_goes_with_what_waits_in_it(tmp_path):
    async def nobody(*_told):
        raise AssertionError("nothing changed")

    clock = FakeClock(NOON)
    channel = BackOnline(ChannelHandlers(nobody), clock=clock)
    async with channel_database(tmp_path) as (db, tables):
        inbox = Inbox(db, tables, clock)
        rereading = Rereading(inbox, lambda _chat: channel, on_edit=nobody, on_delete=nobody)
        chats = [f"dc:{number}" for number in range(50)]
        for number, chat in enumerate(chats):
            message = InboundMessage(
                chat, "c", "thread", str(number), Sender("2", "o"), "hi", addressed=True, sent_at=NOON
            )
            await inbox.append(message)
            await rereading.refresh(chat)
            await rereading.refresh(chat)
        assert channel.rereads == 50
        for chat in chats:
            rereading.forget(chat)
    assert not rereading._done
