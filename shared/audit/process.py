"""What a process tells about itself: its id, the names in its environment, and whether it holds its own lock."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from shared.config.process import environment_names


def own_process(lock: Path) -> dict[str, Any]:
    """Facts for the audit; of the environment only names.

    Args:
        lock: the file of the single-instance lock.
    """
    # Not from /proc: a process that is not dumpable may not read that of itself, unless it is root.
    return {"pid": os.getpid(), "variables": environment_names(), "holds_lock": is_locked(lock)}


def is_locked(lock: Path) -> bool:
    """Whether somebody, we included, holds a lock; another descriptor of ours cannot have it too."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
