"""Lanes: order within a chat, fairness between chats, the limit, rests and the end."""

from __future__ import annotations

import asyncio

from nanoclaw.lanes import DONE, Lanes, Turn
from shared.errors import Unavailable


class Turns:
    """Records turns; each waits for its gate when there is one."""

    def __init__(self):
        self.log: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.results: dict[str, list[Turn]] = {}
        self.running = self.most = 0

    async def __call__(self, chat: str) -> Turn:
        self.log.append(chat)
        self.running += 1
        self.most = max(self.most, self.running)
        if chat in self.gates:
            await self.gates[chat].wait()
        else:
            await asyncio.sleep(0)
        self.running -= 1
        queue = self.results.get(chat)
        return queue.pop(0) if queue else DONE


async def test_a_chat_runs_once_at_a_time_and_again_when_woken_meanwhile():
    turns = Turns()
    turns.gates["a"] = asyncio.Event()
    lanes = Lanes(turns, max_running=5)
    lanes.wake("a")
    await asyncio.sleep(0)
    for _ in range(3):
        lanes.wake("a")
    assert turns.log == ["a"]
    turns.gates["a"].set()
    await lanes.idle()
    assert turns.log == ["a", "a"]
    await lanes.close()


async def test_no_more_than_the_limit_run_and_who_waited_longest_goes_first():
    turns = Turns()
    lanes = Lanes(turns, max_running=2)
    for chat in "abcdef":
        lanes.wake(chat)
    assert [view.position for view in lanes.view() if view.state == "waiting"] == [1, 2, 3, 4]
    await lanes.idle()
    assert turns.log == list("abcdef")
    assert turns.most == 2
    await lanes.close()


async def test_a_busy_chat_lets_the_others_pass():
    turns = Turns()
    turns.results["busy"] = [Turn(again=True)] * 3
    lanes = Lanes(turns, max_running=1)
    for chat in ("busy", "b", "c"):
        lanes.wake(chat)
    await lanes.idle()
    assert turns.log == ["busy", "b", "c", "busy", "busy", "busy"]
    await lanes.close()


async def test_a_resting_chat_holds_what_comes_meanwhile_and_frees_its_slot():
    turns = Turns()
    turns.results["a"] = [Turn(again=True, delay_s=0.03)]
    lanes = Lanes(turns, max_running=1)
    lanes.wake("a")
    await asyncio.sleep(0.005)
    lanes.wake("a")
    lanes.wake("b")
    await asyncio.sleep(0.005)
    assert turns.log == ["a", "b"]
    await lanes.idle()
    assert turns.log == ["a", "b", "a"]
    await lanes.close()


async def test_a_defect_in_a_turn_neither_stops_the_chat_nor_the_others():
    calls = []

    async def turn(chat: str) -> Turn:
        calls.append(chat)
        if len(calls) == 1:
            raise RuntimeError("boom")
        return DONE

    lanes = Lanes(turn, max_running=1, after_defect_s=0.001)
    lanes.wake("a")
    await lanes.idle()
    assert calls == ["a", "a"]
    await lanes.close()


async def test_draining_starts_nothing_new_and_waits_for_what_runs():
    turns = Turns()
    turns.gates["a"] = asyncio.Event()
    lanes = Lanes(turns, max_running=1)
    lanes.wake("a")
    lanes.wake("b")
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.01, turns.gates["a"].set)
    assert await lanes.drain(1.0)
    lanes.wake("c")
    assert turns.log == ["a"]
    await lanes.close()


async def test_draining_gives_up_at_its_deadline():
    turns = Turns()
    turns.gates["a"] = asyncio.Event()
    lanes = Lanes(turns, max_running=1)
    lanes.wake("a")
    assert not await lanes.drain(0.01)
    await lanes.close()
    assert turns.log == ["a"]


class Waits:
    """Remembers who waits, as the lanes tell it."""

    def __init__(self):
        self.now: set[str] = set()

    def began(self, lane: str) -> None:
        self.now.add(lane)

    def ended(self, lane: str) -> None:
        self.now.discard(lane)


NO_PLACE = Turn(again=True, delay_s=3600, for_place=True)


async def test_who_got_no_worker_tries_again_as_soon_as_a_run_ends():
    turns, waits = Turns(), Waits()
    turns.results["late"] = [NO_PLACE]
    turns.gates["long"] = asyncio.Event()
    lanes = Lanes(turns, max_running=5, waiting=waits)
    lanes.wake("long")
    lanes.wake("late")
    await asyncio.sleep(0.01)
    assert turns.log == ["long", "late"]
    assert waits.now == {"late"}
    assert [(v.chat, v.state, v.position) for v in lanes.view()] == [("long", "running", 0), ("late", "waiting", 1)]
    turns.gates["long"].set()
    await asyncio.wait_for(lanes.idle(), 5)
    assert turns.log == ["long", "late", "late"]
    assert waits.now == set()
    await lanes.close()


async def test_who_waits_for_a_worker_goes_before_who_comes_later_in_the_order_of_waiting():
    turns = Turns()
    turns.results |= {"a": [NO_PLACE, NO_PLACE], "b": [NO_PLACE]}
    lanes = Lanes(turns, max_running=1)
    for name in ("a", "b"):
        lanes.wake(name)
        await asyncio.sleep(0.005)
    assert turns.log == ["a", "a", "b"], "the arrival of another lane is worth a try, in order"
    assert [view.chat for view in lanes.view()] == ["a", "b"]
    turns.log.clear()
    lanes.wake("c")
    await asyncio.wait_for(lanes.idle(), 5)
    assert turns.log == ["a", "b", "c"]
    await lanes.close()


async def test_who_waits_for_a_worker_does_not_spin_and_tries_again_after_a_while_at_the_latest():
    turns = Turns()
    turns.results["a"] = [Turn(again=True, delay_s=0.03, for_place=True)]
    lanes = Lanes(turns, max_running=1)
    lanes.wake("a")
    await asyncio.sleep(0.015)
    assert turns.log == ["a"]
    await asyncio.wait_for(lanes.idle(), 5)
    assert turns.log == ["a", "a"]
    await lanes.close()


async def test_a_rest_can_be_ended_early_and_a_turn_that_begins_is_not_waiting():
    turns, waits = Turns(), Waits()
    turns.results["a"] = [Turn(again=True, delay_s=3600)]
    lanes = Lanes(turns, max_running=1, waiting=waits)
    lanes.wake("a")
    await asyncio.sleep(0.005)
    lanes.wake("a")
    assert turns.log == ["a"]
    lanes.hurry("a")
    lanes.hurry("nobody")
    await asyncio.wait_for(lanes.idle(), 5)
    assert turns.log == ["a", "a"]
    assert waits.now == set()
    await lanes.close()


async def test_a_store_that_fails_makes_the_lane_rest_not_end():
    calls = []

    async def turn(name: str) -> Turn:
        calls.append(name)
        if len(calls) == 1:
            raise Unavailable("the database refused a write: disk full", code="storage.write")
        return DONE

    lanes = Lanes(turn, max_running=1, after_defect_s=0.001)
    lanes.wake("a")
    await lanes.idle()
    assert calls == ["a", "a"]
    await lanes.close()
