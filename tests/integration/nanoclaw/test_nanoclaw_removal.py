"""A removed group: its run and its workers end at once, what waits is settled, and nothing brings the chat back."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from nanoclaw_standins import MemoryChannel, ScriptedGateway, a_message, a_policy, a_tenant, echo

from nanoclaw.cli import cli
from nanoclaw.control import operations
from nanoclaw.groups import Group
from nanoclaw.tasks.control import task_operations

MAIN = Group("main", "dc:1", "Den", is_main=True, requires_trigger=False)
LAB = Group("lab", "dc:2", "Lab", requires_trigger=False)


async def tenant_status(tenant):
    """What a running tenant answers."""
    status = await operations(tenant)["status"]({})
    assert status["running"]
    return status


class MainRemoves:
    """Every agent but main's is busy until it is told to go on; main's removes the lab."""

    def __init__(self) -> None:
        self.busy, self.said = asyncio.Event(), ""

    async def __call__(self, worker, asked, prompt_uuid):
        if worker.request.group != "main":
            self.busy.set()
            await asyncio.Event().wait()
        await worker.hello()
        self.said = await worker.say_through("remove_group", {"folder": "lab"})
        worker.result("done", prompt_uuid)


async def lab_removed_by_main(tenant, channel, agents):
    await channel.handlers.on_message(a_message("remove the lab", chat="dc:1"))
    await channel.says(lambda texts: texts == ["done"], chat="dc:1")
    await asyncio.wait_for(tenant.lanes.idle(), 10)
    assert agents.said.startswith("removed lab"), agents.said


@pytest.mark.parametrize("register", ["explicit", "on_mention"])
async def test_a_group_that_mains_agent_removes_stops_at_once_and_for_good(tmp_path, register):
    agents = MainRemoves()
    gateway = ScriptedGateway(reply=agents)
    async with a_tenant(tmp_path, gateway, a_policy(chats={"register": register})) as (tenant, channel):
        for group in (MAIN, LAB):
            await tenant.intake.register(group)
        running, waiting = a_message("go", chat="dc:2"), a_message("and then", chat="dc:2")
        await channel.handlers.on_message(running)
        await agents.busy.wait()
        await channel.handlers.on_message(waiting)
        await lab_removed_by_main(tenant, channel, agents)
        assert [group.folder for group in tenant.registry] == ["main"]
        assert [worker.group for worker in await gateway.workers()] == ["main"]
        for message in (running, waiting):
            item = await tenant.inbox.find("dc:2", message.id)
            assert (item.state, item.reason) == ("done", "group removed by the agent of main")
        [told] = await channel.says(lambda texts: len(texts) == 1, chat="dc:2")
        assert "removed by the agent of main" in told
        assert "try again" not in told
        removed = next(run for run in await tenant.store.recent_runs() if run.folder == "lab")
        assert (removed.fault, removed.reason) == ("stopped", "group removed by the agent of main")
        assert tenant.runs.current == []


async def test_a_removed_groups_isolated_task_ends_and_posts_nothing(tmp_path):
    agents = MainRemoves()
    gateway = ScriptedGateway(reply=agents)
    async with a_tenant(tmp_path, gateway, a_policy(chats={"register": "explicit"})) as (tenant, channel):
        for group in (MAIN, LAB):
            await tenant.intake.register(group)
        operate = task_operations(tenant.tasks)
        wanted = {"group": "lab", "prompt": "brief us", "schedule_type": "interval", "schedule_value": "30m"}
        task = (await operate["tasks.add"](wanted | {"context": "isolated"}))["id"]
        run = (await operate["tasks.run_now"]({"id": task}))["id"]
        await asyncio.wait_for(agents.busy.wait(), 10)
        assert [worker.isolated for worker in await gateway.workers()] == [True]
        await lab_removed_by_main(tenant, channel, agents)
        assert [worker.group for worker in await gateway.workers()] == ["main"]
        assert await tenant.tasks.read(lambda rows: rows.run(run).state) == "failed"
        assert await tenant.tasks.read(lambda rows: rows.find(task).status) == "paused"
        assert not [text for text in channel.texts("dc:2") if "removed" not in text]


async def test_what_was_written_before_the_removal_registers_the_chat_no_more_and_what_comes_after_does(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello", chat="dc:5"))
        await channel.says(lambda texts: texts == ["echo: hello"], chat="dc:5")
        await tenant.administration.remove("dc:5", by="the operator")
        late = replace(a_message("sent during an outage", chat="dc:5"), sent_at=datetime.now(UTC) - timedelta(hours=1))
        await channel.handlers.on_message(late)
        item = await tenant.inbox.find("dc:5", late.id)
        assert (item.state, item.reason) == ("ignored", "it was written before the chat's group was removed")
        await channel.handlers.on_edit(replace(late, text="edited during an outage"))
        await tenant.lanes.idle()
        assert len(tenant.registry) == 0
        anew = replace(a_message("come back", chat="dc:5"), sent_at=datetime.now(UTC) + timedelta(seconds=1))
        await channel.handlers.on_message(anew)
        await channel.says(lambda texts: texts[-1] == "echo: come back", chat="dc:5")
        assert len(tenant.registry) == 1


async def test_a_group_of_a_platform_that_is_not_configured_any_more_can_be_removed(tmp_path):
    async with a_tenant(tmp_path, ScriptedGateway(reply=echo), slack=MemoryChannel) as (tenant, _):
        slack = Group("team", "sl:C1", "Team", requires_trigger=False)
        await tenant.intake.register(slack)
    async with a_tenant(tmp_path, ScriptedGateway(reply=echo)) as (tenant, _):
        message = a_message("anybody?", chat="sl:C1")
        await tenant.inbox.append(message)
        await tenant.administration.remove("team", by="the operator")
        assert (await tenant.inbox.find("sl:C1", message.id)).state == "done"
        assert len(tenant.registry) == 0


async def test_a_message_that_is_being_taken_up_while_its_group_is_removed_begins_no_run(tmp_path):
    async with a_tenant(tmp_path, ScriptedGateway(), a_policy(chats={"register": "explicit"})) as (tenant, _):
        await tenant.intake.register(LAB)
        message = a_message("go", chat="dc:2")
        await tenant.inbox.append(message)
        claim = tenant.inbox.claim

        async def claim_and_be_overtaken(chat, **more):
            items = await claim(chat, **more)
            if any(item.message.id == message.id for item in items):
                await tenant.administration.remove("lab", by="the operator")
            return items

        tenant.inbox.claim = claim_and_be_overtaken
        tenant.wake(message)
        await asyncio.wait_for(tenant.lanes.idle(), 10)
        assert (await tenant.inbox.find("dc:2", message.id)).state in {"done", "ignored"}
        assert await tenant.store.recent_runs() == []


async def test_groups_and_dead_letters_are_shown_while_nothing_runs(tmp_path):
    async with a_tenant(tmp_path, ScriptedGateway()) as (tenant, _):
        await tenant.intake.register(LAB)
        message = a_message("hopeless", chat="dc:2")
        await tenant.inbox.append(message)
        await tenant.inbox.bury([(await tenant.inbox.find("dc:2", message.id)).id], "given up")
        state = tenant.paths.state
    for command, word in (("groups", "lab"), ("deadletters", "given up")):
        said = CliRunner().invoke(cli, [command, "list", "--state", str(state), "--json"], standalone_mode=False)
        assert said.exception is None
        assert word in str(json.loads(said.stdout))
        assert "not running" in said.stderr


def of_status(state, *more):
    return CliRunner().invoke(cli, ["status", "--state", str(state), *more], standalone_mode=False)


async def test_the_status_of_a_process_that_is_down_is_what_it_has_stored(tmp_path):
    async with a_tenant(tmp_path, ScriptedGateway()) as (tenant, _):
        await tenant.intake.register(LAB)
        hopeless, waiting = a_message("hopeless", chat="dc:2"), a_message("and me?", chat="dc:2")
        for message in (hopeless, waiting):
            await tenant.inbox.append(message)
        await tenant.inbox.bury([(await tenant.inbox.find("dc:2", hopeless.id)).id], "given up")
        state = tenant.paths.state
        running = await tenant_status(tenant)
    said = of_status(state, "--json")
    assert (said.return_value, said.exception) == (1, None)
    assert "not running" in said.stderr
    report = json.loads(said.stdout)
    assert (report["running"], report["pid"], report["groups"]) == (False, None, 1)
    assert report["waiting"] == [{"chat": "dc:2", "messages": 1}]
    assert report["inbox"] == {"dead": 1, "new": 1}
    assert report.keys() == running.keys()
    shown = of_status(state)
    assert shown.return_value == 1
    assert "not running, 1 groups, 1 messages wait, 0 to be sent, 1 dead letters" in shown.stdout
    assert "dc:2" in shown.stdout
