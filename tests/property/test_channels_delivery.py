"""Whatever faults, restarts and pauses come: every message is there once, in order."""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.channels.base import ChannelHandlers
from shared.channels.live import LiveMessage
from shared.channels.outbox import Outbox
from shared.channels.text import split_message
from shared.clock import SystemClock
from shared.errors import RateLimited, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.testing.channel_bed import Fault, MemoryChannel, channel_database, delivering

TROUBLE = st.one_of(
    st.builds(Fault, st.just("send"), st.just(Unavailable("cut")), st.booleans()),
    st.builds(Fault, st.just("send"), st.just(RateLimited("slowly", retry_after_s=0.001))),
    st.builds(Fault, st.just("send"), st.just(asyncio.CancelledError()), st.booleans()),  # the process ends here
    st.builds(Fault, st.just("history"), st.just(Unavailable("cut"))),
)
PAUSE_S = st.sampled_from([0, 1, 70, 300])


class SkippingClock(SystemClock):
    """Real time that can jump ahead."""

    ahead = timedelta()

    def now(self):
        return super().now() + self.ahead

    def skip(self, seconds):
        self.ahead += timedelta(seconds=seconds)


async def nobody(_message):
    raise AssertionError("nothing is expected here")


async def deliver_everything(messages, troubles, pauses):
    clock = SkippingClock()
    channel = MemoryChannel(ChannelHandlers(nobody), clock=clock, nonce_memory_s=100)
    channel.faults = list(troubles)
    with tempfile.TemporaryDirectory() as folder:
        async with channel_database(Path(folder)) as (db, tables):
            first = Outbox(db, tables, lambda _chat: channel, clock)
            for n, (chat, text) in enumerate(messages):
                await first.put(f"run_{n}", 0, chat=chat, text=text)
            for pause_s in [*pauses, *[0] * (len(troubles) + 1)]:
                clock.skip(pause_s)
                outbox = Outbox(db, tables, lambda _chat: channel, clock, backoff=Backoff(0.0001, 0.0001))
                async with delivering(outbox):
                    await outbox.flush(2)
            assert await outbox.counts() == {"sent": len(messages)}
    return channel


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["dc:1", "dc:2"]), st.sampled_from(["yes", "no"])), min_size=1, max_size=4),
    st.lists(TROUBLE, max_size=4),
    st.lists(PAUSE_S, max_size=3),
)
def test_each_message_is_delivered_once_and_in_order(messages, troubles, pauses):
    channel = asyncio.run(deliver_everything(messages, troubles, pauses))
    for chat in ("dc:1", "dc:2"):
        assert channel.texts(chat) == [text for where, text in messages if where == chat]


LIVE_TROUBLE = st.builds(
    Fault,
    st.sampled_from(["send", "edit", "edit", "delete"]),
    st.sampled_from([Unavailable("cut"), RateLimited("slowly", retry_after_s=0.001)]),
    st.booleans(),
).filter(lambda fault: not (fault.applied and isinstance(fault.error, RateLimited)))


async def stream(streamed, final, troubles, crashes):
    """Stream one answer, again from the start after each end of the process, as a repeated run does."""
    channel = MemoryChannel(ChannelHandlers(nobody))
    channel.faults = list(troubles)
    with tempfile.TemporaryDirectory() as folder:
        async with channel_database(Path(folder)) as (db, tables):
            for crash_at in [*crashes, None]:
                outbox = Outbox(db, tables, lambda _chat: channel, backoff=Backoff(0.0001, 0.0001))
                async with delivering(outbox):
                    async with LiveMessage(outbox, "run_1", "dc:1", interval_s=0.0005) as live:
                        for end in range(0, len(streamed) + 1, 900):
                            live.update(streamed[:end])
                            await asyncio.sleep(0.002)
                            if end // 900 == crash_at:
                                break
                        else:
                            await live.finish(final)
                    if crash_at is None:
                        assert await outbox.flush(2)
            assert await outbox.pending() == []
    return channel


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 900),
    st.integers(1, 900),
    st.lists(LIVE_TROUBLE, max_size=4),
    st.lists(st.integers(0, 5), max_size=2),
)
def test_a_streamed_answer_ends_as_its_final_text(streamed_words, final_words, troubles, crashes):
    final = "final " * final_words
    channel = asyncio.run(stream("draft " * streamed_words, final, troubles, crashes))
    assert channel.texts("dc:1") == split_message(final)
