"""What a process does to itself first, so that what it later runs cannot read it."""

from __future__ import annotations

import ctypes

_PR_SET_DUMPABLE = 4


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def make_undumpable() -> None:
    """Close ``/proc/<us>/{environ,mem,fd,…}`` and ptrace to processes of the same user.

    The flag is lost on ``exec``, so every process sets it for itself, first thing.
    """
    _prctl(_PR_SET_DUMPABLE, 0)
