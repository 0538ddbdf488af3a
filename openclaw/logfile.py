"""Log lines go to standard error and to a file of the tenant, where ``logs.tail`` finds them."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TextIO

_MAX_BYTES = 10 << 20
_HEAD = frozenset({"event", "level", "timestamp", "logger"})
_LEVELS = {"warning": "WARN", "critical": "FATAL"}


def for_clients(line: str) -> str:
    """A log line with the fields the original's clients read beside our own; lines that are no record of ours stay.

    They take the message from ``0``, and level, time and the part of the program from ``_meta``.
    """
    try:
        record = json.loads(line)
        event = str(record["event"])
    except (ValueError, KeyError, TypeError):
        return line
    details = " ".join(f"{name}={value}" for name, value in record.items() if name not in _HEAD)
    level, moment = str(record.get("level", "info")), record.get("timestamp")
    part = json.dumps({"subsystem": str(record.get("logger") or "gateway")})
    meta = {"logLevelName": _LEVELS.get(level, level.upper()), "date": moment, "name": part}
    shown = {"0": f"{event} {details}".rstrip(), "_meta": meta, "time": moment}
    return json.dumps({**record, **shown}, ensure_ascii=False)


class LogTee(io.TextIOBase):
    """A text stream that writes to two places; the file is set aside as ``.1`` when it grows beyond 10 MiB.

    A file that somebody else has set aside, or deleted, is begun anew with the next line.

    Args:
        path: the file, mode 0600.
        stream: the other place.
    """

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path = path
        self._stream = stream
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._open()

    def _open(self) -> None:
        self._file = self._path.open("a", encoding="utf-8")
        self._path.chmod(0o600)
        facts = os.fstat(self._file.fileno())
        self._size, self._identity = facts.st_size, (facts.st_dev, facts.st_ino)

    def isatty(self) -> bool:
        """Never: the file wants JSON lines, and so does whoever collects standard error."""
        return False

    def write(self, text: str) -> int:
        """Write to both."""
        self._stream.write(text)
        if not self._is_in_place():
            self._file.close()
            self._open()
        self._file.write(text)
        self._size += len(text)
        if self._size > _MAX_BYTES and text.endswith("\n"):
            self._file.close()
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
            self._open()
        return len(text)

    def _is_in_place(self) -> bool:
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return False
        return (facts.st_dev, facts.st_ino) == self._identity

    def flush(self) -> None:
        """Flush both."""
        self._stream.flush()
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        """Close the file; the other place belongs to somebody else."""
        super().close()
        self._file.close()
