"""The small process between a tenant and a command: contains it, waits, and kills all that it leaves behind.

Run as ``python -I -S launcher.py SPEC_FD RESULT_FD``; imports the standard library and this folder only, so that it
starts in about ten milliseconds. It is the reaper of the command's whole tree: a process that leaves its group by
``setsid`` is still found below it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from shared.containment import kernel, landlock, seccomp
from shared.containment.models import CommandSpec

_SWEEPS = 50
_CANNOT_START = 126


def main(spec_fd: int, result_fd: int) -> None:
    """Run one command and report how it ended."""
    kernel.die_with_parent(signal.SIGTERM)
    kernel.adopt_orphans()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})
    with os.fdopen(spec_fd, "rb") as pipe:
        raw = json.loads(pipe.read())
    spec = CommandSpec(**{**raw, "argv": tuple(raw["argv"]), "readable": tuple(raw["readable"])})
    result = run(spec)
    with os.fdopen(result_fd, "wb") as pipe:
        pipe.write(json.dumps(result).encode())


def run(spec: CommandSpec) -> dict[str, Any]:
    """Start the command, wait for it, sweep up."""
    version = landlock.abi()
    if version < 1 and spec.require_landlock:
        return {"exit_code": _CANNOT_START, "problem": "this kernel has no Landlock, so nothing may run here"}
    if not seccomp.is_supported():
        return {"exit_code": _CANNOT_START, "problem": "this machine's system calls are not known, so nothing may run"}
    failed_read, failed_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(failed_read)
        _become(spec, failed_write)
    os.close(failed_write)
    with os.fdopen(failed_read, "rb") as pipe:
        problem = pipe.read().decode(errors="replace")  # ends when the program was started
    status, timed_out = _wait(child, spec)
    left_over = _sweep()
    code = os.waitstatus_to_exitcode(status)
    return {
        "exit_code": code if code >= 0 else 128 - code,
        "problem": problem or (f"it was stopped after {spec.timeout_s:g} s" if timed_out else ""),
        "timed_out": timed_out,
        "left_over": left_over,
        "landlock": version,
    }


def _become(spec: CommandSpec, failed: int) -> NoReturn:
    """Inside the child: give everything up, and become the command."""
    try:
        os.setsid()
        kernel.die_with_parent(signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        _limit(spec)
        os.chdir(spec.cwd)
        os.umask(0o077)
        ports = () if spec.connect_port is None else (spec.connect_port,)
        if landlock.abi() >= 1:
            landlock.restrict(_rules(spec), connect_ports=ports)
        kernel.give_up_new_privileges()
        seccomp.restrict(tcp=bool(ports))
        os.closerange(3, failed)
        os.closerange(failed + 1, 1024)
        os.execve(spec.program, list(spec.argv), spec.env)  # noqa: S606 - no shell is the point
    except BaseException as error:  # noqa: BLE001 - this copy of the process must end here, whatever happened
        os.write(failed, f"it could not be started: {error}".encode())
        os._exit(_CANNOT_START)


def _limit(spec: CommandSpec) -> None:
    for kind, amount in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, spec.file_bytes),
        (resource.RLIMIT_NOFILE, spec.open_files),
        (resource.RLIMIT_AS, spec.memory_bytes or resource.RLIM_INFINITY),
        (resource.RLIMIT_CPU, int(spec.timeout_s) + 1),
    ):
        resource.setrlimit(kind, (amount, amount))


def _rules(spec: CommandSpec) -> list[tuple[str, landlock.Right]]:
    devices = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
    rules = [(path, landlock.RUN) for path in spec.readable]
    rules += [(path, landlock.Right.READ_FILE | landlock.Right.WRITE_FILE) for path in devices]
    return [*rules, (spec.scratch, landlock.WRITE)]


def _wait(child: int, spec: CommandSpec) -> tuple[int, bool]:
    """Wait for the command; at its deadline, or when we are told to end, first ask it to, then kill it."""
    deadline = time.monotonic() + spec.timeout_s
    asked_at: float | None = None
    while True:
        limit = deadline if asked_at is None else asked_at + spec.grace_s
        received = signal.sigtimedwait({signal.SIGCHLD, signal.SIGTERM}, max(0.0, limit - time.monotonic()))
        status = _reap(child)
        if status is not None:
            return status, asked_at is not None
        if received is not None and received.si_signo == signal.SIGCHLD:
            continue
        if asked_at is None:
            asked_at = time.monotonic()
            _kill_group(child, signal.SIGTERM)
        elif received is None:
            _kill_group(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            return status, True


def _reap(child: int) -> int | None:
    """Collect whoever ended; the command's status when it is among them."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == child:
            found = status


def _kill_group(leader: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, number)


def _sweep() -> int:
    """Kill every descendant until there is none; each round finds those that were made meanwhile."""
    killed: set[int] = set()
    for _ in range(_SWEEPS):
        alive = _descendants(os.getpid())
        if not alive:
            break
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(0.002)
        _reap(0)
    return len(killed)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for path in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            try:
                children = [int(word) for word in path.read_text().split()]
            except OSError:
                continue
            found += children
            waiting += children
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
