"""The kill switch: while its marker lies in the state directory, nothing that an agent wants is done.

It is asked where things happen, in the gateway and in the processes that run commands, and never by asking a model. The
marker is a file so that it outlives every restart and every process sees it at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from shared.config.paths import Paths
from shared.errors import Denied
from shared.secrets.files import write_private

_DRILL: ContextVar[bool] = ContextVar("halt_drill", default=False)


def is_halted(paths: Paths) -> bool:
    """Whether everything is stopped, or this very call is a drill."""
    return _DRILL.get() or paths.halt_marker.exists()


def require_not_halted(paths: Paths) -> None:
    """Refuse while everything is stopped.

    Raises:
        Denied: it is.
    """
    if is_halted(paths):
        raise Denied(
            f"everything is stopped by the operator: `clawgate resume{paths.state_option}` lets it go on", code="halted"
        )


def halt(paths: Paths, reason: str) -> None:
    """Stop everything; durable when it returns.

    Raises:
        OSError: the marker cannot be written.
    """
    write_private(paths.halt_marker, f"{reason}\n", mode=0o644)


def resume(paths: Paths) -> bool:
    """Let everything go on; False when nothing was stopped."""
    marker: Path = paths.halt_marker
    was = marker.exists()
    marker.unlink(missing_ok=True)
    return was


@contextmanager
def drilling() -> Iterator[None]:
    """Inside the block, and only for this task, everything counts as stopped."""
    token = _DRILL.set(True)
    try:
        yield
    finally:
        _DRILL.reset(token)
