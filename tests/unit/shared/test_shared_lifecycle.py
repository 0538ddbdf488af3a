"""Locks, control sockets, back-off and background tasks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import ExitCode, NotFound, Occupied, Unavailable
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.control import ControlServer, RemoteError, call
from shared.lifecycle.singleton import SingleInstance
from shared.lifecycle.tasks import TaskPool


def test_second_instance_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "data" / "host.pid"
    first = SingleInstance(path, what="nanoclaw")
    first.acquire()
    assert path.read_text() == str(os.getpid())
    with pytest.raises(Occupied) as caught:
        SingleInstance(path, what="nanoclaw").acquire()
    assert str(os.getpid()) in caught.value.detail
    assert caught.value.exit_code == ExitCode.OCCUPIED
    first.release()
    SingleInstance(path, what="nanoclaw").acquire()


def test_stale_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "host.pid"
    script = (
        "import sys,os\nfrom pathlib import Path\nfrom shared.lifecycle.singleton import SingleInstance\n"
        "SingleInstance(Path(sys.argv[1]), what='x').acquire()\nos._exit(9)"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    left_by = path.read_text()
    assert left_by
    SingleInstance(path, what="x").acquire()
    assert path.read_text() == str(os.getpid()) != left_by


@pytest.mark.parametrize("left", ["1", "4194304", "", "no number at all\n"])
def test_what_is_in_the_file_does_not_hold_the_lock(tmp_path: Path, left: str) -> None:
    """Not the number of a living process of somebody else, nor one of a dead one, nor garbage: the lock decides."""
    path = tmp_path / "host.pid"
    path.write_text(left)
    SingleInstance(path, what="x").acquire()
    assert path.read_bytes() == str(os.getpid()).encode(), "the number and nothing else"


async def test_control_socket_answers_and_refuses_in_one_shape(tmp_path: Path) -> None:
    async def echo(params: dict[str, object]) -> object:
        return params

    async def missing(_params: dict[str, object]) -> object:
        raise NotFound("there is no group x", code="group.unknown")

    async def broken(_params: dict[str, object]) -> object:
        raise RuntimeError("secret detail")

    path = tmp_path / "x.ctl"
    server = ControlServer(path, {"echo": echo, "missing": missing, "broken": broken})
    await server.start()
    assert path.stat().st_mode & 0o777 == 0o600
    assert await asyncio.to_thread(call, path, "echo", a=1) == {"a": 1}
    with pytest.raises(RemoteError, match="there is no group x") as caught:
        await asyncio.to_thread(call, path, "missing")
    assert caught.value.code == "group.unknown"
    assert caught.value.remote_exit_code == NotFound.exit_code
    with pytest.raises(RemoteError) as caught:
        await asyncio.to_thread(call, path, "broken")
    assert "secret detail" not in caught.value.detail
    with pytest.raises(RemoteError, match="known: broken, echo, missing"):
        await asyncio.to_thread(call, path, "nonsense")
    await server.stop()
    with pytest.raises(Unavailable, match="nothing is running"):
        call(path, "echo")


async def test_control_socket_survives_garbage(tmp_path: Path) -> None:
    async def status(_params: dict[str, object]) -> object:
        return "fine"

    path = tmp_path / "x.ctl"
    server = ControlServer(path, {"status": status})
    await server.start()
    for garbage in (b"\n", b"{}\n", b"[1]\n", b"\xff\xfe\n", b'{"op": 3}\n', b"x" * 2_000_000):
        reader, writer = await asyncio.open_unix_connection(path)
        with contextlib.suppress(ConnectionError):
            writer.write(garbage)
            writer.write_eof()
            await reader.read(1000)
        writer.close()
    assert await asyncio.to_thread(call, path, "status") == "fine"
    await server.stop()


def test_backoff_grows_to_its_ceiling_and_starts_anew() -> None:
    backoff = Backoff(base_s=1, ceiling_s=8)
    delays = [backoff.next_delay_s() for _ in range(10)]
    assert all(0.5 <= delay <= 8 for delay in delays)
    assert min(delays[4:]) >= 4
    backoff.reset()
    assert backoff.next_delay_s() <= 1


async def test_failed_background_task_is_reported_and_the_others_go_on() -> None:
    errors: list[BaseException] = []
    pool = TaskPool("test", on_error=errors.append)
    done = asyncio.Event()

    async def fail() -> None:
        raise ValueError("x")

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.set()

    pool.start(fail())
    pool.start(work())
    assert await pool.drain(1.0)
    assert done.is_set()
    assert [type(error) for error in errors] == [ValueError]
    await pool.close()


def test_undumpable_process_hides_its_environment_from_its_own_user() -> None:
    script = (
        "import os,sys\nfrom shared.lifecycle.harden import make_undumpable\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "make_undumpable()\n"
        "pid=os.fork()\n"
        "if pid==0:\n"
        "    try:\n        open(f'/proc/{os.getppid()}/environ').read(); os._exit(1)\n"
        "    except PermissionError:\n        os._exit(0)\n"
        "sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid,0)[1]))"
    )
    if os.geteuid() != 0:
        script = script.replace("os.setgroups([]); os.setgid(65534); os.setuid(65534)\n", "")
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
