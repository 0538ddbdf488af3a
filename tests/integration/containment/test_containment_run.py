"""Contained commands for real: what they cannot read, write, reach or outlive."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from pathlib import Path

import psutil
import pytest

from shared.containment import landlock
from shared.containment.models import CommandSpec
from shared.containment.run import SYSTEM_FOLDERS, run_contained

pytestmark = pytest.mark.slow

PYTHON = str(Path(sys.executable).resolve())
READABLE = (*SYSTEM_FOLDERS, str(Path(PYTHON).parents[1]))


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


def a_spec(scratch: Path, code: str, **more: object) -> CommandSpec:
    """A Python program as the command: it can try anything that a native program could."""
    return CommandSpec(
        program=PYTHON,
        argv=("python", "-I", "-S", "-c", code),
        env={"LANG": "C.UTF-8"},
        scratch=str(scratch),
        cwd=str(scratch),
        readable=READABLE,
        **{"timeout_s": 20.0, **more},  # type: ignore[arg-type]
    )


async def answer(scratch: Path, code: str, **more: object) -> str:
    outcome = await run_contained(a_spec(scratch, code, **more))
    assert outcome.problem == ""
    assert outcome.exit_code == 0, outcome.stderr.decode()
    return outcome.stdout.decode().strip()


def attempt(what: str) -> str:
    """Code that prints the error's name, or that it worked."""
    lines = ("import os, socket", "try:", f"    {what}", "    print('worked')")
    return "\n".join([*lines, "except OSError as error:", "    print(type(error).__name__)"])


async def test_a_plain_command_gives_its_output_and_exit_code(scratch: Path) -> None:
    code = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"
    outcome = await run_contained(a_spec(scratch, code))
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (3, b"out\n", b"err\n")
    assert outcome.landlock == landlock.abi() >= 1


async def test_it_reads_and_writes_its_scratch_folder_and_nothing_else(scratch: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    assert await answer(scratch, "open('f', 'w').write('x'); print(open('f').read())") == "x"
    for what in (
        f"open({str(secret)!r}).read()",
        f"open({str(secret)!r}, 'w')",
        f"os.truncate({str(secret)!r}, 0)",
        f"os.listdir({str(tmp_path)!r})",
        "open('/etc/passwd').read()",
        "open('/proc/self/environ').read()",
        "os.listdir('/root')",
        "os.symlink('/etc/passwd', 'link')",
    ):
        assert await answer(scratch, attempt(what)) == "PermissionError", what
    assert await answer(scratch, attempt(f"os.link({str(secret)!r}, 'link')")) == "OSError"  # "across devices"
    assert secret.read_text() == "s"


async def test_what_it_writes_cannot_be_executed(scratch: Path) -> None:
    code = "open('p', 'w').write('#!/bin/true\\n'); os.chmod('p', 0o755); os.execv('./p', ['p'])"
    assert await answer(scratch, attempt(code)) == "PermissionError"


async def test_no_socket_but_tcp_to_the_one_port(scratch: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    with socket.socket(socket.AF_UNIX) as unix, socket.create_server(("127.0.0.1", 0)) as allowed, \
            socket.create_server(("127.0.0.1", 0)) as other:  # fmt: skip
        unix.bind(path)
        unix.listen()
        ports = [server.getsockname()[1] for server in (allowed, other)]
        unix_try = attempt(f"socket.socket(socket.AF_UNIX).connect({path!r})")
        assert await answer(scratch, unix_try, connect_port=ports[0]) == "PermissionError"
        for family, kind in (("AF_INET", "SOCK_DGRAM"), ("AF_NETLINK", "SOCK_RAW"), ("AF_PACKET", "SOCK_RAW")):
            try_it = attempt(f"socket.socket(socket.{family}, socket.{kind})")
            assert await answer(scratch, try_it, connect_port=ports[0]) == "PermissionError"
        connects = [attempt(f"socket.create_connection(('127.0.0.1', {port}))") for port in ports]
        assert await answer(scratch, connects[0], connect_port=ports[0]) == "worked"
        if landlock.abi() >= 4:
            assert await answer(scratch, connects[1], connect_port=ports[0]) == "PermissionError"
        assert await answer(scratch, connects[0]) == "PermissionError"


async def test_system_calls_around_the_walls_are_refused(scratch: Path) -> None:
    code = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
for number in (425, 272, 101, 310, 165, 321) if os.uname().machine == "x86_64" else (425, 97, 117, 270, 40, 280):
    libc.syscall(number, 0x10000000, 0, 0, 0, 0)
    print(errno.errorcode[ctypes.get_errno()])
"""
    assert set((await answer(scratch, code)).split()) == {"EPERM"}
    assert await answer(scratch, attempt(f"os.kill({os.getpid()}, 0)")) in {"PermissionError", "worked"}
    if landlock.abi() >= 6:
        assert await answer(scratch, attempt(f"os.kill({os.getpid()}, 0)")) == "PermissionError"


async def test_a_command_that_ignores_everything_is_ended_with_all_it_started(scratch: Path) -> None:
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
        time.sleep(300)
print("started", flush=True)
time.sleep(300)
"""
    outcome = await run_contained(a_spec(scratch, code, timeout_s=1.0, grace_s=0.3))
    assert outcome.timed_out
    assert "stopped after 1 s" in outcome.problem
    assert outcome.exit_code == 128 + signal.SIGKILL
    assert outcome.left_over >= 6
    assert outcome.stdout == b"started\n"


async def test_what_outlives_a_command_that_ended_well_is_killed_too(scratch: Path) -> None:
    code = (
        "import os, time\nif os.fork() == 0:\n    os.setsid(); os.close(1); os.close(2); time.sleep(300)\nprint('done')"
    )
    outcome = await run_contained(a_spec(scratch, code))
    assert (outcome.exit_code, outcome.stdout, outcome.left_over) == (0, b"done\n", 1)


async def test_cancelling_ends_the_command(scratch: Path) -> None:
    code = "import time; open('up', 'w').close(); time.sleep(300)"
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run_contained(a_spec(scratch, code, grace_s=0.2)))
        while not (scratch / "up").exists():
            await asyncio.sleep(0.02)
        mine = [p.pid for p in psutil.Process().children(recursive=True) if "launcher.py" in " ".join(p.cmdline())]
        assert mine
        task.cancel()
    assert not [p for p in psutil.Process().children(recursive=True) if p.pid in mine]


async def test_output_is_capped_and_a_flood_ends(scratch: Path) -> None:
    outcome = await run_contained(a_spec(scratch, "print('x' * 1000)"), output_limit_bytes=100)
    assert (len(outcome.stdout), outcome.dropped_bytes) == (100, 901)
    endless = "import os\nwhile True: os.write(1, b'x' * 65536)"
    outcome = await run_contained(a_spec(scratch, endless), output_limit_bytes=100)
    assert "without end" in outcome.problem
    assert len(outcome.stdout) == 100


async def test_bytes_that_are_no_text_and_a_full_file_are_survived(scratch: Path) -> None:
    outcome = await run_contained(a_spec(scratch, "import os; os.write(1, bytes(range(256)))"))
    assert outcome.stdout == bytes(range(256))
    code = "f = open('big', 'wb')\nwhile True: f.write(b'x' * 65536)"
    outcome = await run_contained(a_spec(scratch, code, file_bytes=1_000_000))
    assert outcome.exit_code != 0
    assert (scratch / "big").stat().st_size <= 1_000_000


async def test_a_program_that_is_gone_is_a_clear_result(scratch: Path) -> None:
    spec = a_spec(scratch, "")
    outcome = await run_contained(
        CommandSpec(**{**{f: getattr(spec, f) for f in spec.__slots__}, "program": "/usr/bin/no-such"})
    )
    assert outcome.exit_code == 126
    assert "could not be started" in outcome.problem


async def test_its_environment_holds_only_what_it_was_given(scratch: Path) -> None:
    os.environ["PLANTED_FOR_TEST"] = "canary"
    try:
        told = await answer(scratch, "import os; print(sorted(os.environ))")
    finally:
        del os.environ["PLANTED_FOR_TEST"]
    assert told == "['LANG']"


def test_the_gaps_of_old_kernels_are_named() -> None:
    assert landlock.gaps(7) == ()
    assert len(landlock.gaps(0)) > len(landlock.gaps(1)) > len(landlock.gaps(4)) > 0
    assert threading.active_count() >= 1
