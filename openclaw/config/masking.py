"""Secrets hidden on the way out and put back on the way in, by path and by name."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from openclaw.config.issues import Issue, Place, dotted
from openclaw.config.sections.base import REDACTED
from openclaw.config.shape import is_secret
from shared.config.json5 import Path

_NAMES: Final = re.compile(r"(token|secret|password|passphrase|api_?key|private_?key|credential)s?$", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"\$\{[A-Z_][A-Z0-9_]*\}")


def is_secret_value(path: Path, value: object) -> bool:
    """Whether this is a secret's own text; the name of a variable is none."""
    if not isinstance(value, str) or not value or _REFERENCE.fullmatch(value):
        return False
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    return bool(_NAMES.search(name)) or is_secret(path)


def secrets_in(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:  # noqa: ANN401 - any JSON value
    """Every secret's text with its path."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from secrets_in(item, (*path, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from secrets_in(item, (*path, position))
    elif is_secret_value(path, value):
        yield path, value


def masked(value: Any, path: Path = ()) -> Any:  # noqa: ANN401 - any JSON value
    """A copy with every secret hidden."""
    if isinstance(value, Mapping):
        return {name: masked(item, (*path, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item, (*path, position)) for position, item in enumerate(value)]
    return REDACTED if is_secret_value(path, value) else value


def masked_text(text: str, parsed: Mapping[str, Any]) -> str:
    """The file's own text with every secret hidden; written anew when one cannot be found in it."""
    secrets = sorted({secret for _, secret in secrets_in(parsed)}, key=len, reverse=True)
    for secret in secrets:
        inner = json.dumps(secret, ensure_ascii=False)[1:-1]
        for quote in "\"'":
            text = text.replace(f"{quote}{inner}{quote}", f"{quote}{REDACTED}{quote}")
    if any(secret in text for secret in secrets):
        return json.dumps(masked(parsed), indent=2, ensure_ascii=False) + "\n"
    return text


def restored(value: Any, kept: Any, place: Place) -> tuple[Any, list[Issue]]:  # noqa: ANN401 - any JSON value
    """A copy with every mark replaced by the secret that the file has at the same path."""
    issues: list[Issue] = []
    return _restored(value, kept, (), place, issues), issues


def _restored(value: Any, kept: Any, path: Path, place: Place, issues: list[Issue]) -> Any:  # noqa: ANN401
    if isinstance(value, Mapping):
        old = kept if isinstance(kept, Mapping) else {}
        return {name: _restored(item, old.get(name), (*path, name), place, issues) for name, item in value.items()}
    if isinstance(value, list):
        return [
            _restored(item, _counterpart(item, position, kept), (*path, position), place, issues)
            for position, item in enumerate(value)
        ]
    if value != REDACTED:
        return copy.deepcopy(value)
    if isinstance(kept, str) and kept and kept != REDACTED:
        return kept
    message = "holds the mark of a hidden secret, and the file has none there: give the real value"
    issues.append(Issue(dotted(path), message, place, key=dotted(path)))
    return value


def _counterpart(item: Any, position: int, kept: Any) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(kept, list):
        return None
    if isinstance(item, Mapping) and "id" in item:
        return next((old for old in kept if isinstance(old, Mapping) and old.get("id") == item["id"]), None)
    return kept[position] if position < len(kept) else None
