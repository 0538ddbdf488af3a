"""/stop, /new, /status, /help and the limits of a run: ended from outside, settled once, never tried again."""

from __future__ import annotations

import asyncio
import json

import pytest
from nanoclaw_standins import ScriptedGateway, a_message, a_policy, a_tenant, echo

from nanoclaw.commands import COMMANDS
from nanoclaw.config import NanoclawPolicy
from shared.errors import Busy, Unavailable
from shared.lifecycle.control import call


class Stuck:
    """A behaviour that never ends its turn by itself."""

    def __init__(self, *, deaf: bool = False, says: str = ""):
        self.reached, self.deaf, self.says = asyncio.Event(), deaf, says

    async def __call__(self, worker, asked, prompt_uuid):
        worker.deaf = self.deaf
        if self.says:
            worker.delta(self.says)
        self.reached.set()
        await asyncio.Event().wait()


async def order(channel, name, *, chat="dc:1", **more):
    return await channel.handlers.on_command(name, a_message("", chat=chat, **more))


async def test_stop_ends_the_run_keeps_what_was_shown_and_tries_nothing_again(tmp_path):
    stuck = Stuck(says="So far so good")
    gateway = ScriptedGateway(reply=stuck)
    async with a_tenant(tmp_path, gateway, a_policy(streaming={"after_s": 0})) as (tenant, channel):
        message = a_message("go")
        await channel.handlers.on_message(message)
        await channel.says(lambda texts: texts == ["So far so good"])
        assert await order(channel, "stop", sender="bea") == "Stopped."
        await tenant.lanes.idle()
        item = await tenant.inbox.find("dc:1", message.id)
        assert (item.state, item.reason) == ("done", "stopped by bea")
        assert await channel.says(lambda texts: len(texts) == 2) == ["So far so good", "Stopped by bea."]
        [run] = await tenant.store.recent_runs()
        assert (run.ok, run.fault) == (False, "stopped")
        # The agent was interrupted, not killed: the conversation goes on in the same worker.
        gateway.reply = echo
        await channel.handlers.on_message(a_message("next"))
        await channel.says(lambda texts: texts[-1] == "echo: next")
        await tenant.lanes.idle()
    assert len(gateway.leases) == 1


async def test_an_agent_that_does_not_heed_the_interruption_loses_its_worker(tmp_path):
    stuck = Stuck(deaf=True)
    gateway = ScriptedGateway(reply=stuck)
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        tenant.runs.interrupt_s = 0.1
        await channel.handlers.on_message(a_message("go"))
        await stuck.reached.wait()
        assert await order(channel, "stop") == "Stopped."
        await tenant.lanes.idle()
        assert await gateway.workers() == []
        gateway.reply = echo
        await channel.handlers.on_message(a_message("next"))
        assert await channel.says(lambda texts: len(texts) == 2) == ["Stopped by ann.", "echo: next"]
        await tenant.lanes.idle()


async def test_stop_works_while_the_worker_is_still_starting(tmp_path):
    starting, gateway = asyncio.Event(), ScriptedGateway()
    lease = gateway.lease_worker

    async def slow(request):
        starting.set()
        await asyncio.Event().wait()

    gateway.lease_worker = slow
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await starting.wait()
        assert await order(channel, "stop") == "Stopped."
        await tenant.lanes.idle()
        assert await tenant.inbox.counts() == {"done": 1}
        gateway.lease_worker = lease
        await channel.handlers.on_message(a_message("next"))
        assert await channel.says(lambda texts: len(texts) == 2) == ["Stopped by ann.", "echo: next"]
        await tenant.lanes.idle()


async def test_stop_settles_what_waits_in_the_queue_of_this_chat_only(tmp_path):
    stuck = Stuck()
    gateway = ScriptedGateway(reply=stuck)
    async with a_tenant(tmp_path, gateway, a_policy(runs={"max_concurrent": 1, "drain_s": 0})) as (tenant, channel):
        await channel.handlers.on_message(a_message("runs", chat="dc:1", kind="dm", sender="p1"))
        await stuck.reached.wait()
        await channel.handlers.on_message(a_message("waits", chat="dc:2", kind="dm", sender="p2"))
        await channel.handlers.on_message(a_message("waits too", chat="dc:3", kind="dm", sender="p3"))
        for chat, name in (("dc:2", "two"), ("dc:3", "three")):
            await tenant.intake.register(tenant_group(name, chat))
        assert await order(channel, "stop", chat="dc:2") == "Stopped."
        assert await order(channel, "stop", chat="dc:2") == "Nothing is running or waiting here."
        assert await tenant.inbox.counts() == {"claimed": 1, "new": 1, "done": 1}
        gateway.reply = echo
        await order(channel, "stop", chat="dc:1")
        await channel.says(lambda texts: texts == ["echo: waits too"], chat="dc:3")
        await tenant.lanes.idle()
        assert channel.texts("dc:2") == ["Stopped by ann."]


def tenant_group(folder, chat):
    from nanoclaw.groups import Group

    return Group(folder, chat, folder)


async def test_stop_ends_the_wait_before_the_next_try(tmp_path):
    gateway = ScriptedGateway(lease_fails=[Unavailable("the engine is down", code="engine.down")])
    async with a_tenant(tmp_path, gateway, a_policy(runs={"retry_delays_s": [3600]})) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await channel.says(lambda texts: len(texts) == 1)
        while tenant.lanes.look("dc:1").state != "resting":
            await asyncio.sleep(0.01)
        assert "wait for the next try" in await order(channel, "status")
        assert await order(channel, "stop") == "Stopped."
        await asyncio.wait_for(tenant.lanes.idle(), 5)
        assert await tenant.inbox.counts() == {"done": 1}


async def test_stop_ends_the_wait_for_a_free_agent(tmp_path):
    gateway = ScriptedGateway(lease_fails=[Busy("all taken", retry_after_s=3600, code="worker.full")])
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        while not (view := tenant.lanes.look("dc:1")) or view.state != "waiting":
            await asyncio.sleep(0.01)
        assert "position 1" in await order(channel, "status")
        assert await order(channel, "stop") == "Stopped."
        assert await tenant.inbox.counts() == {"done": 1}


async def test_a_run_that_takes_too_long_is_interrupted_said_in_one_sentence_and_not_tried_again(tmp_path):
    async def chatty(worker, asked, prompt_uuid):
        while True:
            worker.delta(".")
            await asyncio.sleep(0.02)

    gateway = ScriptedGateway(reply=chatty)
    policy = a_policy(runs={"timeout_s": 0.3, "silence_s": 60, "retry_delays_s": [0.01]}, streaming={"enabled": False})
    async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        [note] = await channel.says(bool)
        await tenant.lanes.idle()
        assert "took longer than a run may take" in note
        assert "run `run_" in note
        assert await tenant.inbox.counts() == {"dead": 1}
        assert await gateway.workers() == []
        [run] = await tenant.store.recent_runs()
        assert run.fault == "timeout"


async def test_waiting_for_a_tool_of_ours_is_not_silence(tmp_path):
    answered = asyncio.Event()

    async def reply(worker, asked, prompt_uuid):
        await worker.call_tool("send_message", {"text": "one moment"})
        answered.set()
        await echo(worker, asked, prompt_uuid)

    gateway = ScriptedGateway(reply=reply)
    policy = a_policy(runs={"silence_s": 0.1})
    async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
        post = tenant.outbox.post

        async def slow(key, *arguments, **more):
            if "send_message" in key:
                await asyncio.sleep(0.4)
            return await post(key, *arguments, **more)

        tenant.outbox.post = slow
        await channel.handlers.on_message(a_message("go"))
        assert await channel.says(lambda texts: len(texts) == 2) == ["one moment", "echo: go"]
        await tenant.lanes.idle()


async def test_new_forgets_the_conversation_and_ends_the_worker(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.lanes.idle()
        assert "begins a new one" in await order(channel, "new")
        assert await gateway.workers() == []
        await channel.handlers.on_message(a_message("two"))
        await channel.says(lambda texts: len(texts) == 2)
        await tenant.lanes.idle()
    assert [lease.resume for lease in gateway.leases] == [False, False]
    assert gateway.leases[0].session_id != gateway.leases[1].session_id


async def test_new_in_the_middle_of_a_run_stops_it_and_its_conversation_does_not_come_back(tmp_path):
    stuck = Stuck()
    gateway = ScriptedGateway(reply=stuck)
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await stuck.reached.wait()
        assert "is stopped" in await order(channel, "new")
        await tenant.lanes.idle()
        [group] = list(tenant.registry)
        assert await tenant.store.session_of(group.folder) == ""
        gateway.reply = echo
        await channel.handlers.on_message(a_message("two"))
        await channel.says(lambda texts: texts[-1] == "echo: two")
        await tenant.lanes.idle()
    assert [lease.resume for lease in gateway.leases] == [False, False]


async def test_status_tells_worker_run_last_run_and_todays_use(tmp_path):
    stuck = Stuck()
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.lanes.idle()
        told = await order(channel, "status")
        assert "nothing to do" in told
        assert "Today: 1 runs, 10 tokens in, 5 out, $0.01" in told
        assert "answered" in told
        gateway.reply = stuck
        await channel.handlers.on_message(a_message("two"))
        await stuck.reached.wait()
        assert "running for" in await order(channel, "status")
        socket = tenant.paths.control_socket("nanoclaw")
        [group] = list(tenant.registry)
        report = await asyncio.to_thread(call, socket, "groups.status", group=group.folder)
        assert report["run_id"].startswith("run_")
        assert json.loads(json.dumps(report))["worker"] == "busy"
        stopped = await asyncio.to_thread(call, socket, "groups.stop", group=group.folder)
        assert stopped == {"group": group.folder, "said": "Stopped."}
        assert channel.texts()[-1] == "Stopped by the operator." or await channel.says(
            lambda texts: texts[-1] == "Stopped by the operator."
        )
        begun = await asyncio.to_thread(call, socket, "groups.new", group=group.folder)
        assert "begins a new one" in begun["said"]


@pytest.mark.parametrize("name", COMMANDS)
async def test_an_unregistered_chat_gets_a_clear_answer_to_every_command(tmp_path, name):
    async with a_tenant(tmp_path, ScriptedGateway(), NanoclawPolicy()) as (_, channel):
        assert channel.handlers.commands == COMMANDS
        told = await order(channel, name, chat="dc:77")
        assert "not registered" in told
        assert "nanoclaw groups register --chat dc:77" in told


async def test_help_names_every_command_and_how_to_call(tmp_path):
    async with a_tenant(tmp_path, ScriptedGateway()) as (tenant, channel):
        await tenant.intake.register(tenant_group("lab", "dc:5"))
        told = await order(channel, "help", chat="dc:5")
        assert all(f"`/{name}`" in told for name in COMMANDS)
        assert "@J" in told
        assert "I do not know /dance" in await order(channel, "dance", chat="dc:5")


async def test_removing_a_group_stops_its_run(tmp_path):
    stuck = Stuck()
    gateway = ScriptedGateway(reply=stuck)
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await stuck.reached.wait()
        [group] = list(tenant.registry)
        socket = tenant.paths.control_socket("nanoclaw")
        await asyncio.to_thread(call, socket, "groups.remove", group=group.folder)
        await asyncio.wait_for(tenant.lanes.idle(), 5)
        assert await tenant.inbox.counts() == {"done": 1}
        assert await gateway.workers() == []
