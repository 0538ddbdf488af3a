"""Lanes: order within a chat, fairness between chats, the limit, rests and the end."""

from __future__ import annotations

import asyncio

from nanoclaw.lanes import DONE, Lanes, Turn


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
