"""What ``openclaw.json`` sets and nothing here acts on; it is named, never silently used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from openclaw.config.document import Document
from openclaw.config.issues import Issue, dotted
from openclaw.config.sections.root import OpenClawJson
from openclaw.config.settings import DEFAULTS, DISCORD, EXEC, HONOURED, SAME_AS, SETTINGS
from shared.config.json5 import Path


def unused(config: OpenClawJson, document: Document) -> list[Issue]:
    """Everything the file sets that this product does not act on, each with its place."""
    given = config.model_dump(by_alias=True, exclude_unset=True)
    found: list[Issue] = []
    _unused(given, (), document, found)
    return found


def _unused(value: Any, path: Path, document: Document, found: list[Issue]) -> None:  # noqa: ANN401
    covered = _covered(path)
    if covered == "no" or (path in SAME_AS and value != SAME_AS[path]):
        only = f"; only {SAME_AS[path]!r} exists here" if path in SAME_AS else ""
        message = f"is accepted and changes nothing: this product does not use it{only}"
        found.append(Issue(dotted(path), message, document.place_of(path)))
    elif covered == "part" and isinstance(value, Mapping):
        for name, item in value.items():
            _unused(item, (*path, name), document, found)
    elif covered == "part" and isinstance(value, list):
        for position, item in enumerate(value):
            _unused(item, (*path, position), document, found)


_INSIDE: Final[tuple[Path, ...]] = (
    (*DISCORD, "guilds", "*", "requireMention"),
    (*DISCORD, "guilds", "*", "users"),
    (*DISCORD, "guilds", "*", "roles"),
    *((*DISCORD, "guilds", "*", "channels", "*", name) for name in ("requireMention", "users", "roles")),
    (*DISCORD, "guilds", "*", "channels", "*", "allow"),
    (*DISCORD, "guilds", "*", "channels", "*", "enabled"),
    (*EXEC, "safeBinProfiles", "*", "deniedFlags"),
)
_OPENED: Final = ((*DISCORD, "guilds"), (*EXEC, "safeBinProfiles"))
_ACTED_ON: Final = (*(setting.path for setting in SETTINGS if setting.path not in _OPENED), *HONOURED, *_INSIDE)


def _covered(path: Path) -> str:
    """``all`` of it is acted on, ``part`` of what is below may be, or ``no``."""
    for known in _ACTED_ON:
        length = min(len(known), len(path))
        if all(k in ("*", p) for k, p in zip(known[:length], path[:length], strict=True)):
            return "all" if len(path) >= len(known) else "part"
    if path == (*DEFAULTS, "model"):
        return "all"
    return "no"


def is_used(path: Path) -> bool:
    """Whether a path of the schema (``*`` for any name), or something below it, is acted on."""
    return _covered(path) != "no"
