"""Whether a worker sees the folders that were looked at, and not what was put in their place before the engine came.

The engine finds a mount's source by path, twice, after we did; the tenant owns the folders above it. What was mounted
is asked of the kernel, through the worker's first process, where that can be seen from here: not from a container of
our own, nor without the right to look into other users' processes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from gateway.workers.spec import Mount
from shared.beneath import walk
from shared.errors import Denied
from shared.obs.log import get_logger

_log = get_logger(__name__)

_STEP = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ROOT = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC  # of a process: it is a link of the kernel's own

Identity = tuple[int, int]
"""Device and inode."""


def identities(state: Path, mounts: Sequence[Mount]) -> dict[str, Identity]:
    """What the mounts from below the state directory are, by target; reached through no link.

    Raises:
        Denied: one is reached through a link, or is gone.
    """
    found = {}
    for mount in mounts:
        if mount.source.is_relative_to(state):
            try:
                with walk(state, mount.source.relative_to(state).parts) as folder:
                    found[mount.target] = _identity(folder)
            except OSError as error:
                raise _exchanged(str(mount.source), error.strerror or "refused") from None
    return found


def confirm(container: str, pid: int, expected: Mapping[str, Identity]) -> None:
    """Refuse a worker that sees another folder than was looked at. Blocks.

    Args:
        container: its id.
        pid: of its first process, as the engine numbers it.
        expected: from `identities`.

    Raises:
        Denied: it sees something else; end it.
    """
    if not _is_of(container, pid):
        _log.info("worker.mounts_unseen", container=container[:12])
        return
    try:
        root = os.open(f"/proc/{pid}/root", _ROOT)
    except OSError as error:
        _log.info("worker.mounts_unseen", container=container[:12], reason=error.strerror)
        return
    try:
        for target, identity in expected.items():
            try:
                reason = "" if _reached(root, target) == identity else "another folder was mounted"
            except OSError as error:
                reason = error.strerror or "refused"
            if reason and _is_of(container, pid):  # else it has ended by itself, and its mounts with it
                raise _exchanged(target, reason)
    finally:
        os.close(root)


def _is_of(container: str, pid: int) -> bool:
    """Whether a number means a process of this container here: where we have numbers of our own, it is another's."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except OSError:
        return False


def _reached(root: int, target: str) -> Identity:
    folder = os.dup(root)
    try:
        for step in PurePosixPath(target).parts[1:]:
            deeper = os.open(step, _STEP, dir_fd=folder)
            os.close(folder)
            folder = deeper
        return _identity(folder)
    finally:
        os.close(folder)


def _identity(folder: int) -> Identity:
    facts = os.fstat(folder)
    return facts.st_dev, facts.st_ino


def _exchanged(what: str, reason: str) -> Denied:
    return Denied(
        f"{what} was exchanged while a worker started ({reason}), so the worker was ended: look at who changes the "
        "tenant's folders, then ask again",
        code="worker.mount_exchanged",
    )
