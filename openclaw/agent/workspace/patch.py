"""The ``apply_patch`` tool: several files changed by one patch, all of them or none.

The patch is read and tried on copies in memory first; only when every part fits are files written, and what was
written is put back when a later file cannot be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field

from openclaw.agent.tools import Arguments, Tool, ToolContext, make_tool
from openclaw.agent.workspace.folder import FILE_BYTES, Folder
from openclaw.agent.workspace.places import Places
from openclaw.agent.workspace.tools import text_of_file
from shared.errors import GatewayError, Invalid, NotFound
from shared.obs.log import get_logger

_log = get_logger(__name__)

_BEGIN, _END, _FILE_END = "*** Begin Patch", "*** End Patch", "*** End of File"
_ADD, _UPDATE, _DELETE, _MOVE = "*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: "
_MOST_FILES: Final = 50
_DESCRIPTION = (
    "Change files of the workspace by a patch; all of it is applied, or nothing. Format:\n"
    "*** Begin Patch\n*** Add File: a.txt\n+a line\n*** Update File: b.txt\n@@ a line before the change\n"
    " unchanged\n-old\n+new\n*** Delete File: c.txt\n*** End Patch\n"
    "After an Update line, '*** Move to: new.txt' renames the file."
)


@dataclass(slots=True)
class Chunk:
    """One place of a file that changes.

    Attributes:
        after: a line that comes before it; empty when none is named.
        old: lines that must be there, in order.
        new: what stands there afterwards.
        at_end: the place is the file's end.
    """

    after: str = ""
    old: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    at_end: bool = False


@dataclass(slots=True)
class Change:
    """What a patch does to one file; `lines` are a new file's."""

    kind: str
    path: str
    move_to: str = ""
    lines: list[str] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)


class PatchArguments(Arguments):
    """``apply_patch``."""

    input: Annotated[str, Field(min_length=1, max_length=FILE_BYTES, description="The whole patch.")]


class PatchTool:
    """Applies patches to a session's folder."""

    def __init__(self, places: Places) -> None:
        self._places = places

    @property
    def tool(self) -> Tool:
        """For the registry."""
        return make_tool("apply_patch", _DESCRIPTION, PatchArguments, self._apply, label="Apply patch", group="fs")

    async def _apply(self, given: PatchArguments, context: ToolContext) -> str:
        changes = parse_patch(given.input)
        for change in changes:
            for path in filter(None, (change.path, change.move_to)):
                self._places.changing(path, context)
        folder = self._places.folder(context.session_key)
        return await asyncio.to_thread(apply, folder, changes)


def parse_patch(text: str) -> list[Change]:
    """Read a patch.

    Raises:
        Invalid: it is none; the detail names the line.
    """
    lines = text.strip("\n").split("\n")
    if lines[0].strip() != _BEGIN or lines[-1].strip() != _END:
        raise Invalid(f"a patch begins with '{_BEGIN}' and ends with '{_END}'", code="patch.format")
    changes: list[Change] = []
    for number, line in enumerate(lines[1:-1], 2):
        if (change := _header(line)) is not None:
            changes.append(change)
        elif not changes:
            raise Invalid(f"line {number} of the patch belongs to no file: {line[:80]!r}", code="patch.format")
        else:
            _read_line(changes[-1], line, number)
    if not changes:
        raise Invalid("the patch changes nothing", code="patch.format")
    if len(changes) > _MOST_FILES:
        raise Invalid(f"a patch changes at most {_MOST_FILES} files", code="patch.format")
    return changes


def _header(line: str) -> Change | None:
    for kind, word in (("add", _ADD), ("update", _UPDATE), ("delete", _DELETE)):
        if line.startswith(word):
            return Change(kind, line.removeprefix(word).strip())
    return None


def _read_line(change: Change, line: str, number: int) -> None:
    if change.kind == "add" and line.startswith("+"):
        change.lines.append(line[1:])
    elif change.kind == "update" and line.startswith(_MOVE) and not change.chunks:
        change.move_to = line.removeprefix(_MOVE).strip()
    elif change.kind == "update" and (line == "@@" or line.startswith("@@ ")):
        change.chunks.append(Chunk(after=line[3:].strip()))
    elif change.kind == "update" and line.strip() == _FILE_END and change.chunks:
        change.chunks[-1].at_end = True
    elif change.kind == "update" and line[:1] in {" ", "-", "+", ""}:
        if not change.chunks:
            change.chunks.append(Chunk())
        if line[:1] in {" ", "-", ""}:
            change.chunks[-1].old.append(line[1:])
        if line[:1] in {" ", "+", ""}:
            change.chunks[-1].new.append(line[1:])
    else:
        raise Invalid(f"line {number} of the patch is not understood: {line[:80]!r}", code="patch.format")


def apply(folder: Folder, changes: Sequence[Change]) -> str:
    """Apply a patch, all of it or nothing; returns what was done.

    Raises:
        Invalid: a part does not fit; nothing was changed.
        Unavailable: the disk failed; what was written before is put back.
    """
    after: dict[str, bytes | None] = {}
    told = [_plan(folder, change, after) for change in changes]
    before = {path: _now(folder, path) for path in after}
    written: list[str] = []
    try:
        for path, data in after.items():
            written.append(path)
            _put(folder, path, data)
    except GatewayError:
        for path in written:
            try:
                _put(folder, path, before[path])
            except GatewayError as error:
                _log.warning("patch.not_put_back", path=path, reason=error.detail)
        raise
    return "\n".join(told)


def _plan(folder: Folder, change: Change, after: dict[str, bytes | None]) -> str:
    """Work one file's change out over what the patch did before; returns it in words."""
    path = "/".join(folder.names(change.path))
    current = after[path] if path in after else _now(folder, path)
    if change.kind == "add":
        if current is not None:
            raise Invalid(f"{path} exists already; nothing was changed", code="patch.exists")
        after[path] = "".join(f"{line}\n" for line in change.lines).encode(errors="replace")
        return f"added {path}"
    if current is None:
        raise Invalid(f"{path} does not exist; nothing was changed", code="patch.none")
    if change.kind == "delete":
        after[path] = None
        return f"deleted {path}"
    new = patched(text_of_file(current, path), change).encode(errors="replace")
    if not change.move_to:
        after[path] = new
        return f"updated {path}"
    target = "/".join(folder.names(change.move_to))
    taken = after[target] if target in after else _now(folder, target)
    if target != path and taken is not None:
        raise Invalid(f"{target} exists already; nothing was changed", code="patch.exists")
    after[path] = None
    after[target] = new
    return f"updated {path}, now {target}"


def patched(text: str, change: Change) -> str:
    """A file's text with all chunks of a change applied, in order.

    Raises:
        Invalid: the lines of a chunk are not there.
    """
    ends_open = bool(text) and not text.endswith("\n")
    lines = text.split("\n") if ends_open else text.split("\n")[:-1]
    result: list[str] = []
    position = 0
    for chunk in change.chunks:
        start = position
        if chunk.after:
            start = _find(lines, [chunk.after], position, change.path) + 1
        if chunk.old:
            start = _find(lines, chunk.old, start, change.path, at_end=chunk.at_end)
        elif chunk.at_end or not chunk.after:
            start = len(lines)
        result += [*lines[position:start], *chunk.new]
        position = start + len(chunk.old)
    result += lines[position:]
    return "\n".join(result) + ("\n" if result and not ends_open else "")


def _find(lines: Sequence[str], wanted: Sequence[str], start: int, path: str, *, at_end: bool = False) -> int:
    """Where lines stand; blanks at their ends, then around them, are forgiven."""
    last = len(lines) - len(wanted)
    for alike in (_exact, str.rstrip, str.strip):
        for index in _places(start, last, at_end=at_end):
            if all(alike(lines[index + n]) == alike(line) for n, line in enumerate(wanted)):
                return index
    shown = "\n".join(wanted[:5])
    raise Invalid(f"these lines are not in {path}, so nothing was changed:\n{shown}", code="patch.context")


def _exact(line: str) -> str:
    return line


def _places(start: int, last: int, *, at_end: bool) -> Iterator[int]:
    if at_end and last >= start:
        yield last
        return
    yield from range(start, last + 1)


def _now(folder: Folder, path: str) -> bytes | None:
    try:
        return folder.read(path)
    except NotFound:
        return None


def _put(folder: Folder, path: str, data: bytes | None) -> None:
    if data is not None:
        folder.write(path, data)
        return
    try:
        folder.remove(path)
    except NotFound:
        return
