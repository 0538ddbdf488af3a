"""System calls that Python has no name for. Standard library only: the launcher starts without anything else."""

from __future__ import annotations

import ctypes
import os

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def syscall(number: int, *arguments: object) -> int:
    """A system call by number.

    Raises:
        OSError: it failed.
    """
    result = int(_libc.syscall(ctypes.c_long(number), *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def _prctl(option: int, *values: object) -> None:
    padded = (*values, *[0] * (4 - len(values)))
    if _libc.prctl(option, *(ctypes.c_ulong(v) if isinstance(v, int) else v for v in padded)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def die_with_parent(signal: int) -> None:
    """Get a signal when the thread that started us ends."""
    _prctl(_PR_SET_PDEATHSIG, signal)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ended."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def give_up_new_privileges() -> None:
    """No program started from here on gains rights; Landlock and seccomp need it."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def install_seccomp(program: object) -> None:
    """Hand a BPF program over; it cannot be taken back."""
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program)
