"""One folder that an agent may read and write, and nothing outside it.

Paths are walked one name at a time with descriptors and without following links, so that neither ``..`` nor a link
that a command planted leads out, also when it is planted between check and use. Files are replaced whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shared.errors import Denied, Invalid, NotFound, Unavailable

FILE_BYTES: Final = 2 * 1024 * 1024
"""Largest file that is read or written."""

LISTED: Final = 1000
_DEPTH: Final = 32
_NAME_BYTES: Final = 255
_PATH_CHARS: Final = 4096
_NO_FOLLOW = os.O_NOFOLLOW | os.O_CLOEXEC
_TEMPORARY: Final = ".part-"


class Folder:
    """A root and the only ways to what lies below it.

    Args:
        root: made when it is not there; it and everything above it belong to us.
        read_only: refuse every change.
    """

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root = root
        self.read_only = read_only

    def names(self, path: str) -> tuple[str, ...]:
        """The names a path consists of; an absolute path counts when it lies below the root as it is written.

        Raises:
            Denied: it leads out of the folder.
            Invalid: it is no path.
        """
        if len(path) > _PATH_CHARS or any(ord(character) < ord(" ") for character in path):
            raise Invalid("the path is too long or holds a control character", code="files.path")
        if path.startswith(("~", "/")):
            below = path.removeprefix(f"{self.root}/")
            if below == path and path != str(self.root):
                raise Denied("only files of the workspace can be reached; write a relative path", code="files.outside")
            path = "" if path == str(self.root) else below
        names = tuple(name for name in path.split("/") if name not in {"", "."})
        if ".." in names:
            raise Denied("'..' is not allowed: only files of the workspace can be reached", code="files.outside")
        if len(names) > _DEPTH or any(len(os.fsencode(name)) > _NAME_BYTES for name in names):
            raise Invalid("the path is nested too deeply, or a name is too long", code="files.path")
        return names

    def read(self, path: str, *, most_bytes: int = FILE_BYTES) -> bytes:
        """A whole file.

        Raises:
            NotFound: it is not there.
            Denied: a link, or something that is no file.
            Invalid: it is a folder, or too large.
        """
        *above, name = self._file(path)
        with self._opened(above, path) as folder, _open(name, os.O_RDONLY | os.O_NONBLOCK, folder, path) as descriptor:
            facts = os.fstat(descriptor)
            if stat.S_ISDIR(facts.st_mode):
                raise Invalid(f"{path} is a folder", code="files.folder")
            if not stat.S_ISREG(facts.st_mode):
                raise Denied(f"{path} is not a plain file", code="files.kind")
            if facts.st_size > most_bytes:
                raise Invalid(f"{path} is larger than {most_bytes:,} bytes", code="files.large")
            with os.fdopen(os.dup(descriptor), "rb") as handle:
                return handle.read(most_bytes)

    def is_folder(self, path: str) -> bool:
        """Whether a folder, and no link to one, is there."""
        try:
            with self._opened(list(self.names(path)), path):
                return True
        except (NotFound, Denied, Invalid):
            return False

    def listing(self, path: str) -> list[str]:
        """Names in a folder, sorted, folders with a ``/``, links with a ``@``; at most `LISTED`."""
        with self._opened(list(self.names(path)), path) as folder, os.scandir(folder) as entries:
            found = []
            for entry in entries:
                if entry.name.startswith(_TEMPORARY):
                    continue
                mark = "@" if entry.is_symlink() else "/" if entry.is_dir(follow_symlinks=False) else ""
                found.append(entry.name + mark)
                if len(found) >= LISTED:
                    break
        return sorted(found)

    def write(self, path: str, data: bytes) -> bool:
        """Put a file there, whole; folders above it are made. True when it is new.

        Raises:
            Denied: a link is in the way, or the folder is read-only.
            Invalid: a folder is in the way, or it is too large.
            Unavailable: the disk does not take it.
        """
        self._may_change()
        if len(data) > FILE_BYTES:
            raise Invalid(f"{path} would be larger than {FILE_BYTES:,} bytes", code="files.large")
        *above, name = self._file(path)
        with self._opened(above, path, make=True) as folder:
            known = _kind(name, folder)
            if known is not None and not stat.S_ISREG(known):
                raise Denied(f"{path} is not a plain file", code="files.kind")
            temporary = f"{_TEMPORARY}{secrets.token_hex(6)}"
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW
                descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
                with os.fdopen(descriptor, "wb") as handle:
                    handle.write(data)
                    handle.flush()
                    os.fsync(handle.fileno())
                os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise Unavailable(f"{path} could not be written: {error.strerror}", code="files.write") from None
            return known is None

    def remove(self, path: str) -> None:
        """Delete a file; a link is deleted itself.

        Raises:
            NotFound: it is not there.
        """
        self._may_change()
        *above, name = self._file(path)
        with self._opened(above, path) as folder:
            try:
                os.unlink(name, dir_fd=folder)
            except OSError as error:
                raise _problem(error, path) from None

    def _may_change(self) -> None:
        if self.read_only:
            raise Denied("these files can be read and not changed", code="files.read_only")

    def _file(self, path: str) -> tuple[str, ...]:
        names = self.names(path)
        if not names:
            raise Invalid("a file's path is needed", code="files.path")
        return names

    @contextmanager
    def _opened(self, names: list[str], path: str, *, make: bool = False) -> Iterator[int]:
        """A descriptor of a folder below the root."""
        if make:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW
        try:
            descriptor = os.open(self.root, flags)
        except OSError as error:
            raise _problem(error, path or ".") from None
        try:
            for name in names:
                try:
                    if make:
                        with contextlib.suppress(FileExistsError):
                            os.mkdir(name, 0o700, dir_fd=descriptor)
                    below = os.open(name, flags, dir_fd=descriptor)
                except OSError as error:
                    raise _problem(error, path) from None
                os.close(descriptor)
                descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


@contextmanager
def _open(name: str, flags: int, folder: int, path: str) -> Iterator[int]:
    try:
        descriptor = os.open(name, flags | _NO_FOLLOW, dir_fd=folder)
    except OSError as error:
        raise _problem(error, path) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _kind(name: str, folder: int) -> int | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except OSError:
        return None


def _problem(error: OSError, path: str) -> NotFound | Denied | Invalid | Unavailable:
    if error.errno == errno.ENOENT:
        return NotFound(f"{path} does not exist", code="files.none")
    if error.errno in {errno.ELOOP, errno.EMLINK}:
        return Denied(f"{path} is a link, or leads over one, and links are not followed", code="files.link")
    if error.errno == errno.ENOTDIR:
        return Denied(f"{path} leads over something that is no folder", code="files.link")
    if error.errno == errno.EISDIR:
        return Invalid(f"{path} is a folder", code="files.folder")
    return Unavailable(f"{path}: {error.strerror}", code="files.io")
