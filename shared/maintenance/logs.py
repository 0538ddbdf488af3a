"""Log files: rotated once a day with a number of compressed generations kept, deleted when they are old.

``name.log`` becomes ``name.log.1.gz``, that one ``name.log.2.gz``, and so on. Every step is a rename or a whole new
file, so whatever interrupts it leaves each line in one file, or at worst in two. Folders are entered without following
links, because an agent may own what lies around them.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shared.beneath import READ_FLAGS, folder_beneath
from shared.errors import Denied, NotFound

_LIVE = re.compile(r".+\.(log|jsonl)")
_ANY = re.compile(r".+\.(log|jsonl)(\.\d+)?(\.gz)?")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class LogFolder:
    """A folder of log files.

    Attributes:
        root: a folder that exists or not; what lies below it may belong to somebody we do not trust.
        steps: the way down from it.
        rotated: its files go on being written and are rotated; otherwise each file has an end of its own.
    """

    root: Path
    steps: tuple[str, ...] = ()
    rotated: bool = True


def rotate(folders: Iterable[LogFolder], *, keep: int) -> int:
    """Set every file that has content aside; returns how many. Blocks.

    Args:
        folders: where to look.
        keep: generations kept of each file.

    Raises:
        OSError: the disk refuses; what was done so far is whole.
    """
    count = 0
    for folder in folders:
        if not folder.rotated:
            continue
        with _opened(folder) as place:
            for name in [] if place is None else _files(place, _LIVE):
                count += _rotate(place, name, keep) if place is not None else 0
    return count


def delete_old(folders: Iterable[LogFolder], *, before: datetime) -> tuple[int, int]:
    """Delete files last written before a moment; returns how many and their bytes. Blocks."""
    count = size = 0
    for folder in folders:
        with _opened(folder) as place:
            if place is None:
                continue
            for name in _files(place, _ANY):
                facts = os.stat(name, dir_fd=place, follow_symlinks=False)
                if facts.st_mtime < before.timestamp():
                    os.unlink(name, dir_fd=place)
                    count, size = count + 1, size + facts.st_size
    return count, size


@contextmanager
def _opened(folder: LogFolder) -> Iterator[int | None]:
    """The folder's descriptor; None when it is not there or is a link."""
    with suppress(NotFound, Denied), folder_beneath(folder.root, folder.steps) as place:
        yield place
        return
    yield None


def _files(place: int, wanted: re.Pattern[str]) -> list[str]:
    with os.scandir(place) as entries:
        return sorted(e.name for e in entries if wanted.fullmatch(e.name) and e.is_file(follow_symlinks=False))


def _rotate(place: int, name: str, keep: int) -> int:
    first = f"{name}.1"
    if _is_file(place, first):  # set aside by its writer for its size, or by a rotation that was interrupted
        _shift(place, name, keep)
        _compress(place, first)
    if os.stat(name, dir_fd=place, follow_symlinks=False).st_size == 0:
        return 0
    _shift(place, name, keep)
    os.rename(name, first, src_dir_fd=place, dst_dir_fd=place)
    _compress(place, first)
    return 1


def _shift(place: int, name: str, keep: int) -> None:
    """Make room for a new first generation."""
    generation = re.compile(re.escape(name) + r"\.(\d+)\.gz")
    numbers = [int(match[1]) for found in _files(place, _ANY) if (match := generation.fullmatch(found))]
    for number in sorted(numbers, reverse=True):
        old = f"{name}.{number}.gz"
        if number >= keep:
            os.unlink(old, dir_fd=place)
        else:
            os.rename(old, f"{name}.{number + 1}.gz", src_dir_fd=place, dst_dir_fd=place)


def _compress(place: int, name: str) -> None:
    part = f".{name}.part"
    with os.fdopen(os.open(name, READ_FLAGS, dir_fd=place), "rb") as plain:
        facts = os.fstat(plain.fileno())
        with os.fdopen(os.open(part, _NEW, 0o600, dir_fd=place), "wb") as target:
            with gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as packed:
                shutil.copyfileobj(plain, packed)
            target.flush()
            # Its age is that of its newest line, for the deletion by age.
            os.utime(target.fileno(), ns=(facts.st_atime_ns, facts.st_mtime_ns))
            os.fchmod(target.fileno(), stat.S_IMODE(facts.st_mode))
            os.fsync(target.fileno())
    os.rename(part, f"{name}.gz", src_dir_fd=place, dst_dir_fd=place)
    os.unlink(name, dir_fd=place)


def _is_file(place: int, name: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False
