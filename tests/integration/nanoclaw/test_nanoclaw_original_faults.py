"""Faults of the original that must not come back, each as a sentence.

Two more are the pool's, in tests/unit/workers/test_workers_pool.py: at the limit an idle worker makes room for a group
that waits, and orphans are cleaned up by label and never by name.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from nanoclaw_standins import LastingChannel, ScriptedGateway, a_message, a_policy, a_tenant, echo

from nanoclaw.groups import Group
from shared.channels.base import InboundMessage
from shared.errors import Denied, Unavailable


async def test_a_reply_whose_text_begins_with_the_trigger_is_answered(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await tenant.intake.register(Group("lab", "dc:1", "lab"))
        message = a_message("@J and this?", addressed=False, reply_to="an earlier remark", reply_to_sender="bea")
        await channel.handlers.on_message(message)
        assert await channel.says(bool) == ["echo: @J and this?"]
        await tenant.lanes.idle()
    assert 'quote="an earlier remark"' in gateway.asked[0].prompt


async def test_a_send_that_fails_is_tried_again_until_it_worked(tmp_path):
    async with a_tenant(tmp_path, ScriptedGateway()) as (tenant, channel):
        channel.send_fails = [Unavailable("no answer", code="discord.unavailable")]
        await channel.handlers.on_message(a_message("hello"))
        assert await channel.says(bool) == ["echo: hello"]
        await tenant.lanes.idle()


async def test_a_send_that_is_refused_is_kept_where_the_operator_sees_it(tmp_path):
    async with a_tenant(tmp_path, ScriptedGateway()) as (tenant, channel):
        channel.send_fails = [Denied("the bot may not write here")]
        await channel.handlers.on_message(a_message("hello"))
        async with asyncio.timeout(10):
            while not (dead := await tenant.outbox.dead_letters()):
                await asyncio.sleep(0.01)
        assert dead[0].reason == "the bot may not write here"
        await tenant.outbox.requeue(dead[0].id)
        assert await channel.says(bool) == ["echo: hello"]


async def test_messages_of_one_millisecond_and_of_a_clock_that_is_behind_are_all_answered(tmp_path):
    moment = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    stamps = [moment, moment, moment.replace(year=2024)]
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        for number, sent_at in enumerate(stamps):
            await channel.handlers.on_message(replace(a_message(f"m{number}"), sent_at=sent_at))
            await tenant.lanes.idle()
        await channel.says(lambda texts: texts == ["echo: m0", "echo: m1", "echo: m2"])
        assert await tenant.inbox.counts() == {"done": 3}


async def test_a_task_that_is_running_when_the_tenant_restarts_does_not_run_twice(tmp_path):
    running, go_on, place = asyncio.Event(), asyncio.Event(), LastingChannel()

    async def long(worker, asked, prompt_uuid):
        running.set()
        await go_on.wait()
        await echo(worker, asked, prompt_uuid)

    gateway = ScriptedGateway(reply=long)
    prompt = a_message("do the round", task_run="task_1")
    policy = a_policy(runs={"drain_s": 0})
    async with a_tenant(tmp_path, gateway, policy, place) as (_, channel):
        await channel.handlers.on_message(prompt)
        await running.wait()
    async with a_tenant(tmp_path, gateway, policy, place) as (tenant, channel):
        await channel.handlers.on_message(prompt)  # a scheduler that is not sure fires again
        go_on.set()
        await channel.says(lambda texts: texts == ["echo: do the round"])
        await tenant.lanes.idle()
    assert len(gateway.asked) == 1


@pytest.mark.parametrize("words", ["No conversation found with session ID: x", "Failed to resume session: EISDIR"])
async def test_resuming_a_session_that_is_gone_costs_the_group_nothing_but_its_memory(tmp_path, words):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.lanes.idle()
        await gateway.end_worker("w1")
        gateway.transcripts.clear()
        gateway.resume_fails_with = words
        await channel.handlers.on_message(a_message("two"))
        assert await channel.says(lambda texts: len(texts) == 2) == ["echo: one", "echo: two"]
        await tenant.lanes.idle()
    assert [lease.resume for lease in gateway.leases] == [False, True, False]


async def test_a_session_id_that_changed_is_the_one_to_continue(tmp_path):
    changed = "11111111-2222-4333-8444-555555555555"
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: len(texts) == 1)
        await tenant.lanes.idle()
        gateway.live["w1"].session = changed
        await channel.handlers.on_message(a_message("two"))
        await channel.says(lambda texts: len(texts) == 2)
        await tenant.lanes.idle()
        assert len(gateway.leases) == 1
        await gateway.end_worker("w1")
        await channel.handlers.on_message(a_message("three"))
        await channel.says(lambda texts: len(texts) == 3)
        await tenant.lanes.idle()
    assert (gateway.leases[1].session_id, gateway.leases[1].resume) == (changed, True)


@pytest.mark.parametrize("is_error", [True, False])
@pytest.mark.parametrize(("status", "words"), [(401, "sign in"), (429, "limit")])
async def test_a_refusal_inside_a_success_is_not_passed_off_as_an_answer(tmp_path, status, words, is_error):
    async def reply(worker, asked, prompt_uuid):
        worker.result(
            f"Failed to authenticate. API Error: {status}", prompt_uuid, is_error=is_error, api_error_status=status
        )

    policy = a_policy(runs={"retry_delays_s": [], "patience_s": 0})
    async with a_tenant(tmp_path, ScriptedGateway(reply=reply), policy) as (tenant, channel):
        await channel.handlers.on_message(a_message("hello"))
        [note] = await channel.says(bool)
        await tenant.lanes.idle()
        assert words in note
        assert "API Error" not in note
        assert await tenant.inbox.counts() == {"dead": 1}


async def test_the_next_start_does_not_kill_the_answer_it_meant_to_keep(tmp_path):
    running, go_on, place = asyncio.Event(), asyncio.Event(), LastingChannel()

    async def long(worker, asked, prompt_uuid):
        running.set()
        await go_on.wait()
        await echo(worker, asked, prompt_uuid)

    gateway = ScriptedGateway(reply=long)
    message: InboundMessage = a_message("hello")
    policy = a_policy(runs={"drain_s": 0})
    async with a_tenant(tmp_path, gateway, policy, place) as (tenant, channel):
        await channel.handlers.on_message(message)
        await running.wait()
        [before] = tenant.runs.current
    async with a_tenant(tmp_path, gateway, policy, place) as (tenant, channel):
        while not tenant.runs.current:
            await asyncio.sleep(0.01)
        [after] = tenant.runs.current
        go_on.set()
        await channel.says(lambda texts: texts == ["echo: hello"])
        await tenant.lanes.idle()
        assert not gateway.live["w1"].ended
    assert (after.id, after.attempt, len(gateway.leases)) == (before.id, 1, 1)
