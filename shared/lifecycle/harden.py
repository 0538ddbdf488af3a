"""What a process does to itself first, so that what it later runs cannot read it."""

from __future__ import annotations

import ctypes
import os

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def make_undumpable() -> None:
    """Close ``/proc/<us>/{environ,mem,fd,…}`` and ptrace to processes of the same user.

    The flag is lost on ``exec``, so every process sets it for itself, first thing.
    """
    _prctl(_PR_SET_DUMPABLE, 0)


def adopt_orphans() -> None:
    """Make orphaned descendants our children, so that none outlives us unseen."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def reap_orphans() -> int:
    """Collect dead children nobody waits for; returns how many."""
    count = 0
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return count
        if pid == 0:
            return count
        count += 1
