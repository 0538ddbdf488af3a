"""One folder that an agent may read and write, and nothing outside it.

Paths are walked one name at a time with descriptors and without following links, so that neither ``..`` nor a link
that a command planted leads out, also when it is planted between check and use. Files are replaced whole or not at all.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shared.beneath import READ_FLAGS, TEMPORARY, replace_at, walk
from shared.errors import Denied, Invalid, NotFound, Unavailable

FILE_BYTES: Final = 2 * 1024 * 1024
"""Largest file that is read or written."""

LISTED: Final = 1000
_DEPTH: Final = 32
_NAME_BYTES: Final = 255
_PATH_CHARS: Final = 4096


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
        with self._opened(above, path) as folder:
            descriptor = os.open(name, READ_FLAGS, dir_fd=folder)
            try:
                mode = os.fstat(descriptor).st_mode
                if stat.S_ISDIR(mode):
                    raise Invalid(f"{path} is a folder", code="files.folder")
                if not stat.S_ISREG(mode):
                    raise Denied(f"{path} is not a plain file", code="files.kind")
                with os.fdopen(descriptor, "rb", closefd=False) as handle:
                    data = handle.read(most_bytes + 1)
            finally:
                os.close(descriptor)
        if len(data) > most_bytes:
            raise Invalid(f"{path} is larger than {most_bytes:,} bytes", code="files.large")
        return data

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
                if entry.name.startswith(TEMPORARY):
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
            try:
                replace_at(folder, name, data, mode=0o600)
            except OSError as error:
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
            os.unlink(name, dir_fd=folder)

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
        try:
            with walk(self.root, names, make_mode=0o700 if make else None) as folder:
                yield folder
        except OSError as error:
            raise _problem(error, path or ".") from None


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
