"""Reads the tar file a tenant handed over: whatever is in it, nothing but plain files with plain names comes out."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shared.errors import Invalid

_MOST_FILES = 50_000
_LONGEST_NAME = 1024


@dataclass(frozen=True, slots=True)
class Member:
    """One file.

    Attributes:
        name: below the process's folder.
        mode: permission bits.
    """

    name: str
    mode: int
    data: bytes


def read_members(file: Path) -> Iterator[Member]:
    """The files of a tar file, one at a time.

    Raises:
        Invalid: it is no tar file, or holds what a backup cannot: links, devices, names that lead elsewhere, doubles.
    """
    seen: set[str] = set()
    try:
        with tarfile.open(file, mode="r:") as tar:
            for info in tar:
                name = safe_name(info.name)
                if not info.isreg():
                    raise Invalid(f"{name} is not a plain file", code="backup.archive")
                if name in seen or len(seen) >= _MOST_FILES:
                    why = "is there twice" if name in seen else f"is one file more than {_MOST_FILES}"
                    raise Invalid(f"{name} {why}", code="backup.archive")
                seen.add(name)
                handle = tar.extractfile(info)
                data = handle.read() if handle else b""
                if len(data) != info.size:
                    raise Invalid("the copy ends in the middle of a file", code="backup.archive")
                yield Member(name, info.mode & 0o777, data)
    except tarfile.TarError as error:
        raise Invalid(f"the copy cannot be read: {error}", code="backup.archive") from None


def safe_name(name: str) -> str:
    """A relative path that stays where it is put.

    Raises:
        Invalid: it leads elsewhere.
    """
    path = PurePosixPath(name)
    if not name or len(name) > _LONGEST_NAME or path.is_absolute() or ".." in path.parts or "\0" in name:
        raise Invalid(f"{name[:80]!r} is not a name inside a backup", code="backup.archive")
    return str(path)
