"""Taking bits off a mode where an agent may exchange what is there between the plan and the deed.

Every step of the way is opened without following links, and only the very file that was planned for is changed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from shared.beneath import walk

_NAMED = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_PERMISSIONS = 0o777


@dataclass(frozen=True, slots=True)
class Tightening:
    """A mode as it was found and as it is to be.

    Attributes:
        root: of what lies below it nothing is reached through a link.
        place: whose mode it is.
        identity: device and inode that were looked at.
        found: all bits of the mode.
        wanted: the mode it gets; nothing that runs as its owner, whatever it was.
    """

    root: Path
    place: Path
    identity: tuple[int, int]
    found: int
    wanted: int

    @classmethod
    def planned(cls, state: Path, place: Path, bits: int) -> Tightening | None:
        """What is to be done about a file or folder; None when nothing is, or when it is not a program's to decide.

        A link is left alone, and a file with a second name, which may be somebody's elsewhere.

        Args:
            state: the installation's folder; what lies elsewhere is the operator's own.
            place: what is too open.
            bits: that it must not have.
        """
        root = state if place != state and place.is_relative_to(state) else place.parent
        with suppress(OSError), _named(root, place) as descriptor:
            facts = os.fstat(descriptor)
            found = stat.S_IMODE(facts.st_mode)
            if _is_plain(facts) and found & bits:
                keep = _PERMISSIONS | (stat.S_ISVTX if stat.S_ISDIR(facts.st_mode) else 0)
                return cls(root, place, (facts.st_dev, facts.st_ino), found, found & ~bits & keep)
        return None

    def apply(self) -> None:
        """Set the mode; done already is done.

        Raises:
            OSError: it is not there, or not what was planned for any more; nothing was changed.
        """
        self._set(self.found, self.wanted)

    def take_back(self) -> None:
        """Set the mode as it was found, less what runs as its owner; raises `OSError` as `apply` does."""
        self._set(self.wanted, self.found & (_PERMISSIONS | stat.S_ISVTX))

    def _set(self, known: int, mode: int) -> None:
        with _named(self.root, self.place) as descriptor:
            facts = os.fstat(descriptor)
            if not _is_plain(facts) or (facts.st_dev, facts.st_ino) != self.identity:
                raise OSError(errno.ESTALE, "is another file now", str(self.place))
            if (now := stat.S_IMODE(facts.st_mode)) == mode:
                return
            if now != known:
                raise OSError(errno.ESTALE, "has another mode now", str(self.place))
            os.chmod(f"/proc/self/fd/{descriptor}", mode)  # noqa: PTH101 - this very file, by any name


def _is_plain(facts: os.stat_result) -> bool:
    return stat.S_ISDIR(facts.st_mode) or (stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1)


@contextmanager
def _named(root: Path, place: Path) -> Iterator[int]:
    """A descriptor that names what is at a place, and opens nothing."""
    with walk(root, place.parent.relative_to(root).parts) as folder:
        descriptor = os.open(place.name, _NAMED, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
