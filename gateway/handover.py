"""Giving what root left in a folder to the user it is for, where that user changes the folder meanwhile.

Whoever gets a folder can put a link, a pipe or another folder where one of its entries was, at any moment. So nothing
is done by path: an entry is opened without following links, looked at, and given away by its descriptor.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from shared.beneath import walk
from shared.errors import Denied
from shared.obs.log import get_logger

_log = get_logger(__name__)

_DEEPEST = 64
"""Folders below the first; each on the way is one open descriptor."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMED = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC  # opens nothing: a pipe does not block, a device does not notice


def hand_over(root: Path, steps: Sequence[str], uid: int, gid: int, *, at_most: int | None = None) -> None:
    """Give a folder, and the files and folders that root left in it, to a user; modes are not opened. As root only.

    A file of root's with a second name stays root's, since the other name may lie anywhere; links, pipes and devices
    stay as they are. What vanishes meanwhile is passed over.

    Args:
        root: a folder that only root changes.
        steps: names of the folders on the way down from it.
        uid: the new owner.
        gid: its group.
        at_most: entries that are looked at, so that nobody's tree keeps a start waiting; None for all.

    Raises:
        Denied: a link or something else stands where a folder should be.
    """
    try:
        with walk(root, steps) as folder:
            _Giver(uid, gid, at_most, str(root.joinpath(*steps))).give(folder)
    except OSError as error:
        where = root.joinpath(*steps)
        raise Denied(f"{where} cannot be handed over: {error.strerror}", code="file.refused") from None


class _Giver:
    def __init__(self, uid: int, gid: int, at_most: int | None, where: str) -> None:
        self._uid = uid
        self._gid = gid
        self._left = at_most
        self._where = where

    def give(self, folder: int) -> None:
        self._inside(folder, 0)
        # Last, so that a handing over that was cut short is seen by who owns the folder.
        os.fchown(folder, self._uid, self._gid)

    def _inside(self, folder: int, depth: int) -> None:
        with os.scandir(folder) as entries:
            for entry in entries:
                if self._left is not None:
                    if self._left <= 0:
                        return
                    self._left -= 1
                with suppress(FileNotFoundError):
                    self._entry(folder, entry.name, depth)

    def _entry(self, folder: int, name: str, depth: int) -> None:
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            return
        try:
            descriptor = os.open(name, _FOLDER if stat.S_ISDIR(mode) else _NAMED, dir_fd=folder)
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP}:  # exchanged since
                return
            raise
        try:
            facts = os.fstat(descriptor)
            if stat.S_IFMT(facts.st_mode) != stat.S_IFMT(mode):
                return
            if stat.S_ISDIR(facts.st_mode):
                if depth < _DEEPEST:
                    self._inside(descriptor, depth + 1)
                else:
                    _log.warning("handover.too_deep", folder=self._where, levels=_DEEPEST)
                if self._is_left(facts):
                    os.fchown(descriptor, self._uid, self._gid)
            elif self._is_left(facts):
                if facts.st_nlink == 1:
                    os.chown(f"/proc/self/fd/{descriptor}", self._uid, self._gid)  # this very file, by any name
                else:
                    _log.warning("handover.second_name", folder=self._where, name=name, names=facts.st_nlink)
        finally:
            os.close(descriptor)

    def _is_left(self, facts: os.stat_result) -> bool:
        return facts.st_uid == 0 and (facts.st_uid, facts.st_gid) != (self._uid, self._gid)
