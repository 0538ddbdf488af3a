"""Writing ``openclaw.json``: one writer at a time, audited first, five backups, and never half a file.

Source: reference gateway §18, features §1. Order: the new text lies on disk beside the old one, the audit line is
flushed, the backups move up, then one rename. A disk that fills up anywhere before that leaves the file as it was.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, Final

from openclaw.config.document import text_hash
from openclaw.config.editing import differences
from openclaw.config.issues import dotted
from openclaw.config.masking import LITERAL, masked
from openclaw.protocol.frames import SERVER_VERSION
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.json5 import Json5Error, parse_json5
from shared.errors import Conflict, Unavailable
from shared.secrets.files import flush_folder

BACKUPS: Final = 5
"""``.bak``, ``.bak.1`` to ``.bak.4``. Source: reference features §1."""

STAMP: Final = ("meta",)
"""Where a file says who changed it last; that is no change by itself."""

CHANGED: Final = "config changed since last load; re-run config.get and retry"
"""Source: reference gateway §14; clients look for these words."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, for the audit.

    Attributes:
        who: ``operator`` for this machine's command line, else the device.
        how: the command or method.
    """

    who: str
    how: str


def audit_file(path: FilePath) -> FilePath:
    """Where writes of a configuration file are recorded, one JSON line each."""
    return path.parent / "logs" / "config-audit.jsonl"


def backup_file(path: FilePath, number: int) -> FilePath:
    """The `number`-th newest backup, counted from zero."""
    return path.with_name(f"{path.name}.bak" + (f".{number}" if number else ""))


def render(values: Mapping[str, Any]) -> str:
    """A configuration as it is written: plain indented JSON."""
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


def stamped(values: Mapping[str, Any], clock: Clock = SYSTEM_CLOCK) -> dict[str, Any]:
    """A copy that says in ``meta`` which release changed it last, and when, as the original's files do."""
    meta = values.get("meta")
    if meta is not None and not isinstance(meta, Mapping):
        return dict(values)  # broken, or included: not ours to mend
    touched = {"lastTouchedVersion": SERVER_VERSION, "lastTouchedAt": clock.now().isoformat()}
    return {**values, "meta": {**(meta or {}), **touched}}


def has_comments(text: str) -> bool:
    """Whether somebody wrote remarks into the file, which a program that rewrites it cannot keep."""
    return any(match["remark"] for match in LITERAL.finditer(text))


def write_config(
    path: FilePath, text: str, *, base_hash: str | None, writer: Writer, clock: Clock = SYSTEM_CLOCK
) -> bool:
    """Replace the file; false when it has this text already.

    Args:
        path: the file.
        text: checked already.
        base_hash: the text the change was made on; None for a file that must not exist yet.
        writer: for the audit.
        clock: for the audit.

    Raises:
        Conflict: somebody else wrote meanwhile.
        Unavailable: the disk is full or the file cannot be written; it is as it was.
    """
    try:
        with locked(path):
            old = _current(path)
            if base_hash != (None if old is None else text_hash(old)):
                raise Conflict(CHANGED, code="config.changed")
            if old == text:
                return False
            temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
            try:
                _write_flushed(temporary, text)
                _audit(path, old, text, writer, clock)
                _rotate(path)
                temporary.replace(path)
                flush_folder(path.parent)
            finally:
                temporary.unlink(missing_ok=True)
            return True
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise Unavailable(f"{path} cannot be written ({reason}); it is as it was", code="config.write") from None


@contextlib.contextmanager
def locked(path: FilePath) -> Iterator[None]:
    """Hold the right to write a configuration file, over all processes."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _current(path: FilePath) -> str | None:
    try:
        return path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except FileNotFoundError:
        return None


def _write_flushed(path: FilePath, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())


def _rotate(path: FilePath) -> None:
    """Move the backups up by one; the newest is a second name of the file that is about to be replaced."""
    if not path.exists():
        return
    for number in range(BACKUPS - 2, -1, -1):
        with contextlib.suppress(FileNotFoundError):
            backup_file(path, number).replace(backup_file(path, number + 1))
    os.link(path, backup_file(path, 0))


def _audit(path: FilePath, old: str | None, text: str, writer: Writer, clock: Clock) -> None:
    before, after = _values(old or ""), _values(text)
    record = {
        "at": clock.now().isoformat(),
        "who": writer.who,
        "how": writer.how,
        "file": str(path),
        "hashBefore": None if old is None else text_hash(old),
        "hashAfter": text_hash(text),
        "changes": [
            {"path": dotted(where), "before": masked(was, where), "after": masked(now, where)}
            for where, was, now in differences(before, after)
            if where[:1] != STAMP
        ],
    }
    file = audit_file(path)
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "ab") as handle:
        handle.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        handle.flush()
        os.fsync(handle.fileno())


def _values(text: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return parse_json5(text).value if text.strip() else {}
    except Json5Error:
        return {}
