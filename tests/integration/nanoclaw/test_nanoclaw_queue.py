"""Waiting: bounded, visible, fair, and over as soon as it can be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from nanoclaw_standins import LastingChannel, ScriptedGateway, a_message, a_policy, a_tenant, echo

from nanoclaw.groups import Group
from shared.errors import Busy

FULL = Busy("all workers have a run in progress", retry_after_s=3600, code="worker.full")


class Gate:
    """A behaviour that answers once the gate is open."""

    def __init__(self):
        self.open, self.reached = asyncio.Event(), asyncio.Event()

    async def __call__(self, worker, asked, prompt_uuid):
        self.reached.set()
        await self.open.wait()
        await echo(worker, asked, prompt_uuid)


async def test_more_messages_than_may_wait_are_recorded_as_ignored_and_the_chat_is_told_once(tmp_path):
    gate = Gate()
    policy = a_policy(chats={"register": "on_mention", "max_waiting": 2}, runs={"drain_s": 1})
    async with a_tenant(tmp_path, ScriptedGateway(reply=gate), policy) as (tenant, channel):
        await channel.handlers.on_message(a_message("runs"))
        await gate.reached.wait()
        for number in range(5):
            await channel.handlers.on_message(a_message(f"m{number}"))
        late = a_message("too late")
        await channel.handlers.on_message(late)
        await channel.handlers.on_message(late)  # as a catch-up would
        item = await tenant.inbox.find("dc:1", late.id)
        assert item.state == "ignored"
        assert "2 messages" in item.reason
        gate.open.set()
        await channel.says(lambda texts: texts[-1] == "echo: m1")
        await tenant.lanes.idle()
        notes = [text for text in channel.texts() if "leave out" in text]
        assert len(notes) == 1
        # Room again: what is asked now is answered, and a new crowd is told anew.
        await channel.handlers.on_message(a_message("later"))
        await channel.says(lambda texts: texts[-1] == "echo: later")
        await tenant.lanes.idle()


async def test_a_chat_that_waits_is_told_its_position_once_and_the_note_goes_when_its_turn_comes(tmp_path):
    gate = Gate()
    policy = a_policy(runs={"max_concurrent": 1, "drain_s": 1, "queue_note_s": 0.05})
    async with a_tenant(tmp_path, ScriptedGateway(reply=gate), policy) as (tenant, channel):
        for number in range(3):
            await channel.handlers.on_message(a_message(f"m{number}", chat=f"dc:{number}", kind="dm"))
        [first] = await channel.says(bool, chat="dc:1")
        assert "position 1" in first
        [second] = await channel.says(bool, chat="dc:2")
        assert "position 2" in second
        await asyncio.sleep(0.2)
        assert len(channel.texts("dc:1")) == len(channel.texts("dc:2")) == 1
        assert channel.texts("dc:0") == []
        gate.open.set()
        for number in range(3):
            await channel.says(lambda texts, n=number: texts == [f"echo: m{n}"], chat=f"dc:{number}")
        await tenant.lanes.idle()
        assert await tenant.outbox.shown_keys("queued_") == []
        assert await tenant.outbox.dead_letters() == []


async def test_the_note_is_kept_up_to_date(tmp_path):
    first, second = Gate(), Gate()
    gates = [first, second]

    async def reply(worker, asked, prompt_uuid):
        if gates:
            await gates.pop(0)(worker, asked, prompt_uuid)
        else:
            await echo(worker, asked, prompt_uuid)

    policy = a_policy(runs={"max_concurrent": 1, "drain_s": 1, "queue_note_s": 0.05})
    async with a_tenant(tmp_path, ScriptedGateway(reply=reply), policy) as (tenant, channel):
        for number in range(3):
            await channel.handlers.on_message(a_message(f"m{number}", chat=f"dc:{number}", kind="dm"))
        await channel.says(lambda texts: "position 2" in "".join(texts), chat="dc:2")
        first.open.set()
        texts = await channel.says(lambda texts: "position 1" in "".join(texts), chat="dc:2")
        assert len(texts) == 1
        second.open.set()
        await channel.says(lambda texts: texts == ["echo: m2"], chat="dc:2")
        await tenant.lanes.idle()


async def test_a_crash_leaves_no_stale_note(tmp_path):
    gate = Gate()
    policy = a_policy(runs={"max_concurrent": 1, "drain_s": 0, "queue_note_s": 0.05})
    place = LastingChannel()
    async with a_tenant(tmp_path, ScriptedGateway(reply=gate), policy, place) as (tenant, channel):
        for number in range(2):
            await channel.handlers.on_message(a_message(f"m{number}", chat=f"dc:{number}", kind="dm"))
        await channel.says(bool, chat="dc:1")
    async with a_tenant(tmp_path, ScriptedGateway(), policy, place) as (tenant, channel):
        await channel.says(lambda texts: texts == ["echo: m1"], chat="dc:1")
        await tenant.lanes.idle()
        assert await tenant.outbox.shown_keys("queued_") == []


async def test_a_full_pool_is_waited_for_without_a_failed_try_and_left_as_soon_as_a_run_ends(tmp_path):
    gate = Gate()
    gateway = ScriptedGateway(reply=gate)
    policy = a_policy(runs={"retry_delays_s": [], "drain_s": 1})
    async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
        await channel.handlers.on_message(a_message("first", chat="dc:1", kind="dm"))
        await gate.reached.wait()
        gateway.lease_fails = [FULL]
        await channel.handlers.on_message(a_message("second", chat="dc:2", kind="dm"))
        while not (view := tenant.lanes.look("dc:2")) or view.state != "waiting":
            await asyncio.sleep(0.01)
        assert view.position == 1
        gate.open.set()
        await channel.says(lambda texts: texts == ["echo: second"], chat="dc:2", within_s=5)
        await tenant.lanes.idle()
        runs = await tenant.store.recent_runs()
    assert [(run.ok, run.attempt) for run in runs] == [(True, 1), (True, 1)]


async def test_two_chats_of_one_group_never_run_at_once_and_each_is_answered_where_it_was_asked(tmp_path):
    running, most = [0], [0]

    async def reply(worker, asked, prompt_uuid):
        running[0] += 1
        most[0] = max(most[0], running[0])
        await asyncio.sleep(0.05)
        running[0] -= 1
        await echo(worker, asked, prompt_uuid)

    gateway = ScriptedGateway(reply=reply)
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await tenant.intake.register(Group("lab", "dc:1", "lab", requires_trigger=False))
        await channel.handlers.on_message(a_message("in the thread", chat="dc:11", kind="thread", parent="dc:1"))
        await channel.handlers.on_message(a_message("in the channel", chat="dc:1"))
        await channel.says(lambda texts: texts == ["echo: in the channel"], chat="dc:1")
        await channel.says(lambda texts: texts == ["echo: in the thread"], chat="dc:11")
        await tenant.lanes.idle()
    assert most[0] == 1
    assert len(gateway.leases) == 1


async def test_nothing_is_kept_of_threads_that_were_answered(tmp_path):
    async with a_tenant(tmp_path, ScriptedGateway()) as (tenant, channel):
        channel.status = replace(channel.status, since=datetime.now(UTC) + timedelta(hours=1))
        await tenant.intake.register(Group("lab", "dc:1", "Lab", requires_trigger=False))
        threads = [f"dc:{number}" for number in range(100, 115)]
        for thread in threads:
            message = a_message("hi", chat=thread, kind="thread", parent="dc:1")
            channel.rereads[message.id] = message
            await channel.handlers.on_message(message)
        for thread in threads:
            await channel.says(lambda texts: len(texts) == 1, chat=thread)
        await asyncio.wait_for(tenant.lanes.idle(), 10)
        assert not tenant.turns._chats
        assert not tenant.turns._release.__self__._done
