"""Numbering after a gap: which line of the engine's log is which, and where live output joins it. Pure functions.

The log holds whole lines in order from its oldest kept byte. Live output starts somewhere, perhaps within a line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from gateway.workers.frames import clip

TAIL_LINES = 8
"""How many lines a checkpoint remembers."""


class Checkpoint(BaseModel):
    """What a gateway noted about a worker for the one that comes after it.

    Attributes:
        line: number of the last line it had read.
        first: fingerprint of line 1; tells whether the log still begins at the beginning.
        tail: fingerprints of the last lines up to `line`, oldest first.
        run_id: the run in progress, empty when there was none.
        standby: started ahead, and no run has used it.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    line: int = 0
    first: str = ""
    tail: tuple[str, ...] = ()
    run_id: str = ""
    standby: bool = False


def fingerprint(line: bytes) -> str:
    """A short stand-in for a line's content."""
    return hashlib.blake2b(line, digest_size=8).hexdigest()


def tail_of(lines: Sequence[bytes]) -> tuple[str, ...]:
    """Fingerprints of the last lines, for a checkpoint."""
    return tuple(fingerprint(line) for line in lines[-TAIL_LINES:])


def whole_lines(log: bytes) -> list[bytes]:
    """Complete lines of a log; what follows the last newline is still being written."""
    return [clip(line) for line in log.split(b"\n")[:-1]]


def number_of_oldest(log: Sequence[bytes], noted: Checkpoint) -> int:
    """The number of a log's first line.

    It is 1 unless the engine turned the log over; then the lines the checkpoint remembers are looked for.
    """
    if not log or not noted.first or fingerprint(log[0]) == noted.first:
        return 1
    tail = list(noted.tail)
    marks = [fingerprint(line) for line in log]
    for end in range(len(marks), 0, -1):
        seen = marks[max(0, end - len(tail)) : end]
        if seen and seen == tail[len(tail) - len(seen) :]:
            return max(1, noted.line - end + 1)
    return noted.line + 1  # all it remembers is gone: lines are missing, and none may be given a used number


def join_index(log: Sequence[bytes], live: Sequence[bytes], *, not_before: int, settled: bool) -> int | None:
    """Index in `log` of the line that ends with the first live one, or None when that cannot be said yet.

    Args:
        log: complete lines the engine's log has, from its oldest.
        live: complete live lines, of which the first may be the end of a line begun earlier.
        not_before: how many lines the log had before live output was joined; those cannot be live ones.
        settled: output has been quiet long enough for the log to hold all of it.
    """
    if not live:
        return None
    if settled:
        index = len(log) - len(live)
        return index if index >= 0 and log[index].endswith(live[0]) else None
    for index in range(not_before, len(log)):
        overlap = min(len(log) - index, len(live))
        if not log[index].endswith(live[0]) or list(log[index + 1 : index + overlap]) != list(live[1:overlap]):
            continue
        if log[index] == live[0] or overlap > 1:
            return index
    return None
