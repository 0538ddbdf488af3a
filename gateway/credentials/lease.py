"""The right to refresh a credential: one holder on this machine, given back by the kernel when the holder dies."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.errors import Unavailable

_POLL_S = 0.02
_POLL_CEILING_S = 0.25


@asynccontextmanager
async def file_lease(path: Path, *, deadline_s: float) -> AsyncIterator[None]:
    """Hold an exclusive ``flock`` on a file beside the credential.

    The file stays when it is given back, so that no two holders can lock different files of that name.

    Args:
        path: the lock file; created with mode 0600.
        deadline_s: how long to wait for another holder, in seconds.

    Raises:
        Unavailable: it is held for longer, or the file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(
            f"{path} cannot be locked ({os.strerror(error.errno or 0)}): without the lock nothing is refreshed",
            code="auth.lock",
        ) from None
    try:
        await _acquire(descriptor, path, deadline_s)
        yield
    finally:
        # Closing gives the lock back.
        os.close(descriptor)


async def _acquire(descriptor: int, path: Path, deadline_s: float) -> None:
    loop = asyncio.get_running_loop()
    ends, wait = loop.time() + deadline_s, _POLL_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if loop.time() >= ends:
                raise Unavailable(
                    f"another process has been refreshing this credential for {deadline_s:.0f} s (lock {path})",
                    code="auth.lock",
                ) from None
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, _POLL_CEILING_S)
        else:
            return
