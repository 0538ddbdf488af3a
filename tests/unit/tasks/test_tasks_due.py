"""The due loop sleeps until something is due, and is woken by changes; it does not poll."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from nanoclaw.tasks.claims import Claims
from shared.clock import SYSTEM_CLOCK, FakeClock
from shared.errors import Unavailable
from shared.lifecycle import due_loop as due
from shared.lifecycle.due_loop import DueLoop
from tests.support.tasks_bed import START


class Looks:
    """Counts the looks; `next_in_s` from now is what each of them finds."""

    def __init__(self, clock, **found):
        self.clock, self.found = clock, found
        self.count = self.pruned = 0
        self.next_in_s: float | None = None
        self.fails = 0
        self.looked = asyncio.Event()

    async def claim(self):
        self.count += 1
        self.looked.set()
        if self.fails:
            self.fails -= 1
            raise Unavailable("the disk is full", code="storage.write")
        if self.next_in_s is None:
            return Claims(**self.found)
        return Claims(next_at=self.clock.now() + timedelta(seconds=self.next_in_s), **self.found)

    async def prune(self):
        self.pruned += 1
        return 0

    async def next_look(self):
        self.looked.clear()
        await asyncio.wait_for(self.looked.wait(), 5)


@asynccontextmanager
async def looping(looks):
    loop = DueLoop(looks.claim, looks.prune, clock=looks.clock)
    task = asyncio.get_running_loop().create_task(loop.run())
    try:
        yield loop
    finally:
        task.cancel()


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_without_tasks_it_looks_once_and_then_only_when_told(monkeypatch):
    monkeypatch.setattr(due, "_LONGEST_SLEEP_S", 0.001)
    looks = Looks(FakeClock(START))
    async with looping(looks) as loop:
        await looks.next_look()
        await asyncio.sleep(0.02)
        assert (looks.count, looks.pruned) == (1, 1)
        loop.nudge()
        await looks.next_look()
        assert (looks.count, looks.pruned) == (2, 1)


async def test_it_sleeps_until_the_next_task_is_due():
    looks = Looks(SYSTEM_CLOCK)
    looks.next_in_s = 0.05
    async with looping(looks):
        await looks.next_look()
        began = SYSTEM_CLOCK.monotonic()
        await looks.next_look()
        assert SYSTEM_CLOCK.monotonic() - began >= 0.045
        assert looks.count == 2


@pytest.mark.parametrize(("next_in_s", "is_waiting"), [(1e6, False), (None, True)])
async def test_it_trusts_no_long_sleep_because_the_clock_may_be_set(monkeypatch, next_in_s, is_waiting):
    monkeypatch.setattr(due, "_LONGEST_SLEEP_S", 0.01)
    looks = Looks(FakeClock(START), is_waiting=is_waiting)
    looks.next_in_s = next_in_s
    async with looping(looks):
        for _ in range(3):
            await looks.next_look()


async def test_a_full_batch_is_followed_by_the_next_at_once_and_the_last_one_by_none():
    looks = Looks(FakeClock(START), more=True)
    looks.next_in_s = 3600
    async with looping(looks):
        for _ in range(3):
            await looks.next_look()
        looks.found["more"] = False
        await looks.next_look()
        count = looks.count
        await settle()
        assert looks.count == count


async def test_a_database_that_refuses_is_tried_again(monkeypatch):
    monkeypatch.setattr(due, "_LONGEST_SLEEP_S", 0.01)
    looks = Looks(FakeClock(START))
    looks.fails = 2
    async with looping(looks):
        for _ in range(3):
            await looks.next_look()
        await settle()
        assert looks.pruned == 1


async def test_history_is_pruned_daily():
    looks = Looks(FakeClock(START))
    async with looping(looks) as loop:
        await looks.next_look()
        for hours, times in ((23, 1), (2, 2)):
            looks.clock.advance(hours * 3600)
            loop.nudge()
            await looks.next_look()
            await settle()
            assert looks.pruned == times
