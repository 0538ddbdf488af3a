"""What both imports of original installations share: the report and its lines, and copying without overwriting."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Outcome = Literal["maps", "changes", "kept", "dropped", "refused"]
"""``maps`` as it was · ``changes`` in another form · ``kept`` ours is there and stays · ``dropped`` · ``refused``."""


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the report. Never a secret's value.

    Attributes:
        kind: such as ``group``, ``session``, ``files``, ``setting``, ``problem``.
        name: which one.
    """

    kind: str
    name: str
    outcome: Outcome
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What happened, or would happen."""

    items: tuple[Item, ...]
    dry_run: bool = False


def copy_new_files(source: Path, target: Path, *, skip: frozenset[str] = frozenset()) -> list[Item]:
    """Copy plain files that are not there yet; links and special files are left behind and named.

    Args:
        source: a folder.
        target: made when it is missing.
        skip: folders right below `source` that stay behind without a word.

    Returns:
        A line for everything that was not copied and is not at the target already.
    """
    problems = []
    target.mkdir(parents=True, exist_ok=True, mode=0o750)
    for place, relative in _walk(source, skip):
        goal = target / relative
        if place.is_symlink() or not (place.is_dir() or place.is_file()):
            problems.append(Item("files", str(place), "dropped", "a link or special file: only plain files are copied"))
        elif place.is_dir():
            goal.mkdir(exist_ok=True, mode=0o750)
        elif not os.path.lexists(goal):
            try:
                shutil.copyfile(place, goal, follow_symlinks=False)
                shutil.copystat(place, goal, follow_symlinks=False)
            except OSError as error:
                goal.unlink(missing_ok=True)
                problems.append(Item("files", str(place), "refused", f"not copied: {error.strerror}"))
    return problems


def _walk(root: Path, skip: frozenset[str]) -> Iterator[tuple[Path, Path]]:
    for place, folders, files in os.walk(root, followlinks=False):
        if Path(place) == root:
            folders[:] = [name for name in folders if name not in skip]
        for name in (*folders, *files):
            path = Path(place, name)
            yield path, path.relative_to(root)
