"""Claim first: what one look at the tasks puts into the database, and that no occurrence comes twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nanoclaw.config import TasksPolicy
from nanoclaw.tasks.models import OPERATOR
from tests.support.tasks_bed import CLUB, LAB, START, a_bed

HOUR = timedelta(hours=1)


async def test_a_due_task_becomes_a_prompt_in_the_inbox_and_its_next_time_is_set_at_once(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add(prompt="water the plants", context="isolated")
        assert await bed.tick(3599) == ()
        [run] = await bed.tick(1)
        assert (run.scheduled_at, run.state, run.context) == (START + HOUR, "open", "isolated")
        assert (await bed.task(task.id)).next_at == START + 2 * HOUR
        assert bed.woken == [LAB.chat]
        [item] = await bed.inbox.claim(LAB.chat)
        message = item.message
        assert (message.id, message.task_run, message.text) == (f"task:{run.id}", run.id, "water the plants")
        assert message.sender.name == "task"
        assert run.id.startswith(f"{task.id}.")
        assert await bed.inbox.cursors() == {}


async def test_the_original_runs_a_task_again_that_takes_longer_than_a_minute_and_ours_does_not(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add(schedule_kind="cron", schedule_value="0 * * * *")
        await bed.tick(3600)
        [item] = await bed.inbox.claim(LAB.chat)
        for _ in range(30):
            assert await bed.tick(60) == ()
        await bed.inbox.finish([item.id], run_id="run_1")
        assert await bed.tick() == ()
        assert len(await bed.runs(task.id)) == 1


async def test_what_comes_due_during_a_run_is_one_run_after_it(tmp_path):
    async with a_bed(tmp_path) as bed:
        await bed.add()
        await bed.tick(3600)
        assert await bed.tick(5 * 3600) == ()
        await bed.answer()
        [run] = await bed.tick()
        assert run.scheduled_at == START + 2 * HOUR
        await bed.answer()
        assert await bed.tick() == ()


@pytest.mark.parametrize("own", ["", "run_once", "skip"])
@pytest.mark.parametrize("policy", ["run_once", "skip"])
async def test_runs_missed_while_down_are_one_run_or_none(tmp_path, policy, own):
    wanted = own or policy
    async with a_bed(tmp_path, TasksPolicy(missed=policy)) as bed:
        task = await bed.add(missed=own)
    bed.clock.advance(100 * 3600 + 1800)
    async with a_bed(tmp_path, TasksPolicy(missed=policy), clock=bed.clock) as bed:
        [run] = await bed.tick()
        assert run.state == ("open" if wanted == "run_once" else "skipped")
        assert await bed.tick() == ()
        assert (await bed.task(task.id)).next_at == START + 101 * HOUR
        assert await bed.answer() == (["look"] if wanted == "run_once" else [])
        [run] = await bed.runs()
        assert ("late" if wanted == "run_once" else "left out") in run.reason


async def test_a_single_moment_missed_and_left_out_says_so(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add(schedule_kind="once", schedule_value="2026-03-01 10:00", missed="skip")
        await bed.tick(7200)
        task = await bed.task(task.id)
        assert task.status == "completed"
        assert "left out, as policy says" in task.reason


async def test_a_clock_that_is_set_back_does_not_make_a_run_come_twice(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add()
        [first] = await bed.tick(3600)
        await bed.answer()
        bed.clock.jump(-1800)
        assert await bed.tick() == ()
        # An operator who pauses and resumes meanwhile gets the same occurrence again: it has had its run.
        await bed.tasks.pause(OPERATOR, task.id)
        assert (await bed.tasks.resume(OPERATOR, task.id)).next_at == first.scheduled_at
        assert await bed.tick(1800) == ()
        assert (await bed.task(task.id)).next_at == START + 2 * HOUR
        [second] = await bed.tick(3600)
        assert [run.id for run in await bed.runs()] == [first.id, second.id]


async def test_a_run_whose_prompt_somebody_else_settled_is_closed_with_that_reason(tmp_path):
    async with a_bed(tmp_path) as bed:
        for group in (LAB, CLUB):
            await bed.add(group)
        await bed.tick(3600)
        [lab] = await bed.inbox.claim(LAB.chat)
        [club] = await bed.inbox.claim(CLUB.chat)
        await bed.inbox.ignore(lab.id, "stopped by Ann")
        await bed.inbox.bury([club.id], "given up after try 3")
        await bed.tick()
        runs = {run.folder: run for run in await bed.runs()}
        assert (runs["lab"].state, runs["lab"].reason) == ("withdrawn", "stopped by Ann")
        assert (runs["club"].state, runs["club"].reason) == ("failed", "given up after try 3")


async def test_more_tasks_than_one_look_takes_are_all_claimed(tmp_path):
    async with a_bed(tmp_path) as bed:
        for _ in range(50):
            await bed.add(LAB)
        for _ in range(3):
            await bed.add(CLUB)
        bed.clock.advance(3600)
        claims = await bed.schedule.claim_due()
        assert (len(claims.runs), claims.more) == (50, True)
        claims = await bed.schedule.claim_due()
        assert (len(claims.runs), claims.more, claims.next_at) == (3, False, None)
        assert claims.is_waiting
