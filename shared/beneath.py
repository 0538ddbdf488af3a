"""Files inside a folder that somebody we do not trust can write too, such as an agent's working directory.

A path in such a folder can be changed into a symbolic link between a check and its use. So nothing here works with
paths: every step is opened relative to the one before it, and a link is refused instead of followed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from shared.errors import Denied, Invalid, NotFound

TEMPORARY: Final = ".part-"
"""How the name of a file begins that is not whole yet."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER_MODE = 0o750
_FILE_MODE = 0o640


@contextmanager
def walk(
    root: Path, steps: Sequence[str], *, make_mode: int | None = None, give_to_owner: bool = False
) -> Iterator[int]:
    """The descriptor of a folder below `root`, reached one step at a time; no link is followed, `root` included.

    Args:
        root: the folder somebody else may write to; what lies above it is ours.
        steps: names of the folders on the way down.
        make_mode: make those that are not there, `root` included, with this mode.
        give_to_owner: what is made belongs to whom `root` belongs to.

    Raises:
        Invalid: a step is not the name of one folder.
        OSError: as it came, also from the body; the caller has the words for it.
    """
    if make_mode is not None:
        root.mkdir(parents=True, exist_ok=True, mode=make_mode)
    descriptor = os.open(root, _FOLDER)
    try:
        owner = os.fstat(descriptor) if give_to_owner else None
        for step in steps:
            _check(step)
            made = make_mode is not None and _make(step, make_mode, descriptor)
            deeper = os.open(step, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = deeper
            if made and owner is not None:
                _give(descriptor, owner)
        yield descriptor
    finally:
        os.close(descriptor)


def replace_at(folder: int, name: str, data: bytes, *, mode: int, owner: os.stat_result | None = None) -> None:
    """Put a file into an open folder, whole or not at all, and durably; a link of that name is replaced, not followed.

    Args:
        folder: its descriptor.
        name: the file's; until it is whole, it has a name that begins with `TEMPORARY`.
        data: all of it.
        mode: of the file, less our umask.
        owner: whom it is to belong to, when we may hand it over.

    Raises:
        Invalid: `name` is not the name of one file.
        OSError: as it came; nothing was left behind.
    """
    _check(name)
    temporary = f"{TEMPORARY}{secrets.token_hex(6)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if owner is not None:
                _give(descriptor, owner)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


@contextmanager
def folder_beneath(root: Path, steps: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """The descriptor of a folder below `root`; links are refused on every step below it.

    Args:
        root: the folder somebody else writes to; it itself is ours.
        steps: names of the folders on the way down.
        create: make those that are not there, `root` included; they belong to whom `root` belongs to.

    Raises:
        NotFound: it is not there.
        Denied: something on the way is no folder.
    """
    make_mode = _FOLDER_MODE if create else None
    with (
        _refusing("/".join(steps) or str(root)),
        walk(root, steps, make_mode=make_mode, give_to_owner=create) as folder,
    ):
        yield folder


def write_beneath(root: Path, steps: Sequence[str], name: str, data: bytes) -> None:
    """Write a new file below `root`, whole or not at all; it belongs to whom `root` belongs to.

    Raises:
        Denied: something on the way is no folder, or `name` is taken by something that is no file.
    """
    _check(name)
    with folder_beneath(root, steps, create=True) as folder, _refusing(name):
        replace_at(folder, name, data, mode=_FILE_MODE, owner=root.stat())


def append_beneath(root: Path, steps: Sequence[str], name: str, data: bytes, *, limit_bytes: int | None = None) -> None:
    """Write to the end of a file below `root`, made if need be; it belongs to whom `root` belongs to.

    Args:
        root: the folder somebody else writes to.
        steps: names of the folders on the way down; they must be there.
        name: the file's.
        data: written in one go.
        limit_bytes: a file that has grown so large is left as it is.

    Raises:
        NotFound: a folder is not there.
        Denied: it, or something on the way, is a link or no ordinary file.
    """
    _check(name)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with folder_beneath(root, steps) as folder, _refusing(name):
        descriptor = os.open(name, flags, _FILE_MODE, dir_fd=folder)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise Denied(f"{name} is not an ordinary file", code="file.not_regular")
            if facts.st_size == 0:
                _give(descriptor, root.stat())
            if limit_bytes is None or facts.st_size < limit_bytes:
                file.write(data)


def empty_beneath(root: Path, steps: Sequence[str], name: str, *, above_bytes: int) -> None:
    """Empty a file below `root` that has grown beyond a size; one that is not there, or is a link, is left alone."""
    _check(name)
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with suppress(NotFound, Denied), folder_beneath(root, steps) as folder, _refusing(name):
        descriptor = os.open(name, flags, dir_fd=folder)
        try:
            if os.fstat(descriptor).st_size > above_bytes:
                os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)


def read_beneath(root: Path, steps: Sequence[str], name: str, limit_bytes: int) -> bytes:
    """A file's content below `root`.

    Raises:
        NotFound: it is not there.
        Denied: it, or something on the way, is a link or no ordinary file.
        Invalid: it is larger than `limit_bytes`.
    """
    _check(name)
    with folder_beneath(root, steps) as folder, _refusing(name):
        return read_regular(os.open(name, READ_FLAGS, dir_fd=folder), name, limit_bytes)


READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""For opening what may turn out to be a link, or a pipe that would block."""


def read_regular(descriptor: int, name: str, limit_bytes: int) -> bytes:
    """Read an open file to its end and close it.

    Raises:
        Denied: it is no ordinary file.
        Invalid: it is larger than `limit_bytes`.
    """
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Denied(f"{name} is not an ordinary file", code="file.not_regular")
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise Invalid(f"{name} is larger than {limit_bytes} bytes", code="file.too_large")
    return data


def names_beneath(root: Path, steps: Sequence[str]) -> list[str]:
    """What a folder below `root` holds; empty when it is not there.

    Raises:
        Denied: something on the way is no folder.
    """
    try:
        with folder_beneath(root, steps) as folder, os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries)
    except NotFound:
        return []


def size_beneath(root: Path, steps: Sequence[str]) -> int:
    """Bytes of the files directly inside a folder below `root`; 0 when it is not there or no folder."""
    with suppress(NotFound, Denied), folder_beneath(root, steps) as folder, os.scandir(folder) as entries:
        return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    return 0


def remove_beneath(root: Path, steps: Sequence[str], name: str) -> None:
    """Remove what is called `name` in a folder below `root`, with all it holds; links are removed, not followed."""
    _check(name)
    with suppress(NotFound, Denied), folder_beneath(root, steps) as folder:
        try:
            os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            return
        except OSError:  # a folder
            shutil.rmtree(name, ignore_errors=True, dir_fd=folder)


def _make(name: str, mode: int, parent: int) -> bool:
    """Make a folder; false when something is there already."""
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except FileExistsError:
        return False
    return True


def _give(descriptor: int, owner: os.stat_result) -> None:
    """As root, hand what was made to another user, who needs no open mode then (policy N16)."""
    if os.geteuid() == 0 and (owner.st_uid, owner.st_gid) != (0, 0):
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _check(name: str) -> None:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise Invalid(f"{name!r} is not the name of one file")


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Say what an OS error means to the caller."""
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"{what} is not there", code="file.not_found") from None
    except OSError as error:
        raise Denied(f"{what} cannot be used: {error.strerror}", code="file.refused") from None
