"""A task's life: made once, paused, resumed, changed, cancelled, pruned; with a real database."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nanoclaw.config import TasksPolicy
from nanoclaw.tasks.models import OPERATOR, TaskWish
from shared.errors import Conflict, Invalid
from tests.support.tasks_bed import CLUB, LAB, START, a_bed

HOUR = timedelta(hours=1)


async def test_a_task_is_due_on_the_owners_clock(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add(schedule_kind="cron", schedule_value="30 9 * * *")
        assert task.next_at == START + 0.5 * HOUR  # 09:30 in Seoul
        assert task.schedule.describe().endswith("Asia/Seoul)")


async def test_the_same_call_repeated_makes_one_task(tmp_path):
    async with a_bed(tmp_path) as bed:
        first = await bed.add(key="run_1.task1")
        again = await bed.add(key="run_1.task1", prompt="worded otherwise")
        other = await bed.add(key="run_1.task2", schedule_kind="once", schedule_value="2026-03-01 10:00")
        bed.clock.advance(7200)
        assert await bed.add(key="run_1.task2", schedule_kind="once", schedule_value="2026-03-01 10:00") == other
        assert again == first
        assert len(await bed.tasks.visible(OPERATOR)) == 2
        assert other.id != first.id


async def test_a_group_may_have_so_many_tasks_and_more_once_one_is_over(tmp_path):
    async with a_bed(tmp_path, TasksPolicy(max_per_group=2)) as bed:
        first = await bed.add()
        await bed.tasks.pause(OPERATOR, (await bed.add()).id)
        with pytest.raises(Invalid, match="has 2 tasks and may have 2"):
            await bed.add()
        await bed.add(CLUB)
        await bed.tasks.cancel(OPERATOR, first.id)
        await bed.add()


async def test_a_paused_task_does_not_run_and_resumed_does_not_fire_its_old_time(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add()
        await bed.tick(30 * 60)
        paused = await bed.tasks.pause(OPERATOR, task.id)
        assert (paused.status, paused.next_at, paused.reason) == ("paused", None, "paused by operator")
        assert await bed.tasks.pause(LAB, task.id) == paused
        assert await bed.tick(10 * 3600) == ()
        resumed = await bed.tasks.resume(OPERATOR, task.id)
        assert (resumed.status, resumed.next_at) == ("active", START + 11 * HOUR)
        assert await bed.tick() == ()
        [run] = await bed.tick(1800)
        assert run.scheduled_at == START + 11 * HOUR


async def test_a_single_moment_that_passed_while_paused_needs_a_new_time(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add(schedule_kind="once", schedule_value="2026-03-01 10:00")
        await bed.tasks.pause(OPERATOR, task.id)
        bed.clock.advance(7200)
        with pytest.raises(Invalid, match="has passed"):
            await bed.tasks.resume(OPERATOR, task.id)
        with pytest.raises(Invalid, match="in the past"):
            await bed.tasks.update(OPERATOR, task.id, TaskWish("", "once", "2026-03-01 10:00"))
        await bed.tasks.update(OPERATOR, task.id, TaskWish("", "once", "2026-03-01 12:00"))
        assert (await bed.tasks.resume(OPERATOR, task.id)).next_at == START + 3 * HOUR


async def test_a_single_moment_is_completed_when_its_run_has_ended(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add(schedule_kind="once", schedule_value="2026-03-01 10:00")
        [run] = await bed.tick(3600)
        assert (await bed.task(task.id)).status == "active"
        assert await bed.tick(3600) == ()
        assert await bed.answer() == ["look"]
        await bed.tick()
        task = await bed.task(task.id)
        assert (task.status, task.reason, task.next_at) == ("completed", "it has run", None)
        assert [r.id for r in await bed.runs()] == [run.id]
        for change in (bed.tasks.pause, bed.tasks.resume, bed.tasks.cancel, bed.tasks.run_now):
            with pytest.raises(Conflict, match="completed"):
                await change(OPERATOR, task.id)


async def test_cancelling_takes_back_a_prompt_nobody_has_begun_to_answer(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add()
        await bed.tick(3600)
        cancelled = await bed.tasks.cancel(LAB, task.id)
        assert (cancelled.status, cancelled.next_at) == ("cancelled", None)
        assert await bed.tasks.cancel(LAB, task.id) == cancelled
        assert await bed.answer() == []
        [run] = await bed.runs()
        assert (run.state, run.reason) == ("withdrawn", "cancelled by lab")
        assert await bed.inbox.counts() == {"ignored": 1}


async def test_pausing_leaves_a_run_that_has_begun(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add()
        await bed.tick(3600)
        [item] = await bed.inbox.claim(LAB.chat)
        await bed.tasks.pause(OPERATOR, task.id)
        assert [run.state for run in await bed.runs()] == ["open"]
        await bed.inbox.finish([item.id], run_id="run_1")
        await bed.tick()
        assert [run.state for run in await bed.runs()] == ["ok"]
        assert (await bed.task(task.id)).status == "paused"


async def test_changing_a_schedule_counts_from_now_and_the_rest_stays(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add(context="isolated", missed="skip")
        bed.clock.advance(600)
        changed = await bed.tasks.update(LAB, task.id, TaskWish("", "interval", "30m"))
        assert changed.next_at == START + timedelta(minutes=40)
        assert (changed.prompt, changed.context, changed.missed) == ("look", "isolated", "skip")
        changed = await bed.tasks.update(LAB, task.id, TaskWish(prompt="look twice", context="group"))
        assert changed.next_at == START + timedelta(minutes=40)
        assert (changed.prompt, changed.context) == ("look twice", "group")
        for wish, words in (
            (TaskWish(), "nothing is to be changed"),
            (TaskWish(schedule_value="5m"), "give both"),
            (TaskWish("", "interval", "5s"), "apart"),
        ):
            with pytest.raises(Invalid, match=words):
                await bed.tasks.update(LAB, task.id, wish)


async def test_a_run_by_hand_leaves_the_schedule_alone(tmp_path):
    async with a_bed(tmp_path) as bed:
        task = await bed.add()
        bed.clock.advance(60)
        run = await bed.tasks.run_now(OPERATOR, task.id)
        assert bed.woken == [LAB.chat]
        assert (await bed.task(task.id)).next_at == task.next_at
        with pytest.raises(Conflict, match="not finished"):
            await bed.tasks.run_now(OPERATOR, task.id)
        assert await bed.answer() == ["look"]
        [scheduled] = await bed.tick(3540)
        assert scheduled.id != run.id


async def test_removing_a_group_pauses_its_tasks_and_takes_their_prompts_back(tmp_path):
    async with a_bed(tmp_path) as bed:
        task, other = await bed.add(), await bed.add(CLUB)
        await bed.tick(3600)
        await bed.store.remove_group(LAB.folder)
        task = await bed.task(task.id)
        assert (task.status, task.next_at, task.reason) == ("paused", None, "its group was removed")
        assert await bed.inbox.counts() == {"new": 1, "ignored": 1}
        assert (await bed.task(other.id)).status == "active"
        with pytest.raises(Invalid, match="register it first"):
            await bed.tasks.resume(OPERATOR, task.id)
        await bed.store.put_group(LAB)
        assert (await bed.tasks.resume(OPERATOR, task.id)).status == "active"


async def test_a_task_that_cannot_be_read_is_paused_and_does_not_hold_up_others(tmp_path):
    async with a_bed(tmp_path) as bed:
        broken, lost, good = await bed.add(), await bed.add(CLUB), await bed.add()
        now = bed.clock.now()
        await bed.db.write(lambda c: c.exec_driver_sql("UPDATE task SET zone = 'Mars/Base' WHERE id = ?", (broken.id,)))
        await bed.db.write(lambda c: c.exec_driver_sql('DELETE FROM "group" WHERE folder = ?', (CLUB.folder,)))
        [run] = await bed.tick(3600)
        assert run.task_id == good.id
        assert "Mars/Base" in (await bed.task(broken.id)).reason
        assert "not registered" in (await bed.task(lost.id)).reason
        assert {(await bed.task(task.id)).status for task in (broken, lost)} == {"paused"}
        assert now < bed.clock.now()


async def test_history_is_pruned_by_age_and_number_and_open_runs_stay(tmp_path):
    async with a_bed(tmp_path, TasksPolicy(history_days=10, history_runs=3)) as bed:
        task = await bed.add()
        once = await bed.add(CLUB, schedule_kind="once", schedule_value="2026-03-01 09:30")
        for _ in range(6):
            await bed.tick(3600)
            await bed.answer()
            await bed.answer(CLUB.chat)
        await bed.tick(3600)
        before = bed.clock.now() - timedelta(days=10)
        await bed.db.write(lambda c: rows_of(c, bed).prune(before=before, keep=3))
        states = [run.state for run in await bed.runs(task.id)]
        assert states == ["ok", "ok", "ok", "open"]
        before = bed.clock.now() + timedelta(days=1)
        await bed.db.write(lambda c: rows_of(c, bed).prune(before=before, keep=3))
        assert [run.state for run in await bed.runs()] == ["open"]
        assert await bed.task(once.id) is None
        assert (await bed.task(task.id)).status == "active"


def rows_of(connection, bed):
    from nanoclaw.tasks.store import TaskRows

    return TaskRows(connection, bed.tables)
