from datetime import timedelta

from nanoclaw.lanes import DONE, Lanes, Turn
from nanoclaw.turns import Turns
from shared.channels.store.inbox import OpenChat
from shared.clock import FakeClock


class Waiting:
    """An inbox that only knows which chats wait."""

    def __init__(self, clock):
        self.clock, self.chats, self.asked = clock, [], 0

    def add(self, chat, first_id, after_s=0.0):
        self.chats.append(OpenChat(chat, 1, first_id, self.clock.now() + timedelta(seconds=after_s)))

    async def open_chats(self):
        self.asked += 1
        return list(self.chats)


class Bed:
    def __init__(self, turn=DONE):
        self.clock = FakeClock()
        self.inbox = Waiting(self.clock)
        self.taken, self.early, self.prepared, self.turn = [], [], [], turn
        self.going_on, self.released = "", set()
        self.turns = Turns(
            self.inbox,
            self.take,
            prepare=self.prepare,
            release=self.released.add,
            going_on=lambda chats: self.going_on if self.going_on in chats else "",
            clock=self.clock,
        )

    async def take(self, chat, *, even_if_early):
        assert chat == self.going_on or self.prepared[-1] == chat
        self.going_on = ""
        self.taken.append(chat)
        self.early.append(even_if_early)
        self.inbox.chats = [waiting for waiting in self.inbox.chats if waiting.chat != chat]
        return self.turn

    async def prepare(self, chat):
        self.prepared.append(chat)


async def test_a_lane_without_threads_is_its_chat():
    bed = Bed()
    bed.turns.belongs("dc:1", "dc:1")
    bed.inbox.add("dc:1", 1)
    assert await bed.turns.take("dc:1") == DONE
    assert bed.taken == ["dc:1"]
    assert await bed.turns.take("dc:1") == DONE
    assert bed.taken == ["dc:1"]


async def test_a_channel_and_its_threads_take_turns_the_longest_waiting_first():
    bed = Bed()
    for thread in ("dc:8", "dc:9"):
        bed.turns.belongs(thread, "dc:1")
    for number, chat in enumerate(["dc:9", "dc:1", "dc:8", "dc:77"]):
        bed.inbox.add(chat, number)
    while (await bed.turns.take("dc:1")).again:
        pass
    assert bed.taken == ["dc:9", "dc:1", "dc:8"]
    assert await bed.turns.take("dc:1") == DONE


async def test_a_thread_that_rests_does_not_hold_up_the_channel():
    bed = Bed()
    bed.turns.belongs("dc:8", "dc:1")
    bed.inbox.add("dc:8", 1, after_s=40)
    bed.inbox.add("dc:1", 2)
    assert await bed.turns.take("dc:1") == Turn(again=True, delay_s=40.0)
    assert await bed.turns.take("dc:1") == Turn(again=True, delay_s=40.0)
    assert bed.taken == ["dc:1"]


async def test_a_chat_to_be_tried_again_lets_the_others_come_first():
    bed = Bed(Turn(again=True, delay_s=5.0))
    bed.turns.belongs("dc:8", "dc:1")
    bed.inbox.add("dc:1", 1)
    bed.inbox.add("dc:8", 2)
    assert await bed.turns.take("dc:1") == Turn(again=True, delay_s=0.0)
    assert await bed.turns.take("dc:1") == Turn(again=True, delay_s=5.0)


async def test_a_run_of_an_earlier_process_goes_on_before_anything_else_begins():
    bed = Bed()
    bed.turns.belongs("dc:8", "dc:1")
    bed.inbox.add("dc:1", 1)
    bed.going_on = "dc:8"
    assert (await bed.turns.take("dc:1")).again
    assert await bed.turns.take("dc:1") == DONE
    assert (bed.taken, bed.prepared) == (["dc:8", "dc:1"], ["dc:1"])


async def test_a_chat_that_got_no_worker_keeps_its_lane_waiting_for_a_place():
    bed = Bed(Turn(again=True, delay_s=5.0, for_place=True))
    bed.turns.belongs("dc:8", "dc:1")
    bed.inbox.add("dc:1", 1)
    bed.inbox.add("dc:8", 2)
    assert (await bed.turns.take("dc:1")).for_place


async def test_a_rest_that_news_bring_forward_is_cut_short_once_by_each_and_only_in_its_own_lane():
    bed = Bed(Turn(again=True, delay_s=600.0, until_news=True))
    bed.turns.belongs("dc:8", "dc:1")
    assert not bed.turns.news("dc:1")
    for _ in range(2):
        bed.inbox.add("dc:8", 1, after_s=0.0 if not bed.taken else 600.0)
        await bed.turns.take("dc:1")
        assert not bed.turns.news("dc:2")
        assert bed.turns.news("dc:1")
        assert not bed.turns.news("dc:1"), "until it was tried again"
    assert (bed.taken, bed.early) == (["dc:8", "dc:8"], [False, True])


async def test_a_clock_that_is_set_back_makes_nobody_wait_longer_than_the_longest_rest():
    bed = Bed()
    bed.inbox.add("dc:1", 1, after_s=7200)
    assert await bed.turns.take("dc:1") == Turn(again=True, delay_s=60.0)
    bed.clock.advance(59)
    assert await bed.turns.take("dc:1") == Turn(again=True, delay_s=1.0)
    bed.clock.advance(1)
    assert await bed.turns.take("dc:1") == DONE
    assert (bed.taken, bed.early) == (["dc:1"], [True])


async def test_many_threads_leave_nothing_behind_and_one_that_is_woken_during_a_turn_is_not_lost():
    bed = Bed()
    lanes = Lanes(bed.turns.take, max_running=2, on_empty=bed.turns.forget)

    def wake(chat, number):
        bed.inbox.add(chat, number)
        bed.turns.belongs(chat, "dc:1")
        lanes.wake("dc:1")

    async def another_thread(chat):
        bed.prepared.append(chat)
        if chat == "dc:1099":  # the last that waits: its turn would empty the lane
            wake("dc:2000", 2000)

    bed.turns._prepare = another_thread
    for number in range(1000, 1100):
        wake(f"dc:{number}", number)
    await lanes.idle()
    await lanes.close()
    assert bed.taken == [*(f"dc:{number}" for number in range(1000, 1100)), "dc:2000"]
    assert bed.released >= {*bed.taken}
    for kept in (bed.turns._chats, bed.turns._rests, bed.turns._until_news):
        assert not kept
