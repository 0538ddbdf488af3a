"""What a contained command is given, and how it ended. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CommandSpec:
    """One command.

    Attributes:
        program: the resolved executable.
        argv: the whole argument list, the program's name first.
        env: the child's whole environment.
        scratch: the only folder it may write in, and its working directory's root.
        cwd: inside `scratch`.
        readable: what it may read and execute from.
        connect_port: the one TCP port it may connect to; None means no sockets at all.
        timeout_s: then it is asked to end, and killed after `grace_s` more.
        memory_bytes: address space of each of its processes; 0 leaves it to the service's own limit.
        file_bytes: largest file it may write.
        processes: how many more processes and threads this user may have; counts all of the user's.
        require_landlock: refuse to run on a kernel without Landlock.
    """

    program: str
    argv: tuple[str, ...]
    env: dict[str, str]
    scratch: str
    cwd: str
    readable: tuple[str, ...]
    connect_port: int | None = None
    timeout_s: float = 60.0
    grace_s: float = 2.0
    memory_bytes: int = 0
    file_bytes: int = 64 * 1024 * 1024
    open_files: int = 256
    require_landlock: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended.

    Attributes:
        exit_code: its own, or 128 and the signal's number; 126 when it could not be started.
        problem: what kept it from running or ended it early, for a person; empty when it ended by itself.
        left_over: processes that outlived it and were killed.
        landlock: the kernel's version, 0 when there is none.
    """

    exit_code: int
    problem: str = ""
    timed_out: bool = False
    left_over: int = 0
    landlock: int = 0
    stdout: bytes = field(default=b"", repr=False)
    stderr: bytes = field(default=b"", repr=False)
    dropped_bytes: int = 0
    duration_s: float = 0.0
