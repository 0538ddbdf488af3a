"""Named places where a test lets a process die, so that what follows can be looked at.

A call costs one comparison and does nothing, unless the process was armed: then a file names the place, and the
process kills itself there as power loss would (SIGKILL: no clean-up, no flushed buffer). Only the sandbox arms its
processes, and a process outside a sandbox refuses to be armed.

The file holds one line, ``NAME`` or ``NAME N`` for the N-th time the place is reached from then on. It is taken away
before the process dies, so that the next start lives.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from shared.config.paths import Paths
from shared.errors import ConfigError

VARIABLE = "CLAWGATE_FAULT_FILE"

POINTS: Mapping[str, str] = {
    "inbox.received": "a message came from the platform; nothing is stored",
    "inbox.stored": "it is in the inbox; nobody was woken",
    "run.claimed": "a run has claimed it",
    "worker.leased": "the gateway gave a new worker; it has not been spoken to",
    "run.prompt_recorded": "what the worker is about to be asked is stored; nothing is written",
    "run.prompt_written": "the prompt is on its way to the worker",
    "run.tool_done": "a tool that the agent called has done its work; the call is not answered",
    "run.answer_shown": "a part of the answer is being shown",
    "run.answer_heard": "the result is heard; the answer is not stored",
    "outbox.stored": "a message to be sent is stored; nobody was woken",
    "run.answer_stored": "answer and mark on the messages are stored; the worker still counts as busy",
    "run.released": "the worker is idle again",
    "outbox.try_noted": "the try to send is noted; nothing is sent",
    "outbox.delivered": "the platform has the message; that is not noted",
    "outbox.settled": "the message is marked as delivered",
    "run.failed": "a failed try is settled, with what is said about it",
    "recovery.counted": "a start has counted that it takes up an open run; no worker was taken over",
    "recovery.claims_reset": "a start has opened the other claims; nobody was woken",
    "worker.started": "gateway: the container runs; its tenant has not heard of it",
    "worker.input_received": "gateway: input for a worker came; nothing of it is written",
    "worker.input_written": "gateway: the input is written",
}
"""Every place, with what has happened there and what has not; docs/fault-points.md is made from it."""

_file: Path | None = None
_reached: Counter[str] = Counter()


def fault_point(name: str) -> None:
    """A named place; nothing happens here but in a test that wants the process to end here."""
    if _file is not None:
        _reach(_file, name)


def arm(paths: Paths) -> None:
    """Let the file that the environment names decide where this process dies; nothing without that variable.

    Raises:
        ConfigError: this is not a sandbox.
    """
    global _file  # noqa: PLW0603 - one process, one file: a call in hot code must find it without an argument
    value = os.environ.get(VARIABLE, "")
    if not value:
        return
    if not paths.sandbox_marker.exists():
        raise ConfigError(
            f"{VARIABLE} is set, but {paths.state} is not a sandbox's: it lets a process kill itself for tests. "
            "Unset it",
            code="config.fault_points",
        )
    _file = Path(value)


def _reach(file: Path, name: str) -> None:
    if name not in POINTS:
        raise RuntimeError(f"the fault point {name!r} is not in POINTS")
    try:
        wanted, _, number = file.read_text(encoding="ascii").strip().partition(" ")
    except FileNotFoundError:
        return
    if wanted != name:
        return
    _reached[name] += 1
    if _reached[name] >= int(number or 1):
        _reached.clear()
        file.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
