"""Skills: folders with a ``SKILL.md``. The model is told name, description and place; it reads the rest when needed."""

from __future__ import annotations

import json
import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from openclaw.agent.workspace.folder import Folder
from openclaw.agent.workspace.names import SKILLS
from shared.errors import GatewayError

_FILE: Final = "SKILL.md"
_MOST: Final = 100
_NAME_CHARS: Final = 64
_DESCRIPTION_CHARS: Final = 500
_HEAD_BYTES: Final = 256 * 1024
_FIELD = re.compile(r"([a-z][a-z-]*):[ \t]*(.*)")
_TRUE: Final = frozenset({"true", "yes", "on", "1"})


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill.

    Attributes:
        location: the path the agent reads it at.
        folder: where it lies.
        shown: the model is told of it.
        missing: what this machine lacks for it, in words; empty when it can be used.
        problem: why it cannot be read; empty when it can.
    """

    name: str
    description: str
    location: str
    folder: Path
    user_invocable: bool = True
    shown: bool = True
    missing: tuple[str, ...] = ()
    problem: str = ""


def list_skills(folders: Sequence[Path]) -> list[Skill]:
    """All skills, by name; of two in folders of the same name the one in the earlier place counts."""
    found: dict[str, Skill] = {}
    for place in folders:
        if not place.is_dir() or place.is_symlink():
            continue
        folder = Folder(place, read_only=True)
        for entry in sorted(place.iterdir())[:_MOST]:
            if entry.name not in found and entry.is_dir() and not entry.is_symlink():
                skill = _read(folder, entry)
                if skill is not None:
                    found[entry.name] = skill
    return sorted(found.values(), key=lambda skill: skill.name)[:_MOST]


def _read(folder: Folder, entry: Path) -> Skill | None:
    location = f"{SKILLS}/{entry.name}/{_FILE}"
    try:
        text = folder.read(f"{entry.name}/{_FILE}", most_bytes=_HEAD_BYTES).decode(errors="replace")
    except GatewayError as error:
        if error.code == "files.none":
            return None
        return Skill(entry.name, "", location, entry, shown=False, problem=error.detail)
    fields = frontmatter(text)
    if not fields.get("description"):
        problem = f"{_FILE} has no description: in its head, between two lines ---"
        return Skill(entry.name, "", location, entry, shown=False, problem=problem)
    missing = _missing(fields.get("metadata", ""))
    hidden = fields.get("disable-model-invocation", "").lower() in _TRUE
    return Skill(
        _one_line(fields.get("name") or entry.name, _NAME_CHARS),
        _one_line(fields["description"], _DESCRIPTION_CHARS),
        location,
        entry,
        user_invocable=fields.get("user-invocable", "true").lower() in _TRUE,
        shown=not hidden and not missing,
        missing=missing,
    )


def frontmatter(text: str) -> dict[str, str]:
    """The single-line fields between the two ``---`` at the top of a file."""
    lines = text.splitlines()
    if not lines or lines[0].strip() != "---":
        return {}
    fields: dict[str, str] = {}
    for line in lines[1:]:
        if line.strip() == "---":
            return fields
        if match := _FIELD.fullmatch(line):
            fields[match[1]] = match[2].strip().strip("\"'") if match[2][:1] != "{" else match[2].strip()
    return {}


def _missing(metadata: str) -> tuple[str, ...]:
    """What ``metadata`` requires and this machine lacks; environment and configuration are never looked into."""
    try:
        given: Any = json.loads(metadata) if metadata else {}
    except (ValueError, RecursionError):
        return ("its metadata is not JSON",)
    if isinstance(given, dict) and isinstance(given.get("openclaw"), dict):
        given = given["openclaw"]
    if not isinstance(given, dict) or given.get("always") is True:
        return ()
    requires = given.get("requires")
    needs: dict[str, Any] = requires if isinstance(requires, dict) else {}
    missing = [f"the program {name}" for name in _texts(needs.get("bins")) if shutil.which(name) is None]
    any_of = _texts(needs.get("anyBins"))
    if any_of and not any(shutil.which(name) for name in any_of):
        missing.append(f"one of the programs {', '.join(any_of)}")
    systems = _texts(given.get("os"))
    if systems and platform.system().lower() not in systems:
        missing.append(f"one of the systems {', '.join(systems)}")
    missing += [f"the variable {name}, which no tool is given" for name in _texts(needs.get("env"))]
    return tuple(missing)


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _one_line(text: str, limit: int) -> str:
    return " ".join(text.split())[:limit]


def skills_prompt(skills: Sequence[Skill]) -> str:
    """What the model is told about skills; empty when there is none."""
    lines = [f"- {skill.name} ({skill.location}): {skill.description}" for skill in skills if skill.shown]
    if not lines:
        return ""
    head = "Skills: instructions for particular work. Before such work, read the file named with the read tool."
    return "\n".join(["## Skills", "", head, "", *lines])
