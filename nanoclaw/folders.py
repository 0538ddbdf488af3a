"""A group's folder as its agent names it; see `shared.beneath` for why nothing here works with plain paths."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from shared.beneath import names_beneath, write_beneath
from shared.errors import Conflict, Denied, Invalid
from shared.gatewayclient.workspace import GROUP_DIR

_NAMES_TRIED = 100


def inner_path(text: str) -> PurePosixPath:
    """A path as an agent writes it, relative to its group's folder.

    Raises:
        Invalid: it is empty.
        Denied: it does not lie inside the folder.
    """
    if not text or "\0" in text:
        raise Invalid(f"the path is empty or holds a zero byte: name a file in {GROUP_DIR}")
    path = PurePosixPath(text)
    if path.is_absolute():
        if not path.is_relative_to(GROUP_DIR):
            raise Denied(f"{text!r} is outside {GROUP_DIR}: copy the file into your working directory first")
        path = path.relative_to(GROUP_DIR)
    if ".." in path.parts or not path.parts:
        raise Denied(f"{text!r} is not a file inside {GROUP_DIR}: name it without '..'")
    return path


def write_new(folder: Path, subfolder: str, name: str, text: str) -> str:
    """Write a file into a folder below a group's, under a numbered name when the name is taken; returns the name.

    Raises:
        Denied: the subfolder is no folder.
        Conflict: the name and a hundred like it are taken.
    """
    taken = set(names_beneath(folder, [subfolder]))
    stem, ending = PurePosixPath(name).stem, PurePosixPath(name).suffix
    for number in range(1, _NAMES_TRIED + 1):
        free = name if number == 1 else f"{stem}-{number}{ending}"
        if free not in taken:
            write_beneath(folder, [subfolder], free, text.encode())
            return free
    raise Conflict(f"there are {_NAMES_TRIED} files like {name} already")
