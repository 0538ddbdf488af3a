"""Setting one value in a ``.env`` file that a person edits too: every other byte of it stays."""

from __future__ import annotations

import fcntl
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import ConfigError, Conflict, Unavailable
from shared.secrets.files import Secret, require_private, write_private

_PLAIN = re.compile(r"[A-Za-z0-9_.~+/|=-]+")
_ASSIGNMENT = re.compile(r"(?P<head>\s*(?:export\s+)?['\"]?[^=\s'\"]+['\"]?[^\S\r\n]*=[^\S\r\n]*)", re.DOTALL)
_TAIL = re.compile(r"(?P<comment>[^\S\r\n]+#[^\r\n]*)?(?P<end>\r?\n?)$")
_ATTEMPTS = 5


def write_back(path: Path, names: tuple[str, ...], value: Secret) -> bool:
    """Set one value in ``.env``; every other byte of it stays, and so does mode 600.

    Args:
        path: the file; made when it is missing. A link stays a link.
        names: the first that the file has is set; the last one is added when it has none.
        value: one line.

    Returns:
        Whether anything changed.

    Raises:
        ConfigError: others can read the file.
        Conflict: somebody else keeps writing it.
        Unavailable: the disk is full or the file cannot be written; it is whole.
    """
    path = path.resolve()
    try:
        with _locked(path):
            for _ in range(_ATTEMPTS):
                old = _content(path)
                new = edited(old.decode("utf-8", "surrogateescape"), names, value).encode("utf-8", "surrogateescape")
                if new == old:
                    return False
                # A person's editor does not know our lock: what it saved meanwhile is read again, not overwritten.
                if _content(path) == old:
                    _replace(path, new)
                    return True
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise Unavailable(f"{path} cannot be written ({reason}); it is as it was", code="auth.env") from None
    raise Conflict(f"{path} keeps changing: close what is writing it; the new token is in the vault meanwhile")


def edited(text: str, names: tuple[str, ...], value: Secret) -> str:
    """The text of a ``.env`` with one value set; pure.

    Comments behind the value, quotes around other values, ``export``, line ends and order stay.
    """
    from dotenv.parser import parse_stream

    bindings = list(parse_stream(io.StringIO(text)))
    present = {binding.key for binding in bindings}
    name = next((name for name in names if name in present), None)
    shown = _quoted(value.reveal())
    if name is None:
        line_end = "\r\n" if "\r\n" in text else "\n"
        gap = "" if not text or text.endswith(("\n", "\r")) else line_end
        return f"{text}{gap}{names[-1]}={shown}{line_end}"
    return "".join(
        _with_value(binding.original.string, shown) if binding.key == name else binding.original.string
        for binding in bindings
    )


def _with_value(line: str, shown: str) -> str:
    head = _ASSIGNMENT.match(line)
    tail = _TAIL.search(line)
    end = tail["end"] if tail else "\n"
    if head is None:
        # A name without "=": it had no value at all.
        return f"{line.rstrip()}={shown}{end}"
    rest = line[head.end() :]
    quoted = rest[:1] in {"'", '"'}
    closed = rest.rfind(rest[0]) if quoted else 0
    comment = _TAIL.search(rest, closed + 1 if quoted and closed > 0 else 0)
    behind = (comment["comment"] or "") if comment else ""
    return f"{head['head']}{shown}{behind}{end}"


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if "\n" in value or "\r" in value:
        raise ConfigError("a value of more than one line cannot be written into .env")
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _content(path: Path) -> bytes:
    if not path.exists():
        return b""
    require_private(path)
    return path.read_bytes()


def _replace(path: Path, data: bytes) -> None:
    owner = path.stat() if path.exists() else None
    write_private(path, data)
    if owner is not None and os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (0, 0):
        os.chown(path, owner.st_uid, owner.st_gid)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = path.with_name(f"{path.name}.clawgate-lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
