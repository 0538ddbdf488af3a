"""Agents started ahead, isolated runs, and mounts that were refused: through a whole tenant."""

from __future__ import annotations

import asyncio

import pytest
from nanoclaw_standins import Asked, ScriptedGateway, ScriptedWorker, a_message, a_policy, a_tenant, echo

from nanoclaw.groups import Group
from shared.errors import Conflict, Unavailable
from shared.testing.waiting import until

STANDBY = {"standby": {"workers": 2}}
MAIN = {"groups": {"main": {"chat": "dc:main", "main": True}}}


def ahead(gateway: ScriptedGateway) -> dict[str, str]:
    """Groups whose standby worker lives, and what state it is in."""
    return {
        worker.request.group: gateway.states.get(worker_id, "")
        for worker_id, worker in gateway.live.items()
        if worker.request.standby and not worker.ended and worker.turn == 0
    }


async def test_mains_agent_is_ready_after_the_start_and_answers_without_a_further_lease(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway, a_policy(**STANDBY, **MAIN)) as (tenant, channel):
        await until(lambda: ahead(gateway) == {"main": "paused"})
        await channel.handlers.on_message(a_message("hello", chat="dc:main"))
        await channel.says(lambda texts: texts == ["echo: hello"], chat="dc:main")
        await tenant.lanes.idle()
    assert [(lease.group, lease.standby) for lease in gateway.leases] == [("main", True)]
    assert gateway.states == {"w1": "idle"}


async def test_a_frozen_worker_goes_on_as_soon_as_its_message_is_stored_and_one_that_answers_is_not_asked(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway, a_policy(**STANDBY, **MAIN)) as (tenant, channel):
        await until(lambda: ahead(gateway) == {"main": "paused"})
        await tenant.lanes.drain(0)  # nobody claims the message, so only its arrival can have let the worker go on
        await channel.handlers.on_message(a_message("hello", chat="dc:main"))
        await until(lambda: ahead(gateway) == {"main": "idle"})
    async with a_tenant(tmp_path, gateway, a_policy(**STANDBY, **MAIN)) as (tenant, channel):
        await channel.says(lambda texts: texts == ["echo: hello"], chat="dc:main")
        await tenant.lanes.idle()
        before = len(gateway.unpausings)
        await channel.handlers.on_message(a_message("and now", chat="dc:main"))
        await channel.says(lambda texts: texts[1:] == ["echo: and now"], chat="dc:main")
        assert len(gateway.unpausings) == before


async def test_a_worker_that_cannot_be_let_go_on_early_costs_no_answer(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway, a_policy(**STANDBY, **MAIN)) as (_, channel):
        await until(lambda: ahead(gateway) == {"main": "paused"})
        gateway.engine_down = True
        await channel.handlers.on_message(a_message("hello", chat="dc:main"))
        await channel.says(lambda texts: texts == ["echo: hello"], chat="dc:main")
    assert gateway.unpausings == ["w1"]


async def test_a_group_that_spoke_lately_is_ready_after_a_restart_with_its_conversation(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: texts == ["echo: one"])
        await tenant.lanes.idle()
    for worker in gateway.live.values():
        worker.end()
    async with a_tenant(tmp_path, gateway, a_policy(**STANDBY)) as (tenant, channel):
        await until(lambda: list(ahead(gateway).values()) == ["paused"])
        assert (gateway.leases[-1].resume, gateway.leases[-1].session_id) == (True, gateway.leases[0].session_id)
        await channel.handlers.on_message(a_message("two"))
        await channel.says(lambda texts: texts == ["echo: two"])
    assert len(gateway.leases) == 2


async def test_one_that_made_room_or_was_idle_too_long_is_made_ready_again_and_a_stopped_one_is_not(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway, a_policy(**STANDBY, **MAIN)):
        for number, reason in enumerate(("idle", "evicted"), start=2):
            await until(lambda: ahead(gateway) == {"main": "paused"})
            next(worker for worker in gateway.live.values() if not worker.ended).end(reason=reason)
            await until(lambda number=number: len(gateway.leases) == number)
        await until(lambda: ahead(gateway) == {"main": "paused"})
        next(worker for worker in gateway.live.values() if not worker.ended).end(reason="stopped")
        await asyncio.sleep(0.1)
        assert len(gateway.leases) == 3


async def test_nothing_is_started_ahead_while_somebody_waits_for_an_answer(tmp_path):
    gateway, may_end = ScriptedGateway(), asyncio.Event()

    async def slow(worker: ScriptedWorker, asked: Asked, prompt_uuid: str) -> None:
        await may_end.wait()
        await echo(worker, asked, prompt_uuid)

    gateway.reply = slow
    policy = a_policy(**STANDBY, **MAIN)
    async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
        await until(lambda: ahead(gateway) == {"main": "paused"})
        await channel.handlers.on_message(a_message("work", chat="dc:main"))
        await until(lambda: gateway.asked != [])
        tenant.registry.put(Group("other", "dc:2", "other"))
        tenant.standby.changed("other", "")
        await asyncio.sleep(0.1)
        assert ahead(gateway) == {}
        may_end.set()
        await until(lambda: ahead(gateway) == {"other": "paused"})


async def test_a_refusal_is_taken_and_costs_no_answer(tmp_path):
    gateway = ScriptedGateway(no_room=True)
    async with a_tenant(tmp_path, gateway, a_policy(**STANDBY, **MAIN)) as (_, channel):
        await channel.handlers.on_message(a_message("hello", chat="dc:main"))
        await channel.says(lambda texts: texts == ["echo: hello"], chat="dc:main")
    assert [lease.standby for lease in gateway.leases] == [False]


async def test_standby_workers_of_an_earlier_process_are_kept_and_stay_frozen(tmp_path):
    gateway = ScriptedGateway()
    policy = a_policy(**STANDBY, **MAIN)
    async with a_tenant(tmp_path, gateway, policy):
        await until(lambda: ahead(gateway) == {"main": "paused"})
    async with a_tenant(tmp_path, gateway, policy) as (_, channel):
        await until(lambda: ahead(gateway) == {"main": "paused"})
        await channel.handlers.on_message(a_message("hello", chat="dc:main"))
        await channel.says(lambda texts: texts == ["echo: hello"], chat="dc:main")
    assert len(gateway.leases) == 1


async def test_an_isolated_run_has_a_worker_of_its_own_and_leaves_the_groups_as_it_is(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: texts == ["echo: one"])
        await tenant.lanes.idle()
        (group,) = tenant.registry
        before = await tenant.store.session_of(group.folder)
        session = await tenant.residents.acquire(group, "run_task", isolated=True)
        assert session.worker_id == "w2"
        assert (gateway.leases[1].isolated, gateway.leases[1].resume) == (True, False)
        with pytest.raises(Conflict):
            await tenant.residents.acquire(group, "run_other", isolated=True)
        events = [event async for event in session.ask("do it", silence_s=5)]
        assert events[-1].text == "echo: do it"
        await channel.handlers.on_message(a_message("two"))
        await channel.says(lambda texts: texts == ["echo: one", "echo: two"])
        await tenant.lanes.idle()
        await tenant.residents.release(group, isolated=True)
        assert gateway.live["w2"].ended
        assert not gateway.live["w1"].ended
        assert await tenant.store.session_of(group.folder) == before
    assert [asked.worker for asked in gateway.asked] == ["w1", "w2", "w1"]


async def test_an_isolated_worker_left_by_an_earlier_process_is_ended(tmp_path):
    gateway = ScriptedGateway()
    async with a_tenant(tmp_path, gateway) as (tenant, channel):
        await channel.handlers.on_message(a_message("one"))
        await channel.says(lambda texts: texts == ["echo: one"])
        await tenant.lanes.idle()
        await tenant.residents.acquire(next(iter(tenant.registry)), "run_task", isolated=True)
    async with a_tenant(tmp_path, gateway):
        assert (gateway.live["w1"].ended, gateway.live["w2"].ended) == (False, True)


async def test_a_refused_mount_is_told_once_in_full_to_the_operator_and_without_paths_to_the_group(tmp_path):
    gateway = ScriptedGateway(notes=("extra mount family (/srv/family) was left out: no such folder",))
    policy = a_policy(
        groups={
            "main": {"chat": "dc:main", "main": True},
            "home": {"chat": "dc:home", "mounts": [{"host": "/srv/family", "name": "family"}]},
        }
    )
    async with a_tenant(tmp_path, gateway, policy) as (tenant, channel):
        for number in (1, 2):
            await channel.handlers.on_message(a_message(f"hello {number}", chat="dc:home"))
            await channel.says(lambda texts, n=number: f"echo: hello {n}" in texts, chat="dc:home")
            await tenant.lanes.idle()
            await tenant.residents.drop("home", end=True)
        await channel.says(bool, chat="dc:main")
        assert channel.texts("dc:main") == [
            "Group home:\nextra mount family (/srv/family) was left out: no such folder"
        ]
        told = [text for text in channel.texts("dc:home") if "extra mount family" in text]
        assert len(told) == 1
        assert "/srv" not in told[0]
    assert gateway.leases[0].mounts[0].host == "/srv/family"


async def test_an_engine_that_was_down_is_tried_again(tmp_path):
    gateway = ScriptedGateway(lease_fails=[Unavailable("no engine", code="engine.down")])
    async with a_tenant(tmp_path, gateway, a_policy(**STANDBY, **MAIN)) as (tenant, _):
        await until(lambda: gateway.lease_fails == [])
        tenant.standby.changed("main", "")  # as the end of a run does
        await until(lambda: ahead(gateway) == {"main": "paused"})
