"""Files on their way out: copied before their message is stored, removed once the platform has them."""

from __future__ import annotations

import asyncio
import os
import unicodedata
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from shared.beneath import READ_FLAGS, read_regular
from shared.channels.base import OutboundFile
from shared.errors import Denied, Invalid, Unavailable
from shared.ids import new_id
from shared.obs.log import get_logger
from shared.secrets.files import write_private

_log = get_logger(__name__)

MAX_FILES = 10
"""Files of one message. Source: Discord's limit."""
MAX_FILE_BYTES = 10 * 1024 * 1024
"""Bytes of one file. Source: Discord's default upload limit."""
MAX_TOTAL_BYTES = 24 * 1024 * 1024
"""Bytes of all files of a message. Source: Discord's limit of 25 MiB for a request, less room for the rest of it."""
_NAME_LIMIT = 120


@dataclass(frozen=True, slots=True)
class SpooledFile:
    """A copy that waits for its message to be delivered.

    Attributes:
        name: what people see.
        kept_as: its name in the spool.
    """

    name: str
    kept_as: str
    size_bytes: int


def shown_name(name: str) -> str:
    """A file name that says nothing about folders and hides nothing: no separators, no control characters."""
    base = name.replace("\\", "/").rpartition("/")[2]
    clean = "".join("_" if unicodedata.category(c)[0] == "C" else c for c in base).strip() or "file"
    stem, dot, ending = clean.rpartition(".")
    if len(clean) <= _NAME_LIMIT or not dot:
        return clean[:_NAME_LIMIT]
    ending = ending[:20]
    return f"{stem[: _NAME_LIMIT - len(ending) - 1]}.{ending}"


def _check(sizes: Sequence[int]) -> None:
    """Refuse what no message can carry.

    Args:
        sizes: bytes of each file.

    Raises:
        Invalid: too many files, or all together too large.
    """
    if len(sizes) > MAX_FILES:
        raise Invalid(f"{len(sizes)} files are too many for one message: at most {MAX_FILES}", code="files.too_many")
    if (total := sum(sizes)) > MAX_TOTAL_BYTES:
        raise Invalid(
            f"the files of one message are {_mib(total)} together: at most {_mib(MAX_TOTAL_BYTES)}; "
            "send them in several messages",
            code="files.too_large",
        )


def read_files(files: Iterable[OutboundFile]) -> list[tuple[str, bytes]]:
    """Names and contents of files; blocks, so call it in a thread.

    Raises:
        Invalid: one cannot be read, is no ordinary file or too large, they are too many or too large together.
    """
    files = list(files)
    _check([0] * len(files))
    read = list[tuple[str, bytes]]()
    for file in files:
        name = shown_name(file.name)
        try:
            data = read_regular(os.open(file.path, READ_FLAGS), name, MAX_FILE_BYTES)
        except FileNotFoundError:
            raise Invalid(f"the file {name} is gone: it was to be read from {file.path}", code="files.gone") from None
        except OSError as error:
            raise Invalid(f"the file {name} cannot be read: {error.strerror}", code="files.unreadable") from None
        except Invalid:
            raise Invalid(
                f"the file {name} is larger than {_mib(MAX_FILE_BYTES)}, the most that can be sent",
                code="files.too_large",
            ) from None
        except Denied as error:
            raise Invalid(f"the file {name} cannot be sent: {error.detail}", code="files.refused") from None
        read.append((name, data))
        _check([len(data) for _, data in read])
    return read


class Spool:
    """The folder of the copies.

    Args:
        folder: the tenant's own; None where no files are sent.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._fresh: set[str] = set()

    async def take(self, files: Sequence[OutboundFile]) -> tuple[SpooledFile, ...]:
        """Copy files, durably; tell `settle` afterwards which of them a stored message has.

        Raises:
            Invalid: see `read_files`.
        """
        if not files:
            return ()
        if self._folder is None:
            raise Invalid("files cannot be sent from here", code="files.no_spool")
        names = [new_id("file") for _ in files]
        self._fresh.update(names)
        try:
            return await asyncio.to_thread(_copy, self._folder, names, files)
        except BaseException:
            self._drop(names)
            raise

    def settle(self, taken: Iterable[SpooledFile], stored: Iterable[SpooledFile]) -> None:
        """The message of `taken` is in the store, or was there before; what it does not have is dropped."""
        needed = {file.kept_as for file in stored}
        self._fresh.difference_update(file.kept_as for file in taken)
        self._drop([file.kept_as for file in taken if file.kept_as not in needed])

    def outbound(self, files: Iterable[SpooledFile]) -> tuple[OutboundFile, ...]:
        """The copies as a channel takes them."""
        if self._folder is None:
            return ()
        return tuple(OutboundFile(file.name, self._folder / file.kept_as) for file in files)

    def drop(self, files: Iterable[SpooledFile]) -> None:
        """Remove copies that are not needed any more."""
        self._drop([file.kept_as for file in files])

    async def sweep(self, needed: Callable[[], Awaitable[frozenset[str]]]) -> None:
        """Remove copies that no stored message needs: a crash left them.

        Args:
            needed: asks the store; called after the folder was read, so that a copy being stored meanwhile is safe.
        """
        if self._folder is None or not self._folder.is_dir():
            return
        found = await asyncio.to_thread(os.listdir, self._folder)
        busy = frozenset(self._fresh)
        wanted = await needed()
        if left := [name for name in found if name not in busy and name not in wanted]:
            _log.info("spool.swept", files=len(left))
            self._drop(left)

    def _drop(self, names: Iterable[str]) -> None:
        for name in names:
            self._fresh.discard(name)
            if self._folder is not None:
                with suppress(OSError):
                    (self._folder / name).unlink()


def _copy(folder: Path, names: Sequence[str], files: Sequence[OutboundFile]) -> tuple[SpooledFile, ...]:
    read = read_files(files)
    for kept_as, (_, data) in zip(names, read, strict=True):
        try:
            write_private(folder / kept_as, data)
        except OSError as error:
            raise Unavailable(f"the file cannot be kept for sending: {error.strerror}", code="storage.write") from None
    return tuple(SpooledFile(name, kept, len(data)) for kept, (name, data) in zip(names, read, strict=True))


def _mib(size: int) -> str:
    return f"{size / (1024 * 1024):.1f} MiB"
