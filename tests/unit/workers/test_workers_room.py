"""How much of the disk groups and tenants may take: measured on real folders, refused in words."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from test_workers_pool import a_house
from test_workers_spec import SESSION, config_of

from gateway.notices.models import OwnerNotice
from gateway.workers.policy import WorkerPolicy
from gateway.workers.room import MB, Rooms, Use, folder_bytes
from nanoclaw.agent.errors import WorkerLost
from nanoclaw.faults import Patience, decide_fault, fault_of_error
from shared.clock import FakeClock
from shared.config.paths import Paths
from shared.errors import Busy, Denied
from shared.gatewayclient.models import WorkerRequest


def fill(file: Path, megabytes: float) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as handle:
        handle.write(os.urandom(int(megabytes * MB)))


def test_a_folder_is_measured_as_du_does_and_no_link_is_followed(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "folder"
    fill(elsewhere / "big", 3)
    fill(folder / "deep" / "er" / "a", 1)
    (folder / "b").hardlink_to(folder / "deep" / "er" / "a")
    (folder / "away").symlink_to(elsewhere)
    with (folder / "sparse").open("wb") as handle:
        handle.truncate(100 * MB)
    rests: list[float] = []
    assert MB <= folder_bytes(folder, rests.append) < 1.2 * MB
    assert folder_bytes(tmp_path / "missing") == 0
    for number in range(2100):
        (folder / f"{number}").touch()
    folder_bytes(folder, rests.append)
    assert rests, "the disk is left to others now and then"


def rooms(tmp_path: Path, told: list[OwnerNotice]) -> Rooms:
    return Rooms(
        Paths(tmp_path / "state", tmp_path / "run"),
        group_bytes=2 * MB,
        tenant_bytes={"nanoclaw": 5 * MB},
        tell=told.append,
        clock=FakeClock(),
    )


async def test_a_group_that_takes_too_much_is_refused_until_somebody_clears_away(tmp_path: Path) -> None:
    told: list[OwnerNotice] = []
    found = rooms(tmp_path, told)
    files = tmp_path / "state" / "nanoclaw" / "groups"
    fill(files / "family" / "film", 3)
    fill(files / "work" / "note", 0.1)
    assert await found.measure_all(["nanoclaw"]) == "too large: nanoclaw/family"
    await found.require_room("nanoclaw", "work")
    with pytest.raises(Denied, match=r"group family take 3 MB of the 2 MB they may. Remove .* groups/family"):
        await found.require_room("nanoclaw", "family")
    with pytest.raises(Busy):
        await found.require_room("nanoclaw", "family", standby=True)
    assert {notice.key for notice in told} == {notice.key for notice in found.notices()}
    assert told[0].text.startswith("**Too much on disk: group family of nanoclaw**\nThe files of group family take")
    (files / "family" / "film").unlink()
    await found.require_room("nanoclaw", "family")
    assert found.notices() == []
    for number in range(4):
        fill(files / f"g{number}" / "x", 1.5)
    await found.measure_all(["nanoclaw"])
    with pytest.raises(Denied, match=r"everything of nanoclaw takes 6 MB of the 5 MB it may.*tenants.nanoclaw"):
        await found.require_room("nanoclaw", "work")


@pytest.mark.parametrize(("used", "standing"), [(0, "ok"), (2, "ok"), (3, "over"), (4, "over"), (5, "hard")])
def test_standing_against_the_budget(used: int, standing: str) -> None:
    assert Use("nanoclaw", "family", used, 2).standing == standing


async def test_a_walk_is_not_repeated_at_once_unless_the_disk_fills(tmp_path: Path) -> None:
    clock = FakeClock()
    found = Rooms(Paths(tmp_path / "state", tmp_path / "run"), group_bytes=MB, tenant_bytes={}, clock=clock)
    fill(tmp_path / "state" / "nanoclaw" / "groups" / "family" / "a", 0.5)
    assert await found.overrun([("nanoclaw", "family")]) == []
    fill(tmp_path / "state" / "nanoclaw" / "groups" / "family" / "b", 3)
    assert await found.overrun([("nanoclaw", "family")]) == []
    found._free_then = 1 << 60
    [use] = await found.overrun([("nanoclaw", "family")])
    assert (use.standing, use.group) == ("hard", "family")


async def test_the_pool_refuses_ends_and_starts_again(tmp_path: Path) -> None:
    async with a_house(tmp_path, group_disk_mb=16) as house:
        worker = await house.lease("a")
        other = await house.lease("b")
        await house.pool.mark_busy("nanoclaw", worker.worker_id, "run_1")
        await house.pool.end_overrun()
        fill(house.paths.group("nanoclaw", "a") / "film", 40)
        house.clock.advance(60)
        await house.pool.end_overrun()
        assert (await house.the_end(worker)).reason == "disk"
        with pytest.raises(Denied, match="take 40 MB of the 16 MB") as refused:
            await house.lease("a")
        assert refused.value.code == "worker.disk"
        assert [left.worker_id for left in house.pool.list()] == [other.worker_id]
        (house.paths.group("nanoclaw", "a") / "film").unlink()
        again = await house.lease("a")
        await house.pool.mark_busy("nanoclaw", again.worker_id, "run_2")
        house.clock.advance(60)
        fill(house.paths.group("nanoclaw", "a") / "film", 20)
        await house.pool.mark_idle("nanoclaw", again.worker_id)
        async with asyncio.timeout(10):
            while not [use for use in house.pool.rooms.known() if use.group == "a" and use.standing == "over"]:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "error",
    [
        Denied("the files of group a take 40 MB of the 16 MB they may", code="worker.disk"),
        WorkerLost("its files took more than twice what they may", code="worker.disk"),
    ],
)
def test_people_are_told_why_and_the_message_is_kept(error: Denied | WorkerLost) -> None:
    now, patience = FakeClock().now(), Patience(delays_s=(1.0,), limit_s=3600)
    verdict = decide_fault(fault_of_error(error), attempt=1, patience=patience, run_id="run_1", now=now, waited_s=0)
    assert not verdict.retry
    assert verdict.note == (
        f"Sorry, there is too much on disk: {error.detail}. Your message is kept for the operator (run `run_1`)."
    )


def test_no_single_file_may_outgrow_the_groups_budget() -> None:
    request = WorkerRequest(group="a", session_id=SESSION)
    limits = config_of(request, WorkerPolicy(group_disk_mb=64))["HostConfig"]["Ulimits"]
    assert {"Name": "fsize", "Soft": 64 * MB, "Hard": 64 * MB} in limits
