"""The file tools: ``read``, ``write`` and ``edit``, inside the session's folder alone."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from pydantic import Field

from openclaw.agent.tools import Arguments, Tool, ToolContext, make_tool
from openclaw.agent.workspace.folder import FILE_BYTES, Folder
from openclaw.agent.workspace.places import Places
from shared.errors import Invalid

_LINES: Final = 2000
_CHARS: Final = 20_000
_PATH = "Relative to the workspace."
PathText = Annotated[str, Field(min_length=1, max_length=4096, description=_PATH)]
FileText = Annotated[str, Field(max_length=FILE_BYTES)]


class ReadArguments(Arguments):
    """``read``."""

    path: PathText
    offset: Annotated[int, Field(ge=1, description="First line; 1 when left out.")] = 1
    limit: Annotated[int, Field(ge=1, le=_LINES, description="How many lines.")] = _LINES


class WriteArguments(Arguments):
    """``write``."""

    path: PathText
    content: FileText


class EditArguments(Arguments):
    """``edit``."""

    path: PathText
    old_text: Annotated[FileText, Field(min_length=1, description="Must be there exactly once, blanks included.")]
    new_text: FileText


class FileTools:
    """Reads and changes files of a session's folder."""

    def __init__(self, places: Places) -> None:
        self._places = places

    @property
    def tools(self) -> tuple[Tool, ...]:
        """For the registry."""
        return (
            make_tool(
                "read",
                "Read a text file of the workspace, or list a folder. Long files come in parts.",
                ReadArguments,
                self._read,
                label="Read",
                group="fs",
            ),
            make_tool(
                "write",
                "Write a whole text file of the workspace; folders above it are made.",
                WriteArguments,
                self._write,
                label="Write",
                group="fs",
            ),
            make_tool(
                "edit",
                "Replace one piece of text in a file of the workspace; the old text must be there exactly once.",
                EditArguments,
                self._edit,
                label="Edit",
                group="fs",
            ),
        )

    async def _read(self, given: ReadArguments, context: ToolContext) -> str:
        folder, path = self._places.reading(given.path, context)
        return await asyncio.to_thread(_read, folder, path, given)

    async def _write(self, given: WriteArguments, context: ToolContext) -> str:
        folder, path = self._places.changing(given.path, context)
        data = given.content.encode(errors="replace")
        is_new = await asyncio.to_thread(folder.write, path, data)
        return f"{path}: {'written anew' if is_new else 'replaced'}, {len(data)} bytes"

    async def _edit(self, given: EditArguments, context: ToolContext) -> str:
        folder, path = self._places.changing(given.path, context)
        return await asyncio.to_thread(_edit, folder, path, given)


def text_of_file(data: bytes, path: str) -> str:
    """A file's text.

    Raises:
        Invalid: it is not text.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Invalid(f"{path} is not a text file", code="files.binary") from None
    if "\0" in text:
        raise Invalid(f"{path} is not a text file", code="files.binary")
    return text


def _read(folder: Folder, path: str, given: ReadArguments) -> str:
    if folder.is_folder(path):
        return "\n".join(folder.listing(path)) or "the folder is empty"
    lines = text_of_file(folder.read(path), path).splitlines(keepends=True)
    if not lines:
        return "the file is empty"
    if given.offset > len(lines):
        raise Invalid(f"{path} has {len(lines)} lines only", code="files.offset")
    shown: list[str] = []
    size = 0
    for line in lines[given.offset - 1 : given.offset - 1 + given.limit]:
        if shown and size + len(line) > _CHARS:
            break
        shown.append(line)
        size += len(line)
    end = given.offset - 1 + len(shown)
    text = "".join(shown)
    if end < len(lines) or given.offset > 1:
        more = f"; go on with offset={end + 1}" if end < len(lines) else ""
        text = f"{text.rstrip(chr(10))}\n[lines {given.offset} to {end} of {len(lines)}{more}]"
    return text


def _edit(folder: Folder, path: str, given: EditArguments) -> str:
    text = text_of_file(folder.read(path), path)
    count = text.count(given.old_text)
    if count != 1:
        problem = "is not in" if count == 0 else f"is {count} times in"
        raise Invalid(f"the old text {problem} {path}; nothing was changed", code="files.edit")
    folder.write(path, text.replace(given.old_text, given.new_text).encode(errors="replace"))
    line = text[: text.index(given.old_text)].count("\n") + 1
    return f"{path}: changed at line {line}"
