"""Scheduled tasks through the whole tenant: inbox, lanes, runs, workers, outbox; also across its death."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from nanoclaw_processes import finish, start
from nanoclaw_standins import ScriptedGateway, a_message, a_policy, a_tenant, echo, paths_in

from nanoclaw.groups import Group
from nanoclaw.tasks.models import OPERATOR, TaskWish
from shared.clock import FakeClock
from shared.lifecycle.control import RemoteError, call

START = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
HOURLY = TaskWish("look around", "interval", "1h")
LAB = Group("lab", "dc:1", "Lab #general")


@contextlib.asynccontextmanager
async def a_tenant_with_a_group(folder, gateway, *, clock, **policy):
    """As `a_tenant`, with the group ``lab`` of chat dc:1 and a clock that moves when told to."""
    async with a_tenant(folder, gateway, a_policy(**policy), clock=clock) as (tenant, channel):
        await tenant.intake.register(LAB)
        yield tenant, channel


async def pass_time(tenant, seconds: float) -> None:
    tenant.clock.advance(seconds)
    tenant.schedule.nudge()


async def runs_of(tenant, task_id: str = ""):
    return (await tenant.tasks.read(lambda rows: rows.runs(task_id=task_id, limit=100)))[::-1]


async def settled(tenant, count: int = 1):
    """Wait until so many runs are not open."""
    async with asyncio.timeout(10):
        while sum(run.state != "open" for run in await runs_of(tenant)) < count:
            await asyncio.sleep(0.01)
    await tenant.lanes.idle()
    return await runs_of(tenant)


async def test_a_due_task_is_answered_in_its_chat_and_its_outcome_is_kept(tmp_path):
    gateway = ScriptedGateway()
    light = {"enabled": True}
    async with a_tenant_with_a_group(tmp_path, gateway, clock=FakeClock(START), light=light) as (tenant, channel):
        task = await tenant.tasks.create(OPERATOR, TaskWish("hello <there>", "cron", "0 10 * * *"), target="lab")
        await pass_time(tenant, 3600)
        assert len(await channel.says(bool)) == 1
        [run] = await settled(tenant)
        assert (run.state, run.reason, run.tries, run.scheduled_at) == ("ok", "due", 1, START + timedelta(hours=1))
        assert (run.input_tokens, run.output_tokens, run.cost_usd) == (10, 5, 0.01)
        assert run.result.startswith("echo: ")
        [record] = await tenant.store.recent_runs()
        assert (record.run_id, record.tier, record.reason) == (run.run_id, "STANDARD", "a scheduled task")
        assert await tenant.inbox.counts() == {"done": 1}
    prompt = gateway.asked[0].prompt
    assert prompt.startswith("[This prompt was sent automatically by the schedule, not by a person.]")
    assert f'<scheduled-task id="{task.id}" scheduled-for="2026-03-01T10:00:00+09:00"' in prompt
    assert "hello &lt;there&gt;</scheduled-task>" in prompt


async def test_an_isolated_run_leaves_the_groups_worker_and_conversation_alone(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant_with_a_group(tmp_path, gateway, clock=FakeClock(START)) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: len(texts) == 1)
        wish = TaskWish("look around", "interval", "1h", context="isolated")
        await tenant.tasks.create(OPERATOR, wish, target="lab")
        await pass_time(tenant, 3600)
        await channel.says(lambda texts: len(texts) == 2)
        await settled(tenant)
        live, isolated = gateway.live["w1"], gateway.live["w2"]
        assert isolated.ended
        assert not live.ended
        assert isolated.request.isolated
        assert not isolated.request.resume
        assert isolated.session != live.session
        assert await tenant.store.session_of("lab") == live.session
        await channel.handlers.on_message(a_message("two"))
        await channel.says(lambda texts: len(texts) == 3)
        await pass_time(tenant, 3600)
        await settled(tenant, 2)
    assert [(asked.worker, asked.turn) for asked in gateway.asked] == [("w1", 1), ("w2", 1), ("w1", 2), ("w3", 1)]
    assert gateway.leases[2].session_id != isolated.session


async def test_a_group_run_goes_on_in_the_conversation(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant_with_a_group(tmp_path, gateway, clock=FakeClock(START)) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.tasks.create(OPERATOR, TaskWish("look", "interval", "1h", context="group"), target="lab")
        await pass_time(tenant, 3600)
        await channel.says(lambda texts: len(texts) == 2)
        await settled(tenant)
    assert [(asked.worker, asked.turn) for asked in gateway.asked] == [("w1", 1), ("w1", 2)]


async def test_killed_between_claim_and_run_the_task_runs_exactly_once(tmp_path):
    gateway, clock = ScriptedGateway(), FakeClock(START)
    async with a_tenant_with_a_group(tmp_path, gateway, clock=clock) as (tenant, _):
        await tenant.tasks.create(OPERATOR, HOURLY, target="lab")
        tenant.schedule.wake = lambda chat: None  # the process dies before the lane hears of it
        clock.advance(3600)
        assert len((await tenant.schedule.claim_due()).runs) == 1
    assert gateway.asked == []
    clock.advance(30 * 60)
    for _ in range(2):
        async with a_tenant(tmp_path, gateway, clock=clock) as (tenant, _):
            [run] = await settled(tenant)
            assert run.state == "ok"
    assert len(gateway.asked) == 1


async def test_killed_in_mid_run_the_task_is_answered_once_and_not_claimed_again(tmp_path):
    hung, go_on = asyncio.Event(), asyncio.Event()

    async def reply(worker, asked, prompt_uuid):
        hung.set()
        await go_on.wait()
        await echo(worker, asked, prompt_uuid)

    gateway, clock = ScriptedGateway(reply=reply), FakeClock(START)
    async with a_tenant_with_a_group(tmp_path, gateway, clock=clock, runs={"drain_s": 0}) as (tenant, _):
        task = await tenant.tasks.create(OPERATOR, HOURLY, target="lab")
        await pass_time(tenant, 3600)
        await asyncio.wait_for(hung.wait(), 10)
        for _ in range(5):  # the original starts it again a minute later
            await pass_time(tenant, 61)
        assert (await tenant.schedule.claim_due()).runs == ()
    go_on.set()
    async with a_tenant(tmp_path, gateway, clock=clock) as (tenant, channel):
        texts = await channel.says(bool)
        [run] = await settled(tenant)
        assert (run.state, run.scheduled_at) == ("ok", START + timedelta(hours=1))
        assert len(texts) == len(gateway.asked) == 1
        assert (await tenant.tasks.visible(OPERATOR))[0].id == task.id


async def test_a_task_that_fails_is_told_in_the_chat_and_kept_as_a_dead_letter(tmp_path):
    broken = [True]

    async def reply(worker, asked, prompt_uuid):
        if broken:
            worker.end(137, "oom")
        else:
            await echo(worker, asked, prompt_uuid)

    gateway, clock = ScriptedGateway(reply=reply), FakeClock(START)
    runs = {"retry_delays_s": [], "drain_s": 1}
    async with a_tenant_with_a_group(tmp_path, gateway, clock=clock, runs=runs) as (tenant, channel):
        task = await tenant.tasks.create(OPERATOR, HOURLY, target="lab")
        await pass_time(tenant, 3600)
        [note] = await channel.says(bool)
        [run] = await settled(tenant)
        assert note.startswith(f"Scheduled task `{task.id}`: Sorry, the agent stopped")
        assert (run.state, run.fault, run.tries) == ("failed", "worker_lost", 1)
        assert "ran out of memory" in run.reason
        socket = tenant.paths.control_socket("nanoclaw")
        [dead] = await asyncio.to_thread(call, socket, "deadletters.list")
        assert (dead["who"], dead["text"]) == ("task", "look around")
        broken.clear()
        await asyncio.to_thread(call, socket, "deadletters.requeue", id=dead["id"])
        await channel.says(lambda texts: len(texts) == 2)
        await tenant.lanes.idle()
        [run] = await runs_of(tenant)
        assert (run.state, run.fault) == ("ok", "")
        assert (await tenant.tasks.visible(OPERATOR))[0].status == "active"


async def test_prompts_and_peoples_messages_are_answered_apart_and_in_order(tmp_path):
    go_on = asyncio.Event()

    async def reply(worker, asked, prompt_uuid):
        await go_on.wait()
        await echo(worker, asked, prompt_uuid)

    gateway, clock = ScriptedGateway(reply=reply), FakeClock(START)
    async with a_tenant_with_a_group(tmp_path, gateway, clock=clock) as (tenant, channel):
        await tenant.tasks.create(OPERATOR, HOURLY, target="lab")
        await channel.handlers.on_message(a_message("first"))
        async with asyncio.timeout(10):
            while not gateway.asked:
                await asyncio.sleep(0.01)
        await channel.handlers.on_message(a_message("second"))
        await channel.handlers.on_message(a_message("chat", addressed=False))
        clock.advance(3600)
        await tenant.schedule.claim_due()
        await channel.handlers.on_message(a_message("third"))
        go_on.set()
        await channel.says(lambda texts: len(texts) == 4)
        await tenant.lanes.idle()
        assert await tenant.inbox.counts() == {"done": 5}
    prompts = [asked.prompt for asked in gateway.asked]
    assert [re.findall(r">(first|second|chat|third|look around)<", prompt) for prompt in prompts] == [
        ["first"],
        ["second"],
        ["look around"],
        ["chat", "third"],
    ]


async def test_an_agents_task_survives_a_repeated_run_as_one(tmp_path):
    said = []

    async def reply(worker, asked, prompt_uuid):
        if "remind" not in asked.text:
            return await echo(worker, asked, prompt_uuid)
        wish = {"prompt": f"say tea, try {len(said)}", "schedule_type": "interval", "schedule_value": "1h"}
        answer = await worker.call_tool("schedule_task", wish)
        said.append(answer["content"][0]["text"])
        if len(said) == 1:
            return worker.end(1, "crashed")
        return await echo(worker, asked, prompt_uuid)

    gateway, clock = ScriptedGateway(reply=reply), FakeClock(START)
    runs = {"retry_delays_s": [0], "drain_s": 1}
    async with a_tenant_with_a_group(tmp_path, gateway, clock=clock, runs=runs) as (tenant, channel):
        await channel.handlers.on_message(a_message("remind me"))
        await channel.says(lambda texts: "echo: remind me" in texts)
        [task] = await tenant.tasks.visible(OPERATOR)
        assert (task.prompt, task.folder, task.made_by, task.context) == ("say tea, try 0", "lab", "lab", "group")
        assert said[0].startswith(f"scheduled: {task.id}: active; every 1h; next run 2026-03-01 10:00 KST")
        assert f"has scheduled already: {task.id}" in said[1]
        await pass_time(tenant, 3600)
        await channel.says(lambda texts: "echo" in texts[-1] and "tea" in texts[-1])


async def test_an_agent_handles_its_tasks_and_is_told_what_came_of_it(tmp_path):
    answers: list[tuple[str, bool]] = []

    async def reply(worker, asked, prompt_uuid):
        await worker.call_tool("list_tasks", {})
        for name, arguments in json.loads(asked.text):
            answer = await worker.use_tool(name, arguments)
            answers.append((answer["content"][0]["text"], answer["isError"]))
        await echo(worker, asked, prompt_uuid)

    gateway, clock = ScriptedGateway(reply=reply), FakeClock(START)
    async with a_tenant_with_a_group(tmp_path, gateway, clock=clock) as (tenant, channel):
        foreign = await register_main(tenant)
        mine = await tenant.tasks.create(OPERATOR, HOURLY, target="lab")
        one = {"task_id": mine.id}
        hourly = {"prompt": "p", "schedule_type": "interval", "schedule_value": "1h"}
        calls = [
            ("list_tasks", {}),
            ("pause_task", one),
            ("update_task", one | {"schedule_type": "once", "schedule_value": "2026-03-01 08:00"}),
            ("update_task", one | {"schedule_type": "cron", "schedule_value": "@daily"}),
            ("resume_task", one),
            ("cancel_task", one),
            ("resume_task", one),
            ("pause_task", {"task_id": foreign.id}),
            ("schedule_task", hourly | {"schedule_value": "5"}),
            ("schedule_task", hourly | {"target_group": "main"}),
        ]
        await channel.handlers.on_message(a_message(json.dumps(calls)))
        await channel.says(bool)
        await tenant.lanes.idle()
        assert (await tenant.tasks.visible(OPERATOR))[0].id == foreign.id
    texts = [text for text, _ in answers]
    assert [is_error for _, is_error in answers] == [False, False, True, False, False, False, True, True, True, True]
    assert texts[0].count("task_") == 1
    assert "in the past (now is 2026-03-01 09:00:00 KST)" in texts[2]
    assert "next run 2026-03-02 00:00 KST" in texts[4]
    assert "is cancelled: make a new one" in texts[6]
    assert "there is no task" in texts[7]
    assert "write for example '30m'" in texts[8]
    assert "target_group" in texts[9]


async def register_main(tenant):
    main = await tenant.intake.register(Group("main", "dc:9", "Home", is_main=True))
    return await tenant.tasks.create(main, HOURLY, key="k")


async def test_the_operator_handles_tasks_on_the_command_line_also_while_it_is_down(tmp_path):
    gateway, clock, paths = ScriptedGateway(), FakeClock(START), paths_in(tmp_path)

    async def nanoclaw(*arguments: str) -> tuple[int, str, str]:
        return await finish(await start(paths, "tasks", *arguments))

    async with a_tenant_with_a_group(tmp_path, gateway, clock=clock) as (tenant, channel):
        code, out, _ = await nanoclaw("list")
        assert code == 0
        assert "nanoclaw tasks add GROUP" in out
        code, out, _ = await nanoclaw("add", "lab", "look around", "--cron", "0 10 * * *", "--json")
        task = json.loads(out)
        assert (code, task["next_local"], task["context"]) == (0, "2026-03-01 10:00 KST", "isolated")
        code, out, _ = await nanoclaw("run-now", task["id"])
        assert (code, "waits for its turn in dc:1" in out) == (0, True)
        await channel.says(bool)
        await settled(tenant)
        for arguments, words in (
            (("add", "lab", "x", "--every", "5s"), "at least 60 s"),
            (("add", "lab", "x"), "exactly one of"),
            (("add", "nowhere", "x", "--every", "1h"), "no group 'nowhere'"),
            (("resume", "task_nothing"), "no task 'task_nothing'"),
        ):
            code, _, err = await nanoclaw(*arguments)
            assert code != 0
            assert words in err
        code, out, _ = await nanoclaw("pause", task["id"])
        assert (code, out) == (0, f"{task['id']} of lab is paused ({task['schedule']['text']})\n")
        socket = paths.control_socket("nanoclaw")
        assert (await asyncio.to_thread(call, socket, "status"))["tasks"] == {"paused": 1}
        with pytest.raises(RemoteError, match="name a task by its id"):
            await asyncio.to_thread(call, socket, "tasks.pause")

    code, out, err = await nanoclaw("list", "--json")
    assert (code, [t["id"] for t in json.loads(out)]) == (0, [task["id"]])
    assert "is not running" in err
    code, out, _ = await nanoclaw("show", task["id"])
    assert (code, "paused by operator" in out, "look around" in out) == (0, True, True)
    code, out, _ = await nanoclaw("history", task["id"])
    assert (code, " ok " in out) == (0, True)
    assert re.search(r"0\.0100\s+echo", out)
    code, _, err = await nanoclaw("history", "task_nothing")
    assert (code, "no task" in err) == (1, True)
    code, _, err = await nanoclaw("resume", task["id"])
    assert (code, "clawgate up" in err) == (69, True)


async def test_before_the_first_start_there_is_nothing_to_read_and_the_command_says_so(tmp_path):
    code, out, err = await finish(await start(paths_in(tmp_path), "tasks", "list"))
    assert (code, out) == (1, "")
    assert "made at the first start" in err
