"""What agents remember: each group's CLAUDE.md, which the command line loads, and the global one for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nanoclaw.groups import Group
from shared.beneath import names_beneath, read_beneath, write_beneath
from shared.errors import GatewayError
from shared.gatewayclient.workspace import GLOBAL_DIR, GROUP_DIR
from shared.obs.log import get_logger

_log = get_logger(__name__)

MEMORY_FILE = "CLAUDE.md"
_GLOBAL_LIMIT_BYTES = 32_768

_FIRST = """\
# {name}

This file is loaded at the start of every conversation of this chat. Keep it short and true: what people here want
remembered, how they like to be answered, and where in {group_dir} longer notes lie. Change it with your file tools.

## Writing here

What you say is shown as Discord Markdown: **bold**, *italic*, `code`, fenced blocks with a language, > quotes, lists,
and headings of up to three #. Tables and images by link are not shown; use a list, or send a file.

## Notes

- Earlier conversations that were compacted lie in `conversations/`.
"""

_FIRST_GLOBAL = """\
# Memory of all groups

Every group's agent is told what stands here; only the main group's agent may change it. Keep it short.
"""


def first_memory(group: Group) -> str:
    """The memory file a new group begins with."""
    name = " ".join(group.name.split())[:100] or group.folder
    return _FIRST.format(name=name, group_dir=GROUP_DIR)


def shipped_memories(groups: Iterable[Group]) -> list[bytes]:
    """Every memory file as these groups began with it."""
    return [_FIRST_GLOBAL.encode(), *(first_memory(group).encode() for group in groups)]


def make_memory(folder: Path, text: str) -> bool:
    """Write a folder's memory file unless it has one; true when it was written. Blocks.

    Raises:
        Denied: the folder is none, or the name is taken by something else.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o750)
    if MEMORY_FILE in names_beneath(folder, []):
        return False
    write_beneath(folder, [], MEMORY_FILE, text.encode())
    return True


def make_group_memory(folder: Path, global_folder: Path, group: Group) -> None:
    """See to it that a group, and all groups together, have a memory file; a failure costs only the memory. Blocks."""
    try:
        make_memory(folder, first_memory(group))
        make_memory(global_folder, _FIRST_GLOBAL)
    except (GatewayError, OSError) as error:
        _log.warning("memory.not_made", group=group.folder, reason=str(error))


def global_memory(folder: Path) -> str:
    """What all groups are told, with where it stands; empty when there is nothing, or nothing that can be read.

    The main group's agent writes this file, so it is read with care.
    """
    try:
        text = read_beneath(folder, [], MEMORY_FILE, 1 << 20)[:_GLOBAL_LIMIT_BYTES].decode(errors="ignore").strip()
    except GatewayError:
        return ""
    return f"What follows is the memory of all groups, {GLOBAL_DIR}/{MEMORY_FILE}:\n\n{text}" if text else ""
