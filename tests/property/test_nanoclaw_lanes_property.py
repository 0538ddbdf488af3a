"""Whatever is woken in whatever order: every chat gets its turn, one at a time, never more than the limit at once."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from nanoclaw.lanes import Lanes, Turn

CHATS = st.sampled_from("abcde")
STEPS = st.lists(st.tuples(CHATS, st.integers(0, 3)), max_size=40)


@settings(deadline=None, max_examples=60)
@given(steps=STEPS, limit=st.integers(1, 4), refusals=st.lists(st.booleans(), max_size=20))
def test_nothing_is_lost_overlaps_or_exceeds_the_limit(steps, limit, refusals):
    open_items: dict[str, list[int]] = {}
    seen: dict[str, list[int]] = {}
    running: set[str] = set()

    async def turn(chat: str) -> Turn:
        assert chat not in running
        running.add(chat)
        assert len(running) <= limit
        if refusals and refusals.pop():
            await asyncio.sleep(0)
            running.discard(chat)
            return Turn(again=True, delay_s=0.001, for_place=True)
        taken, open_items[chat] = open_items.get(chat, []), []
        await asyncio.sleep(0)
        seen.setdefault(chat, []).extend(taken)
        running.discard(chat)
        return Turn(again=len(taken) > 1)

    async def play() -> None:
        lanes = Lanes(turn, max_running=limit)
        for number, (chat, pauses) in enumerate(steps):
            open_items.setdefault(chat, []).append(number)
            lanes.wake(chat)
            for _ in range(pauses):
                await asyncio.sleep(0)
        await asyncio.wait_for(lanes.idle(), 5)
        await lanes.close()

    asyncio.run(play())
    expected: dict[str, list[int]] = {}
    for number, (chat, _) in enumerate(steps):
        expected.setdefault(chat, []).append(number)
    assert {chat: items for chat, items in seen.items() if items} == expected
