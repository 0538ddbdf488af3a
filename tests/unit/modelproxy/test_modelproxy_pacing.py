import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.modelproxy.identity import ModelIdentity
from gateway.modelproxy.pacing import Pacer
from gateway.modelproxy.public import listener_identity, pacing_gate
from shared.clock import FakeClock
from shared.errors import RateLimited

SPACING = 10.0


class Time:
    """A clock whose sleepers wake as it is moved."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self._sleepers: list[tuple[float, asyncio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        event = asyncio.Event()
        entry = (self.clock.monotonic() + seconds, event)
        self._sleepers.append(entry)
        try:
            await event.wait()
        finally:
            self._sleepers.remove(entry)

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        for due, event in self._sleepers:
            if due <= self.clock.monotonic():
                event.set()
        await settle()


async def settle() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


@given(
    steps=st.lists(
        st.one_of(
            st.just(("come", 0.0)),
            st.tuples(st.just("wait"), st.integers(1, 25)),
            st.tuples(st.just("leave"), st.floats(0.0, 0.99)),
        ),
        max_size=40,
    )
)
@settings(max_examples=150, deadline=None)
def test_turns_are_apart_in_order_and_nobody_is_lost(steps) -> None:
    async def run() -> None:
        time = Time()
        pacer = Pacer(SPACING, max_waiting=100, clock=time.clock, sleep=time.sleep)
        served: list[tuple[int, float]] = []
        waiting: dict[int, asyncio.Task[None]] = {}
        left: set[int] = set()

        async def caller(number: int) -> None:
            await pacer.turn()
            served.append((number, time.clock.monotonic()))

        count = 0
        for what, amount in steps:
            if what == "come":
                waiting[count] = asyncio.get_running_loop().create_task(caller(count))
                count += 1
                await settle()
            elif what == "wait":
                await time.advance(amount)
            else:
                still = [number for number, task in waiting.items() if not task.done()]
                if still:
                    number = still[int(amount * len(still))]
                    waiting[number].cancel()
                    left.add(number)
                    await settle()
        for _ in range(count + 1):
            await time.advance(SPACING)
        await asyncio.gather(*waiting.values(), return_exceptions=True)
        moments = [moment for _, moment in served]
        assert all(b - a >= SPACING for a, b in itertools.pairwise(moments))
        assert [number for number, _ in served] == sorted(set(range(count)) - left)
        assert pacer.waiting == 0

    asyncio.run(run())


async def test_without_waiting_an_early_call_is_refused_with_the_time_to_come_back() -> None:
    clock = FakeClock()
    pacer = Pacer(SPACING, wait=False, clock=clock)
    await pacer.turn()
    clock.advance(3.5)
    with pytest.raises(RateLimited) as refused:
        await pacer.turn()
    assert refused.value.retry_after_s == 7.0
    clock.advance(6.5)
    await pacer.turn()


async def test_a_full_queue_refuses_and_says_when_it_will_have_room() -> None:
    time = Time()
    pacer = Pacer(SPACING, max_waiting=2, clock=time.clock, sleep=time.sleep)
    await pacer.turn()
    tasks = [asyncio.get_running_loop().create_task(pacer.turn()) for _ in range(2)]
    await settle()
    with pytest.raises(RateLimited) as refused:
        await pacer.turn()
    assert refused.value.retry_after_s == 30.0
    await time.advance(SPACING)
    await time.advance(SPACING)
    await asyncio.gather(*tasks)


async def test_no_spacing_lets_everybody_through() -> None:
    time = Time()
    pacer = Pacer(0, max_waiting=1, clock=time.clock, sleep=time.sleep)
    turns = [asyncio.get_running_loop().create_task(pacer.turn()) for _ in range(50)]
    await settle()
    assert [turn.done() for turn in turns] == [True] * 50, "no time passed, and nobody waits for any"
    await asyncio.gather(*turns)


async def test_the_listener_and_the_light_route_share_one_queue_and_openclaw_does_not() -> None:
    pacer = Pacer(SPACING, wait=False, clock=FakeClock())
    gate = pacing_gate(pacer, is_light=lambda tenant: tenant == "nanoclaw")
    nano, claw = (ModelIdentity(name, "", "", frozenset()) for name in ("nanoclaw", "openclaw"))
    await gate(listener_identity(), "embeddings", "m")
    with pytest.raises(RateLimited):
        await gate(nano, "chat/completions", "m")
    await gate(nano, "messages", "m")
    await gate(claw, "chat/completions", "m")
