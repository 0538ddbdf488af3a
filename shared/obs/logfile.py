"""A process's own log file: JSON lines, private, begun anew when somebody set it aside, and never endless."""

from __future__ import annotations

import logging
import os
from logging.handlers import WatchedFileHandler
from pathlib import Path

from shared.errors import ConfigError

_MAX_BYTES = 10 << 20


class LogFile(WatchedFileHandler):
    """Writes records to a file; it is set aside as ``.1`` when it grows beyond 10 MiB, for rotation to compress.

    A full disk costs lines, never the process.

    Args:
        path: the file, mode 0600; folders above it are made.

    Raises:
        ConfigError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            super().__init__(path, encoding="utf-8")
        except OSError as error:
            raise ConfigError(
                f"cannot write {path}: {error.strerror}; the state directory must belong to this user",
                code="config.state_dir",
            ) from None

    def _open(self):  # type: ignore[no-untyped-def] # noqa: ANN202 - as the standard library has it
        stream = super()._open()
        os.fchmod(stream.fileno(), 0o600)
        return stream

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        super().emit(record)
        try:
            if self.stream is not None and self.stream.tell() > _MAX_BYTES:
                self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        except OSError:
            return

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """Say nothing: standard error has the line too."""
