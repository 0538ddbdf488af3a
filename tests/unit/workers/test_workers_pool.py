"""The pool's rules, on the process engine with a few lines of shell as the agent."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.workers.policy import WorkerPolicy
from gateway.workers.pool import WorkerPool
from gateway.workers.process_engine import ProcessEngine
from shared.clock import FakeClock
from shared.config.paths import Paths
from shared.errors import Busy, ConfigError, Conflict, Denied, Invalid, NotFound
from shared.gatewayclient.models import WorkerEvent, WorkerInfo, WorkerRequest
from shared.testing.waiting import until

AGENT = """#!/bin/sh
while read -r line; do
  case "$line" in
    die*) echo "goodbye" >&2; exit 7 ;;
    *) echo "got $line" ;;
  esac
done
"""


class Doors:
    """Endpoints that only remember which are open."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.open_ids: set[str] = set()

    async def open(self, worker_id: str, tenant: str, group: str, session_id: str) -> None:
        self.paths.worker_dir(worker_id).mkdir(parents=True)
        self.open_ids.add(worker_id)

    async def close(self, worker_id: str) -> None:
        self.open_ids.discard(worker_id)


class House:
    def __init__(self, root: Path, policy: WorkerPolicy) -> None:
        cli = root / "agent"
        cli.write_text(AGENT)
        cli.chmod(0o755)
        self.paths = Paths.resolve(root / "state", root / "run")
        self.clock = FakeClock()
        self.doors = Doors(self.paths)
        self.engine = ProcessEngine(root / "homes", cli=cli)
        self.pool = WorkerPool(
            self.engine, policy, self.paths, self.doors, instance="t", sandbox=True, clock=self.clock
        )

    async def lease(self, group: str, *, tenant: str = "nanoclaw", session: str = "", **more: object) -> WorkerInfo:
        self.clock.advance(1)
        request = WorkerRequest.model_validate(
            {"group": group, "session_id": session or str(uuid.uuid5(uuid.NAMESPACE_DNS, group)), **more}
        )
        return await self.pool.lease(tenant, request, uid=os.getuid(), gid=os.getgid(), name_prefix=tenant)

    async def say(self, worker: WorkerInfo, text: str) -> None:
        await self.pool.write(worker.tenant, worker.worker_id, f"{text}\n".encode())

    async def hear(self, worker: WorkerInfo, after: int = 0) -> tuple[int, bytes] | WorkerEvent:
        stream = self.pool.stream(worker.tenant, worker.worker_id, after)
        try:
            return await anext(stream)
        finally:
            await stream.aclose()

    async def the_end(self, worker: WorkerInfo) -> WorkerEvent:
        async for item in self.pool.stream(worker.tenant, worker.worker_id, 0):
            if isinstance(item, WorkerEvent) and item.event == "exit":
                return item
        raise AssertionError("the stream ended without an exit")


@asynccontextmanager
async def a_house(root: Path, **policy: object) -> AsyncIterator[House]:
    house = House(root, WorkerPolicy.model_validate({"stop_grace_s": 1, **policy}))
    await house.pool.start()
    try:
        yield house
    finally:
        await house.pool.stop(end_workers=True)
        await house.engine.close()


async def test_a_group_keeps_its_worker_and_lines_are_counted_over_its_life(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        first = await house.lease("a")
        await house.say(first, "one")
        assert await house.hear(first) == (1, b"got one")
        again = await house.lease("a")
        assert (again.worker_id, again.reused, again.lines) == (first.worker_id, True, 1)
        await house.say(first, "two")
        assert await house.hear(first, after=1) == (2, b"got two")


async def test_another_session_or_other_settings_get_a_new_worker(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        first = await house.lease("a")
        second = await house.lease("a", session=str(uuid.uuid4()))
        assert second.worker_id != first.worker_id
        assert (await house.the_end(first)).reason == "stopped"
        third = await house.lease("a", model="other", session=second.session_id)
        assert third.worker_id != second.worker_id
        assert [worker.worker_id for worker in house.pool.list()] == [third.worker_id]


async def test_a_worker_with_a_run_is_not_taken_away_from_it(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        worker = await house.lease("a")
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_1")
        with pytest.raises(Conflict, match="run_1"):
            await house.lease("a", session=str(uuid.uuid4()))


async def test_at_the_limit_the_least_recently_used_idle_worker_makes_room(tmp_path) -> None:
    async with a_house(tmp_path, max_workers=2) as house:
        a, b = await house.lease("a"), await house.lease("b", tenant="other")
        await house.pool.mark_busy("nanoclaw", a.worker_id, "run_1")
        await house.pool.mark_idle("nanoclaw", a.worker_id)
        await house.lease("a")
        c = await house.lease("c")
        assert (await house.the_end(b)).reason == "evicted"
        assert {worker.worker_id for worker in house.pool.list()} == {a.worker_id, c.worker_id}


async def test_when_every_worker_has_a_run_the_newcomer_is_told_to_wait(tmp_path) -> None:
    async with a_house(tmp_path, max_workers=1) as house:
        worker = await house.lease("a")
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_1")
        with pytest.raises(Busy) as caught:
            await house.lease("b")
        assert caught.value.retry_after_s > 0
        await house.pool.mark_idle("nanoclaw", worker.worker_id)
        assert (await house.lease("b")).group == "b"


async def test_many_leases_at_once_never_exceed_the_limit(tmp_path) -> None:
    async with a_house(tmp_path, max_workers=3) as house:
        results = await asyncio.gather(*(house.lease(f"g{i}") for i in range(9)), return_exceptions=True)
        assert sum(isinstance(result, WorkerInfo) for result in results) >= 3
        assert all(isinstance(result, WorkerInfo | Busy) for result in results)
        assert len(house.pool.list()) <= 3
        assert house.doors.open_ids == {worker.worker_id for worker in house.pool.list()}


async def test_two_leases_of_one_group_at_once_share_a_worker(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        first, second = await asyncio.gather(house.lease("a"), house.lease("a"))
        assert first.worker_id == second.worker_id


async def test_an_idle_worker_ends_after_the_idle_time_and_a_listened_to_run_does_not(tmp_path) -> None:
    async with a_house(tmp_path, idle_timeout_s=100) as house:
        idle, busy = await house.lease("a"), await house.lease("b")
        await house.pool.mark_busy("nanoclaw", busy.worker_id, "run_1")
        listening = asyncio.get_running_loop().create_task(house.hear(busy))
        await asyncio.sleep(0.05)
        house.clock.advance(99)
        await house.pool.sweep()
        assert (await house.the_end(idle)).reason == "idle"
        assert [worker.worker_id for worker in house.pool.list()] == [busy.worker_id]
        listening.cancel()
        await asyncio.wait([listening])
        house.clock.advance(101)
        await house.pool.sweep()
        assert house.pool.list() == []


async def test_a_crash_is_told_with_its_code_and_its_last_words_and_frees_the_place(tmp_path) -> None:
    async with a_house(tmp_path, max_workers=1) as house:
        worker = await house.lease("a")
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_1")
        await house.say(worker, "die")
        end = await house.the_end(worker)
        assert (end.code, end.reason, "goodbye" in end.text) == (7, "crashed", True)
        assert (await house.lease("a")).worker_id != worker.worker_id


async def test_a_tenant_cannot_tell_a_neighbours_worker_from_none(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        worker = await house.lease("a")
        messages = set()
        for worker_id in (worker.worker_id, "0" * 16):
            for call in (
                house.pool.mark_busy("openclaw", worker_id, "r"),
                house.pool.mark_idle("openclaw", worker_id),
                house.pool.end("openclaw", worker_id),
                house.pool.write("openclaw", worker_id, b"x\n"),
                anext(house.pool.stream("openclaw", worker_id, 0)),
            ):
                with pytest.raises(NotFound) as caught:
                    await call
                messages.add(caught.value.detail.replace(worker_id, "ID"))
        assert len(messages) == 1
        assert house.pool.list("openclaw") == []


async def test_the_end_can_be_read_by_a_tenant_that_comes_back_late(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        worker = await house.lease("a")
        await house.say(worker, "one")
        await house.hear(worker)
        await house.pool.end("nanoclaw", worker.worker_id)
        items = [item async for item in house.pool.stream("nanoclaw", worker.worker_id, 0)]
        assert items[0] == (1, b"got one")
        assert isinstance(items[-1], WorkerEvent)
        with pytest.raises(NotFound):
            await house.say(worker, "two")


async def test_a_link_out_of_the_tenants_state_starts_nothing(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        house.paths.tenant("nanoclaw").mkdir(parents=True)
        (tmp_path / "secret").mkdir()
        groups = house.paths.group("nanoclaw", "a").parent
        groups.mkdir()
        (groups / "a").symlink_to(tmp_path / "secret")
        with pytest.raises(Denied):
            await house.lease("a")
        assert house.pool.list() == []
        assert house.doors.open_ids == set()


def test_the_process_engine_is_refused_outside_the_sandbox(tmp_path) -> None:
    paths = Paths.resolve(tmp_path / "s", tmp_path / "r")
    with pytest.raises(ConfigError, match="contains nothing"):
        WorkerPool(ProcessEngine(tmp_path), WorkerPolicy(), paths, Doors(paths), instance="t")


def state_of(house: House, worker: WorkerInfo) -> str:
    return next(w.state for w in house.pool.list() if w.worker_id == worker.worker_id)


async def is_frozen(house: House, worker: WorkerInfo) -> bool:
    (container,) = await house.engine.find({"clawgate.worker": worker.worker_id})
    return container.paused


async def used(house: House, group: str) -> WorkerInfo:
    """A worker that has had a run."""
    worker = await house.lease(group)
    await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_0")
    await house.pool.mark_idle("nanoclaw", worker.worker_id)
    return worker


async def test_a_resting_worker_is_paused_and_its_next_run_lets_it_go_on(tmp_path) -> None:
    async with a_house(tmp_path, pause_after_s=10, idle_timeout_s=100) as house:
        worker = await used(house, "a")
        house.clock.advance(9)
        await house.pool.sweep()
        assert state_of(house, worker) == "idle"
        house.clock.advance(1)
        await house.pool.sweep()
        assert (state_of(house, worker), await is_frozen(house, worker)) == ("paused", True)
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_1")
        assert (state_of(house, worker), await is_frozen(house, worker)) == ("busy", False)
        await house.say(worker, "one")
        assert await house.hear(worker) == (1, b"got one")
        house.clock.advance(50)
        await house.pool.sweep()
        assert state_of(house, worker) == "busy"


async def test_a_worker_that_is_still_being_made_ready_is_not_frozen_under_its_tenants_hands(tmp_path) -> None:
    async with a_house(tmp_path, pause_after_s=1, idle_timeout_s=100) as house:
        worker = await house.lease("a", standby=True)
        house.clock.advance(50)
        await house.pool.sweep()
        assert state_of(house, worker) == "idle"


async def test_the_idle_time_goes_on_while_a_worker_is_paused_and_a_paused_one_can_be_ended(tmp_path) -> None:
    async with a_house(tmp_path, pause_after_s=10, idle_timeout_s=100) as house:
        worker = await used(house, "a")
        house.clock.advance(10)
        await house.pool.sweep()
        house.clock.advance(89)
        await house.pool.sweep()
        assert state_of(house, worker) == "paused"
        house.clock.advance(1)
        await house.pool.sweep()
        assert (await house.the_end(worker)).reason == "idle"


async def test_input_wakes_a_paused_worker_so_that_nobody_waits_for_ever(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        worker = await house.lease("a")
        await house.say(worker, "first")
        assert await house.hear(worker) == (1, b"got first")
        await house.pool.pause("nanoclaw", worker.worker_id)
        await house.pool.pause("nanoclaw", worker.worker_id)
        assert await is_frozen(house, worker)
        assert house.pool.list()[0].memory_mb > 0
        await house.say(worker, "hello")
        assert await house.hear(worker, after=1) == (2, b"got hello")
        assert state_of(house, worker) == "idle"


async def test_one_started_ahead_is_let_go_on_before_its_run_and_frozen_again_when_none_comes(tmp_path) -> None:
    async with a_house(tmp_path, pause_after_s=10, idle_timeout_s=100) as house:
        worker = await house.lease("a", standby=True)
        await house.pool.pause("nanoclaw", worker.worker_id)
        with pytest.raises(NotFound):
            await house.pool.unpause("openclaw", worker.worker_id)
        house.clock.advance(50)
        for _ in range(2):
            await house.pool.unpause("nanoclaw", worker.worker_id)
            assert (state_of(house, worker), await is_frozen(house, worker)) == ("idle", False)
        await house.pool.sweep()
        assert state_of(house, worker) == "idle", "its run may be on the way"
        house.clock.advance(10)
        await house.pool.sweep()
        assert (state_of(house, worker), await is_frozen(house, worker)) == ("paused", True)


async def test_a_worker_that_has_a_run_is_not_paused(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        worker = await house.lease("a")
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_1")
        with pytest.raises(Conflict):
            await house.pool.pause("nanoclaw", worker.worker_id)
        with pytest.raises(NotFound):
            await house.pool.pause("openclaw", worker.worker_id)


async def test_a_run_that_begins_while_its_worker_is_chosen_for_eviction_keeps_it(tmp_path) -> None:
    async with a_house(tmp_path, max_workers=1) as house:
        worker = await house.lease("a")
        await house.pool.pause("nanoclaw", worker.worker_id)
        claiming = asyncio.gather(
            house.pool.mark_busy("nanoclaw", worker.worker_id, "run_1"), house.lease("b"), return_exceptions=True
        )
        busy, refused = await claiming
        assert busy is None
        assert isinstance(refused, Busy)
        assert state_of(house, worker) == "busy"


async def test_a_standby_worker_takes_no_place_from_anybody(tmp_path) -> None:
    async with a_house(tmp_path, max_workers=2) as house:
        await house.lease("a")
        await house.lease("b")
        with pytest.raises(Busy) as caught:
            await house.lease("c", standby=True)
        assert caught.value.code == "worker.no_room"
        assert len(house.pool.list()) == 2


async def test_standby_workers_keep_to_their_memory(tmp_path) -> None:
    async with a_house(tmp_path, max_workers=9, standby_memory_mb=400) as house:
        await house.lease("a", standby=True)
        await house.lease("b", standby=True)
        with pytest.raises(Busy, match="standby_memory_mb"):
            await house.lease("c", standby=True)
        for worker in house.pool.list():
            await house.pool.pause("nanoclaw", worker.worker_id)  # measured now: a shell holds a few MB
        assert (await house.lease("c", standby=True)).standby


async def test_a_standby_worker_is_claimed_by_its_run_and_then_is_like_any_other(tmp_path) -> None:
    async with a_house(tmp_path, max_workers=2) as house:
        ahead = await house.lease("a", standby=True)
        assert ahead.standby
        await house.pool.pause("nanoclaw", ahead.worker_id)
        again = await house.lease("a")
        assert (again.worker_id, again.reused) == (ahead.worker_id, True)
        await house.pool.mark_busy("nanoclaw", ahead.worker_id, "run_1")
        assert not house.pool.list()[0].standby


async def test_standby_goes_first_then_paused_then_idle(tmp_path) -> None:
    async with a_house(tmp_path, max_workers=3) as house:
        idle = await house.lease("idle")
        paused = await house.lease("paused")
        await house.pool.pause("nanoclaw", paused.worker_id)
        ahead = await house.lease("ahead", standby=True)
        await house.pool.pause("nanoclaw", ahead.worker_id)
        for number, victim in enumerate((ahead, paused, idle)):
            newcomer = await house.lease(f"n{number}")
            await house.pool.mark_busy("nanoclaw", newcomer.worker_id, f"run_{number}")
            assert (await house.the_end(victim)).reason == "evicted"


async def test_an_isolated_worker_lives_beside_the_groups_own(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        own = await house.lease("a")
        alone = await house.lease("a", session=str(uuid.uuid4()), isolated=True)
        assert alone.isolated
        assert alone.worker_id != own.worker_id
        assert (await house.lease("a")).worker_id == own.worker_id
        await house.pool.end("nanoclaw", alone.worker_id)
        assert [w.worker_id for w in house.pool.list()] == [own.worker_id]


async def test_the_log_of_a_life_names_its_runs_and_its_end_and_nothing_that_was_said(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        worker = await house.lease("main")
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_abc")
        await house.say(worker, "a private word")
        await house.hear(worker)
        house.clock.advance(3)
        await house.pool.mark_idle("nanoclaw", worker.worker_id)
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_def")
        await house.say(worker, "die")
        await house.the_end(worker)
        folder = house.paths.group_logs("nanoclaw", "main")
        await until(lambda: any("goodbye" in f.read_text() for f in folder.iterdir()))
        (file,) = folder.iterdir()
        text = file.read_text()
    assert file.name.startswith("container-2026-01-01T09-00-01")  # local time of the containers
    for part in (
        *("group: main\n", "main: yes\n", f"container: {worker.container}\n", f"session: {worker.session_id} (new)\n"),
        *("  /workspace/group rw\n", "  /workspace/group/logs ro\n", "run run_abc begins\n"),
        *("run run_abc ended after 3.0 s\n", "run run_def ended after 0.0 s\n"),
        *("ended: crashed, code 7, after 3.0 s, 2 runs\n", "stderr:\n  goodbye\n"),
    ):
        assert part in text, part
    assert "private" not in text


async def test_a_link_where_the_logs_belong_starts_nothing_and_nothing_is_written_through_it(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        group = house.paths.group("nanoclaw", "a")
        group.mkdir(parents=True)
        (tmp_path / "elsewhere").mkdir()
        (group / "logs").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(Denied, match="logs is a symbolic link"):
            await house.lease("a")
        assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_folder_of_another_user_is_refused_with_the_command_that_fixes_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    async with a_house(tmp_path) as house:
        request = WorkerRequest(group="a", session_id=str(uuid.uuid4()))
        with pytest.raises(ConfigError, match=r"chown -R 4711:4711 .*groups/a"):
            await house.pool.lease("nanoclaw", request, uid=4711, gid=4711, name_prefix="nanoclaw")
        with pytest.raises(ConfigError, match="one user"):
            await house.pool.lease("nanoclaw", request, uid=4712, gid=4712, name_prefix="nanoclaw")
        assert house.pool.list() == []


async def test_the_folder_of_the_shared_memory_has_no_worker(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        with pytest.raises(Invalid, match="memory of all groups"):
            await house.lease("global")


async def test_orphans_are_cleaned_up_by_label_and_never_by_name(tmp_path) -> None:
    async with a_house(tmp_path) as house:
        ours = await house.lease("main")
        # Another installation on the same engine, with containers of the very same names.
        paths = Paths.resolve(tmp_path / "other", tmp_path / "other-run")
        theirs = WorkerPool(
            house.engine, WorkerPolicy(stop_grace_s=1), paths, Doors(paths), instance="another", sandbox=True
        )
        await theirs.start()
        assert theirs.list() == []
        await theirs.end_all()
        await theirs.stop(end_workers=True)
        await house.say(ours, "hello")
        assert await house.hear(ours) == (1, b"got hello")
