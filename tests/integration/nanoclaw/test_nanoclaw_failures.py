"""What goes wrong on the way to an answer, and that nothing is lost, said twice, or left without a word."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from nanoclaw_standins import ScriptedGateway, a_message, a_policy, a_tenant, echo

from nanoclaw.config import NanoclawPolicy
from shared.channels.base import Attachment, ChannelStatus
from shared.errors import AuthRequired, Busy, ExitCode, Unavailable
from shared.lifecycle.control import call

RUN = re.compile(r"run `run_[0-9a-z]{16}`")


def dying(times: int):
    """A behaviour: the worker dies in mid-run so many times, then answers."""
    left = [times]

    async def reply(worker, asked, prompt_uuid):
        if left[0] > 0:
            left[0] -= 1
            worker.end(137, "oom")
        else:
            await echo(worker, asked, prompt_uuid)

    return reply


async def test_a_worker_that_dies_in_mid_run_is_apologised_for_and_the_message_is_answered(tmp_path):
    gateway = ScriptedGateway(reply=dying(1))
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello"))
        apology, answer = await channel.says(lambda texts: len(texts) == 2)
        await tenant.lanes.idle()
        assert RUN.search(apology)
        assert answer == "echo: hello"
        assert await tenant.inbox.counts() == {"done": 1}
        runs = await tenant.store.recent_runs()
    assert [(run.ok, run.fault, run.attempt) for run in runs] == [(True, "", 2), (False, "worker_lost", 1)]
    assert len({run.run_id for run in runs}) == 1


async def test_a_message_that_always_kills_its_worker_becomes_a_visible_dead_letter(tmp_path):
    gateway = ScriptedGateway(reply=dying(99))
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("poison"))
        texts = await channel.says(lambda texts: len(texts) == 2)
        await tenant.lanes.idle()
        assert RUN.search(texts[0])
        assert "gave up after 3 tries" in texts[1]
        socket = tenant.paths.control_socket("nanoclaw")
        [dead] = await asyncio.to_thread(call, socket, "deadletters.list")
        assert dead["text"] == "poison"
        assert "ran out of memory" in dead["reason"]
        gateway.reply = echo
        await asyncio.to_thread(call, socket, "deadletters.requeue", id=dead["id"])
        await channel.says(lambda texts: texts[-1] == "echo: poison")
        await tenant.lanes.idle()
        assert await tenant.inbox.counts() == {"done": 1}


async def test_what_the_agent_said_before_its_worker_died_is_not_said_again(tmp_path):
    tries = []

    async def reply(worker, asked, prompt_uuid):
        tries.append(asked)
        await worker.call_tool("send_message", {"text": "step one done"})
        if len(tries) == 1:
            worker.end(1, "crashed")
        else:
            await echo(worker, asked, prompt_uuid)

    async with a_tenant(tmp_path, ScriptedGateway(reply=reply)) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        texts = await channel.says(lambda texts: "echo: go" in texts)
        await tenant.lanes.idle()
    assert texts.count("step one done") == 1
    assert texts.count("echo: go") == 1


async def test_a_partly_shown_answer_is_completed_in_place_by_the_next_try(tmp_path):
    tries = []

    async def reply(worker, asked, prompt_uuid):
        tries.append(asked)
        worker.delta("The answer is")
        if len(tries) == 1:
            await asyncio.sleep(0.3)
            worker.end(1, "crashed")
        else:
            worker.result("The answer is 42", prompt_uuid)

    policy = a_policy(streaming={"after_s": 0})
    async with a_tenant(tmp_path, ScriptedGateway(reply=reply), policy) as (tenant, channel):
        await channel.handlers.on_message(a_message("go"))
        await channel.says(lambda texts: "The answer is 42" in texts)
        await tenant.lanes.idle()
        assert [text for text in channel.texts() if text.startswith("The answer")] == ["The answer is 42"]


@pytest.mark.parametrize(
    ("status", "kept", "words"),
    [(400, True, "refused this request"), (429, False, "limit"), (529, False, "not available")],
)
async def test_an_error_of_the_model_is_one_clear_sentence_with_the_run_id(tmp_path, status, kept, words):
    calls = []

    async def reply(worker, asked, prompt_uuid):
        calls.append(asked)
        if len(calls) == 1:
            prose = "API Error: internal details nobody should see"
            worker.result(prose, prompt_uuid, is_error=True, api_error_status=status, terminal_reason="api_error")
        else:
            await echo(worker, asked, prompt_uuid)

    async with a_tenant(tmp_path, ScriptedGateway(reply=reply)) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello"))
        texts = await channel.says(lambda texts: len(texts) == (1 if kept else 2))
        await tenant.lanes.idle()
        assert words in texts[0]
        assert RUN.search(texts[0])
        assert "internal details" not in texts[0]
        assert await tenant.inbox.counts() == ({"dead": 1} if kept else {"done": 1})


async def test_a_message_waits_for_the_sign_in_and_whoever_writes_meanwhile_has_it_looked_at_again(tmp_path):
    signed_in = asyncio.Event()

    async def reply(worker, asked, prompt_uuid):
        if signed_in.is_set():
            await echo(worker, asked, prompt_uuid)
        else:
            worker.result("API Error", prompt_uuid, is_error=True, api_error_status=401, terminal_reason="api_error")

    gateway, policy = ScriptedGateway(reply=reply), a_policy(runs={"retry_delays_s": []})
    async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello"))
        [note] = await channel.says(bool)
        assert "sign in" in note
        assert RUN.search(note)
        await channel.handlers.on_message(a_message("anybody there?"))
        while len(gateway.asked) < 2:
            await asyncio.sleep(0.01)
        await until_resting(tenant)
        assert channel.texts() == [note], "that is said once"
        assert await tenant.inbox.counts() == {"new": 2}
        signed_in.set()
        await channel.handlers.on_message(a_message("now?"))
        await channel.says(lambda texts: len(texts) == 2)
        await tenant.lanes.idle()
        assert await tenant.inbox.counts() == {"done": 3}
        assert "hello" in gateway.asked[-1].prompt


async def test_a_message_that_waited_too_long_for_a_sign_in_is_a_dead_letter(tmp_path):
    async def reply(worker, asked, prompt_uuid):
        worker.result("API Error", prompt_uuid, is_error=True, api_error_status=401, terminal_reason="api_error")

    policy = a_policy(runs={"patience_s": 0})
    async with a_tenant(tmp_path, ScriptedGateway(reply=reply), policy) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello"))
        [note] = await channel.says(bool)
        await tenant.lanes.idle()
        assert "kept for the operator" in note
        assert await tenant.inbox.counts() == {"dead": 1}


async def until_resting(tenant):
    while [lane.state for lane in tenant.lanes.view()] != ["resting"]:
        await asyncio.sleep(0.01)


async def test_a_worker_evicted_while_idle_is_replaced_and_the_conversation_continues(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.lanes.idle()
        gateway.live["w1"].end(0, "evicted")
        await channel.handlers.on_message(a_message("two"))
        await channel.says(lambda texts: texts == ["echo: one", "echo: two"])
        await tenant.lanes.idle()
    assert [lease.resume for lease in gateway.leases] == [False, True]


async def test_being_busy_is_waited_out_in_silence(tmp_path):
    gateway = ScriptedGateway(lease_fails=[Busy("all slots are taken", retry_after_s=0.01)] * 2)
    policy = a_policy(runs={"retry_delays_s": []})
    async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello"))
        assert await channel.says(bool) == ["echo: hello"]
        await tenant.lanes.idle()


async def test_an_engine_that_is_down_is_told_and_tried_again(tmp_path):
    gateway = ScriptedGateway(lease_fails=[Unavailable("the Docker engine does not answer", code="engine.down")])
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello"))
        note, answer = await channel.says(lambda texts: len(texts) == 2)
        assert "no agent can be started" in note
        assert answer == "echo: hello"
        await tenant.lanes.idle()


async def test_an_agent_that_falls_silent_is_cut_and_its_worker_ended(tmp_path):
    async def reply(worker, asked, prompt_uuid):
        return None

    gateway = ScriptedGateway(reply=reply)
    policy = a_policy(runs={"silence_s": 0.05, "retry_delays_s": [0.01]})
    async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello"))
        [note] = await channel.says(bool)
        await tenant.lanes.idle()
        assert "too long" in note
        assert await tenant.inbox.counts() == {"dead": 1}
        assert await gateway.workers() == []


async def test_a_stop_lets_a_running_answer_finish_and_go_out(tmp_path):
    running = asyncio.Event()

    async def reply(worker, asked, prompt_uuid):
        running.set()
        await asyncio.sleep(0.3)
        await echo(worker, asked, prompt_uuid)

    async with a_tenant(tmp_path, ScriptedGateway(reply=reply), a_policy(runs={"drain_s": 10})) as (_, channel):
        await channel.handlers.on_message(a_message("hello"))
        await running.wait()
    assert channel.texts() == ["echo: hello"]


async def test_messages_that_arrive_while_stopping_are_kept_for_the_next_start(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await tenant.lanes.drain(0)
        await channel.handlers.on_message(a_message("late"))
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        assert await channel.says(bool) == ["echo: late"]
        await tenant.lanes.idle()


async def test_a_chat_that_is_not_registered_is_never_answered_but_remembered_with_the_reason(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway, NanoclawPolicy()) as (tenant, channel):
        message = a_message("hello?")
        await channel.handlers.on_message(message)
        item = await tenant.inbox.find("dc:1", message.id)
        assert item is not None
        assert item.state == "ignored"
        assert "groups register" in item.reason
        socket = tenant.paths.control_socket("nanoclaw")
        await asyncio.to_thread(call, socket, "groups.register", chat="dc:1", folder="main")
        await channel.handlers.on_message(a_message("hello!", addressed=False))
        assert await channel.says(bool) == ["echo: hello!"]
        await tenant.lanes.idle()


async def test_groups_run_side_by_side_up_to_the_limit_and_in_order_of_waiting(tmp_path):
    running, most, order = set(), [0], []

    async def reply(worker, asked, prompt_uuid):
        running.add(asked.worker)
        most[0] = max(most[0], len(running))
        order.append(asked.text)
        await asyncio.sleep(0.02)
        running.discard(asked.worker)
        await echo(worker, asked, prompt_uuid)

    policy = a_policy(runs={"max_concurrent": 2, "drain_s": 1})
    async with a_tenant(tmp_path, ScriptedGateway(reply=reply), policy) as (tenant, channel):
        for number in range(6):
            await channel.handlers.on_message(
                a_message(f"m{number}", chat=f"dc:{number}", kind="dm", sender=f"p{number}")
            )
        await asyncio.wait_for(tenant.lanes.idle(), 20)
        assert await tenant.inbox.counts() == {"done": 6}
    assert most[0] == 2
    assert sorted(order) == [f"m{n}" for n in range(6)]


async def test_a_refused_token_ends_the_tenant_with_the_reason(tmp_path):
    async with a_tenant(tmp_path, ScriptedGateway()) as (tenant, channel):
        failure = AuthRequired("Discord refused the bot token. Fix: …", code="discord.token_refused")
        channel.status = ChannelStatus("failed", failure.detail, failure=failure)
        channel.failed.set()
        with pytest.raises(AuthRequired) as caught:
            await tenant.wait()
    assert caught.value.exit_code == ExitCode.AUTH


async def test_the_light_route_answers_small_talk_and_hands_over_what_it_cannot_do(tmp_path):
    class Answer:
        status = 200

        def __init__(self, text):
            self.text = text

        async def read(self, limit=0):
            usage = {"prompt_tokens": 3, "completion_tokens": 2}
            return json.dumps({"choices": [{"message": {"content": self.text}}], "usage": usage}).encode()

    bodies = []

    def light(body):
        bodies.append(body)
        return Answer("Hi!" if len(bodies) == 1 else "NEED_AGENT")

    gateway = ScriptedGateway(light=light)
    async with a_tenant(tmp_path, gateway, a_policy(light={"enabled": True})) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello"))
        await channel.says(lambda texts: texts == ["Hi!"])
        await channel.handlers.on_message(a_message("what is my plan?"))
        await channel.says(lambda texts: texts == ["Hi!", "echo: what is my plan?"])
        await channel.handlers.on_message(
            a_message("look", attachments=(Attachment("1", "a.png", "image/png", 3, "https://x"),))
        )
        await channel.says(lambda texts: len(texts) == 3)
        await tenant.lanes.idle()
        lines = [json.loads(line) for line in tenant.paths.routing_metrics("nanoclaw").read_text().splitlines()]
    assert [(line["tier"], line["fallback_from"]) for line in lines] == [
        ("LIGHT", None),
        ("STANDARD", "LIGHT"),
        ("STANDARD", None),
    ]
    assert len(gateway.leases) == 1
