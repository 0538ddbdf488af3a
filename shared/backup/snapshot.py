"""A process's own files and database, copied consistently into one tar file.

Folders of a tenant may belong to an agent, so they are walked by descriptor and links are left out. The database is
copied by SQLite itself while it is in use; what changes every day without meaning is emptied in the copy, so that a
day on which nothing happened gives the same bytes.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO, Final

from shared.errors import Unavailable

NEVER: Final = (
    ".env*",
    "*.token",
    "*.token.json",
    "*token-state.json",
    "auth-profiles.json",
    ".credentials.json",
    "credentials",
    "cert.pem",
    "*.pem",
    "*.key",
    "*.sock",
    "*.ctl",
    "*.pid",
    "*.log",
    "*.log.*",
    "*.part",
    ".part-*",
    "*.db",
    "*.db-wal",
    "*.db-shm",
    "logs",
    "debug",
    "shell-snapshots",
    "node_modules",
    ".cache",
    "__pycache__",
)
"""Names that are left out wherever they lie: secrets, logs, caches, sockets, and databases, which are copied apart."""

EMPTIED: Final = ("maintenance_job",)
"""Tables that say when something runs next, which a restored process finds out anew."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What belongs to a backup.

    Attributes:
        include: files and folders below the root, each with everything in it.
        exclude: further names left out, beside `NEVER`.
        database: the root's database file; copied under its name.
    """

    include: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    database: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was copied."""

    files: int
    bytes: int


async def take_snapshot(target: Path, root: Path, selection: Selection, *, most_bytes: int) -> Snapshot:
    """Copy what belongs to a backup into a tar file of mode 600.

    Args:
        target: written anew.
        root: the process's own folder.
        selection: what of it.
        most_bytes: more than this is refused.

    Raises:
        Unavailable: it is too large, or the disk refuses.
    """
    try:
        return await asyncio.to_thread(_take, target, root, selection, most_bytes)
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"the copy for the backup could not be made: {error}", code="backup.snapshot") from None


def _take(target: Path, root: Path, selection: Selection, most_bytes: int) -> Snapshot:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    count = size = 0
    with (
        os.fdopen(descriptor, "wb") as handle,
        tarfile.open(fileobj=handle, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        if selection.database and (root / selection.database).exists():
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                copy = Path(folder) / "copy.db"
                _copy_database(root / selection.database, copy)
                with copy.open("rb") as database:
                    size += _add(tar, selection.database, database)
                count += 1
        for name, opened in _files(root, selection):
            with opened:
                size += _add(tar, name, opened)
            count += 1
            if size > most_bytes:
                raise Unavailable(
                    f"the backup would be larger than {most_bytes // 1_000_000} MB; clean up where {name} lies",
                    code="backup.too_large",
                )
    return Snapshot(count, size)


def _add(tar: tarfile.TarFile, name: str, opened: BinaryIO) -> int:
    facts = os.fstat(opened.fileno())
    info = tarfile.TarInfo(name)
    info.size, info.mode = facts.st_size, stat.S_IMODE(facts.st_mode)
    tar.addfile(info, _Exactly(opened, facts.st_size))
    return facts.st_size


class _Exactly:
    """A file that goes on growing or shrank meanwhile, read as long as it was."""

    def __init__(self, opened: BinaryIO, size: int) -> None:
        self._opened = opened
        self._left = size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._opened.read(wanted).ljust(wanted, b"\0")
        self._left -= wanted
        return data


def _files(root: Path, selection: Selection) -> Iterator[tuple[str, BinaryIO]]:
    """Plain files in a stable order, opened without following a link."""
    left_out = (*NEVER, *selection.exclude)
    for top in sorted(selection.include):
        place = root / top
        if place.is_symlink() or not place.exists():
            continue
        if place.is_file():
            yield top, _open(place.name, os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY), closes=True)
            continue
        for above, folders, names, descriptor in os.fwalk(place, follow_symlinks=False):
            folders[:] = sorted(name for name in folders if not _is_left_out(name, left_out))
            for name in sorted(names):
                if _is_left_out(name, left_out):
                    continue
                try:
                    facts = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                    if stat.S_ISREG(facts.st_mode):
                        yield str((Path(above) / name).relative_to(root)), _open(name, descriptor)
                except FileNotFoundError:
                    continue  # gone while we walked


def _open(name: str, folder: int, *, closes: bool = False) -> BinaryIO:
    try:
        return os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder), "rb")
    finally:
        if closes:
            os.close(folder)


def _is_left_out(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def copy_database(source: Path, target: Path) -> None:
    """Copy a database that may be in use into a file that is not there yet, as of one moment; blocks."""
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as reading:
        reading.execute("VACUUM INTO ?", (str(target),))


def _copy_database(source: Path, target: Path) -> None:
    copy_database(source, target)
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        tables = {row[0] for row in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in sorted(tables.intersection(EMPTIED)):
            copy.execute(f'DELETE FROM "{table}"')  # noqa: S608 - one of our own names
        copy.execute("VACUUM")
