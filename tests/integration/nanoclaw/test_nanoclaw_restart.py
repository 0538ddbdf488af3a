"""A tenant that ends in the middle of a run: the next one hears the running answer out, in the same run."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from nanoclaw_standins import LastingChannel, ScriptedGateway, a_message, a_policy, a_tenant, echo, paths_in

from nanoclaw.schema import declare
from nanoclaw.store import Store
from shared.storage import Database

CUT = a_policy(runs={"drain_s": 0, "retry_delays_s": [0.01]})


class Held:
    """A behaviour that waits in the middle of its turn until told to go on."""

    def __init__(self, before=None, after=echo):
        self.reached, self.go_on = asyncio.Event(), asyncio.Event()
        self.before, self.after = before, after

    async def __call__(self, worker, asked, prompt_uuid):
        if self.before:
            await self.before(worker)
        self.reached.set()
        await self.go_on.wait()
        await self.after(worker, asked, prompt_uuid)


async def cut_short(folder, gateway, place, policy=CUT):
    """A tenant that ends while its agent is in the middle of answering; returns what was stored about the question."""
    async with a_tenant(folder, gateway, policy, place) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello"))
        await gateway.reply.reached.wait()
        [asking] = await tenant.store.askings()
    return asking


async def test_the_next_start_keeps_the_running_answer(tmp_path):
    held, place = Held(), LastingChannel()
    gateway = ScriptedGateway(reply=held)
    await cut_short(tmp_path, gateway, place)
    async with a_tenant(tmp_path, gateway, CUT, place) as (tenant, channel):
        held.go_on.set()
        await channel.says(lambda texts: texts == ["echo: hello"])
        await tenant.lanes.idle()
        runs = await tenant.store.recent_runs()
    assert len(gateway.asked) == 1, "the agent was asked once"
    assert [(run.ok, run.attempt) for run in runs] == [(True, 1)]
    assert channel.texts() == ["echo: hello"]


async def test_an_answer_that_came_while_the_tenant_was_away_is_delivered(tmp_path):
    held, place = Held(), LastingChannel()
    gateway = ScriptedGateway(reply=held)
    await cut_short(tmp_path, gateway, place)
    held.go_on.set()
    while not gateway.live["w1"].turns or not all(turn.done() for turn in gateway.live["w1"].turns.values()):
        await asyncio.sleep(0.01)
    async with a_tenant(tmp_path, gateway, CUT, place) as (tenant, channel):
        await channel.says(lambda texts: texts == ["echo: hello"])
        await tenant.lanes.idle()
        # The worker is an ordinary one again, its tools and its conversation with it.
        await channel.handlers.on_message(a_message("again"))
        await channel.says(lambda texts: texts[-1] == "echo: again")
        await tenant.lanes.idle()
        usage = [run.cost_usd for run in await tenant.store.recent_runs()]
    assert len(gateway.leases) == 1
    assert all(0 <= cost <= 0.01 for cost in usage)


async def test_a_prompt_that_was_recorded_but_never_written_is_put_once(tmp_path):
    """The process died between the two: it is as if the write had been lost."""
    held, place = Held(), LastingChannel()
    gateway = ScriptedGateway(reply=held)
    asking = await cut_short(tmp_path, gateway, place)
    worker = gateway.live["w1"]
    worker.turns[asking.prompt_id].cancel()
    worker.seen.clear()
    gateway.asked.clear()
    gateway.reply = echo
    async with a_tenant(tmp_path, gateway, CUT, place) as (tenant, channel):
        await channel.says(lambda texts: texts == ["echo: hello"])
        await tenant.lanes.idle()
    assert len(gateway.asked) == 1
    assert len(gateway.leases) == 1


async def test_tools_answered_before_the_restart_are_not_served_again_and_an_open_one_is(tmp_path):
    second_call = asyncio.Event()

    async def tools(worker):
        await worker.call_tool("send_message", {"text": "one"})

    async def more(worker, asked, prompt_uuid):
        second_call.set()
        await worker.use_tool("send_message", {"text": "two"})
        await worker.use_tool("send_message", {"text": "three"})
        await echo(worker, asked, prompt_uuid)

    held, place = Held(tools, more), LastingChannel()
    gateway = ScriptedGateway(reply=held)
    async with a_tenant(tmp_path, gateway, CUT, place) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await channel.says(lambda texts: texts == ["one"])
        await held.reached.wait()
    held.go_on.set()
    await second_call.wait()  # asked while nobody was there to answer
    async with a_tenant(tmp_path, gateway, CUT, place) as (tenant, channel):
        await channel.says(lambda texts: texts[-1] == "echo: go")
        await tenant.lanes.idle()
    assert channel.texts() == ["one", "two", "three", "echo: go"]


async def test_what_was_shown_of_an_answer_is_completed_in_place(tmp_path):
    async def begin(worker):
        worker.delta("The answer")
        worker.delta(" is")

    async def end(worker, asked, prompt_uuid):
        worker.delta(" 42")
        worker.say("The answer is 42")
        worker.result("The answer is 42", prompt_uuid)

    held, place = Held(begin, end), LastingChannel()
    gateway = ScriptedGateway(reply=held)
    policy = a_policy(runs={"drain_s": 0}, streaming={"after_s": 0})
    async with a_tenant(tmp_path, gateway, policy, place) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await channel.says(lambda texts: texts == ["The answer is"])
    async with a_tenant(tmp_path, gateway, policy, place) as (tenant, channel):
        held.go_on.set()
        await channel.says(lambda texts: texts == ["The answer is 42"])
        await tenant.lanes.idle()
    assert channel.texts() == ["The answer is 42"]


async def test_a_worker_that_is_gone_after_the_restart_costs_a_try_and_no_message(tmp_path):
    held, place = Held(), LastingChannel()
    gateway = ScriptedGateway(reply=held)
    await cut_short(tmp_path, gateway, place)
    gateway.live["w1"].end(137, "oom")
    gateway.reply = echo
    async with a_tenant(tmp_path, gateway, CUT, place) as (tenant, channel):
        await channel.says(lambda texts: texts == ["echo: hello"])
        await tenant.lanes.idle()
        assert [run.attempt for run in await tenant.store.recent_runs()] == [2]


async def test_a_worker_that_dies_while_it_is_heard_out_is_replaced_and_the_new_one_is_asked_anew(tmp_path):
    held, place = Held(), LastingChannel()
    gateway = ScriptedGateway(reply=held)
    await cut_short(tmp_path, gateway, place)
    async with a_tenant(tmp_path, gateway, CUT, place) as (tenant, channel):
        while not tenant.runs.current or tenant.runs.current[0].session is None:
            await asyncio.sleep(0.01)
        gateway.reply = echo
        gateway.live["w1"].end(137, "oom")
        await channel.says(lambda texts: texts[-1:] == ["echo: hello"])
        await tenant.lanes.idle()
    assert [text for text in channel.texts() if text.startswith("echo")] == ["echo: hello"]
    assert len(gateway.asked) == 2
    assert gateway.leases[1].resume is False, "the conversation was never known to be kept"


async def test_a_run_that_ends_every_process_is_given_up_in_the_end(tmp_path):
    held, place = Held(), LastingChannel()
    gateway = ScriptedGateway(reply=held)
    policy = a_policy(runs={"drain_s": 0, "retry_delays_s": []})
    await cut_short(tmp_path, gateway, place, policy)
    for _ in range(3):  # each takes the run up and ends
        async with a_tenant(tmp_path, gateway, policy, place) as (tenant, channel):
            while not tenant.runs.current or tenant.runs.current[0].session is None:
                await asyncio.sleep(0.01)
    async with a_tenant(tmp_path, gateway, policy, place) as (tenant, channel):
        [note] = await channel.says(bool)
        await tenant.lanes.idle()
        assert "gave up" in note
        assert await tenant.inbox.counts() == {"dead": 1}
        assert await gateway.workers() == []


async def test_a_later_try_is_not_mistaken_for_the_one_that_was_asked(tmp_path):
    """The record is of try 1; the messages are in the hands of try 2, which died before it asked anybody."""
    held, place = Held(), LastingChannel()
    gateway = ScriptedGateway(reply=held)
    asking = await cut_short(tmp_path, gateway, place)
    database = Database(paths_in(tmp_path).tenant_db("nanoclaw"), migrations="nanoclaw.migrations")
    await database.open()
    await Store(database, declare()).keep_asking(replace(asking, claims=asking.claims - 1))
    await database.close()
    gateway.reply = echo
    async with a_tenant(tmp_path, gateway, CUT, place) as (tenant, channel):
        await channel.says(lambda texts: texts == ["echo: hello"])
        await tenant.lanes.idle()
    assert not gateway.live["w1"].ended or len(gateway.leases) == 2
    assert len(gateway.asked) == 2


async def test_the_worker_of_a_conversation_that_was_reset_is_kept_over_a_restart(tmp_path):
    place = LastingChannel()
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway, make_channel=place) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.lanes.idle()
        gateway.live["w1"].session = "11111111-2222-4333-8444-555555555555"  # as after /clear
        await channel.handlers.on_message(a_message("two"))
        await channel.says(lambda texts: len(texts) == 2)
        await tenant.lanes.idle()
        [group] = list(tenant.registry)
        assert await tenant.store.session_of(group.folder) == gateway.live["w1"].session
    async with a_tenant(tmp_path, gateway, make_channel=place) as (tenant, channel):
        await channel.handlers.on_message(a_message("three"))
        await channel.says(lambda texts: len(texts) == 3)
        await tenant.lanes.idle()
        assert len(gateway.leases) == 1, "the worker that holds the new conversation was kept"


async def test_a_message_older_than_ten_minutes_comes_with_a_remark_for_the_agent_only(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        now = tenant.clock.now()
        await channel.handlers.on_message(replace(a_message("old"), sent_at=now - timedelta(minutes=34)))
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.lanes.idle()
        await channel.handlers.on_message(replace(a_message("new"), sent_at=now - timedelta(minutes=9)))
        assert await channel.says(lambda texts: len(texts) == 2) == ["echo: old", "echo: new"]
        await tenant.lanes.idle()
    old, new = gateway.asked
    assert "waited 34 minutes" in old.prompt
    assert "waited" not in new.prompt
