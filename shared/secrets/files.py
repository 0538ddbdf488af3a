"""Atomic files of mode 0600, and the check that a secret file is private."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from shared.errors import ConfigError


class Secret:
    """A secret in memory: no text form, no equality by value; `reveal` is easy to search for."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The secret itself. Hand it to the wire, never to a log, an error or a file of another owner."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)


def require_private(path: Path) -> None:
    """Refuse a secret file that others can read.

    Raises:
        ConfigError: the mode is not 600, or another user owns the file (policy G7).
    """
    info = path.stat()
    mode = stat.S_IMODE(info.st_mode)
    if mode != 0o600:
        raise ConfigError(
            f"{path} has mode {mode:03o} but holds secrets: it must be 600. Run: chmod 600 {path}",
            code="config.env_mode",
        )
    if info.st_uid != os.geteuid() and os.geteuid() != 0:
        raise ConfigError(
            f"{path} belongs to user id {info.st_uid}, not to us ({os.geteuid()}): fix its owner",
            code="config.env_owner",
        )


def write_private(path: Path, data: str | bytes, *, mode: int = 0o600) -> None:
    """Replace a file in one step: temporary file beside it, flush to disk, rename."""
    payload = data.encode() if isinstance(data, str) else data
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            os.fchmod(handle.fileno(), mode)
            handle.write(payload)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Have the disk take a folder's entries: a file that was made or renamed there is found after a crash."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
