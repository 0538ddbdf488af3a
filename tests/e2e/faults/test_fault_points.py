"""Every named place once: a process of a whole sandbox dies there, comes back, and Discord shows one effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.lifecycle.faultpoints import POINTS, VARIABLE
from tests.support.kill_bed import AFTER_ANOTHER, COLD, KillBed, fault_file, kill_bed, kind_for

pytestmark = [pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path_factory.mktemp("kb")
    monkeypatch.setenv(VARIABLE, str(fault_file(path)))
    return path


async def die_at(bed: KillBed, point: str) -> tuple[str, str]:
    """Ask something that leads a process to its death at a place; returns what was asked."""
    kind = kind_for(point)
    if point in COLD:
        bed.control("workers.stop_all")
    bed.arm("run.prompt_written" if point in AFTER_ANOTHER else point)
    word = await bed.ask(kind)
    await bed.died()
    if point in AFTER_ANOTHER:
        bed.arm(point)
        await bed.died()
    await bed.answered(kind, word)
    await bed.quiet()
    return kind, word


async def test_a_process_that_dies_at_any_named_place_loses_nothing_and_does_nothing_twice(folder: Path) -> None:
    async with kill_bed(folder) as bed:
        await bed.answered("ask", await bed.ask("ask"))
        asked, wrong = [], []
        for point in POINTS:
            try:
                asked.append((point, *await die_at(bed, point)))
            except AssertionError as error:
                wrong.append(f"{point}: {error}")
        # Looked at in the end, when whatever could come late has come.
        wrong += [f"{point}: {fault}" for point, kind, word in asked if (fault := bed.fault_of(kind, word))]
        assert wrong == []
        assert bed.control("deadletters.list") == []
        assert all(worker["state"] == "idle" for worker in bed.control("workers.list"))
