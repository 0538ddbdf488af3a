"""Development mode restarts whose source changed, and nobody else."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from gateway.supervisor.sources import look, watch


async def test_the_process_whose_folder_changed_is_restarted_each_time(tmp_path) -> None:
    for name in ("one", "two", "shared"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("x = 1\n")
    restarted: asyncio.Queue[str] = asyncio.Queue()
    sources = {name: (tmp_path / name, tmp_path / "shared") for name in ("one", "two")}
    watching = asyncio.get_running_loop().create_task(watch(sources, restarted.put, poll_s=0.01))
    await asyncio.sleep(0.05)
    assert restarted.empty()
    async with asyncio.timeout(10):
        (tmp_path / "one" / "a.py").write_text("x = 22\n")
        assert await restarted.get() == "one"
        (tmp_path / "one" / "new.py").write_text("")
        assert await restarted.get() == "one"
        (tmp_path / "one" / "new.py").unlink()
        assert await restarted.get() == "one"
        (tmp_path / "shared" / "a.py").write_text("x = 333\n")
        assert {await restarted.get(), await restarted.get()} == {"one", "two"}
    assert restarted.empty()
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching


def test_caches_and_hidden_files_are_no_source(tmp_path) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"")
    (tmp_path / ".a.py.swp").write_bytes(b"")
    (tmp_path / "a.py").write_text("")
    assert [path.rsplit("/", 1)[1] for path in look((tmp_path, tmp_path / "missing"))] == ["a.py"]
