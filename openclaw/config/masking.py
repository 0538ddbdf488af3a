"""Secrets hidden on the way out and put back on the way in, by path and by name."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from openclaw.config.issues import Issue, Place, dotted
from openclaw.config.sections.base import REDACTED
from openclaw.config.shape import is_secret, nodes_at, words
from shared.config.json5 import Json5Error, Path, parse_json5

_NAMES: Final = re.compile(r"(token|secret|password|passphrase|api_?key|private_?key|credential)s?$", re.IGNORECASE)
_REFERENCE: Final = re.compile(r"\$\{[A-Z_][A-Z0-9_]*\}")
LITERAL: Final = re.compile(
    r"""(?P<remark>//[^\n]*|/\*.*?\*/)|(?P<quote>["'])(?:\\.|(?!(?P=quote))[^\\])*(?P=quote)(?P<name>\s*:)?""",
    re.DOTALL,
)

Hides = Callable[[Path, object], bool]
"""Whether the value at a path is hidden."""


def is_secret_value(path: Path, value: object) -> bool:
    """Whether this is a secret's own text; the name of a variable is none."""
    if not isinstance(value, str) or not value or _REFERENCE.fullmatch(value):
        return False
    name = next((part for part in reversed(path) if isinstance(part, str)), "")
    return bool(_NAMES.search(name)) or is_secret(path)


def may_be_secret(path: Path, value: object) -> bool:
    """The same for a file that is not valid: what stands where the schema knows nothing may be a misspelt secret.

    One of the schema's own words, such as ``pairing``, is none.
    """
    if is_secret_value(path, value):
        return True
    is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
    return is_text and value not in words() and not _REFERENCE.fullmatch(str(value)) and not nodes_at(path)


def secrets_in(value: Any, path: Path = (), hides: Hides = is_secret_value) -> Iterator[tuple[Path, Any]]:  # noqa: ANN401
    """Every hidden value with its path."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from secrets_in(item, (*path, name), hides)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from secrets_in(item, (*path, position), hides)
    elif value != REDACTED and hides(path, value):
        yield path, value


def masked(value: Any, path: Path = (), hides: Hides = is_secret_value) -> Any:  # noqa: ANN401 - any JSON value
    """A copy with every secret hidden."""
    if isinstance(value, Mapping):
        return {name: masked(item, (*path, name), hides) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(item, (*path, position), hides) for position, item in enumerate(value)]
    return REDACTED if hides(path, value) else value


def masked_text(text: str, parsed: Mapping[str, Any], hides: Hides = is_secret_value) -> str:
    """The file's own text with every secret hidden; written anew when one is not between quotes in it."""
    hidden = {value for _, value in secrets_in(parsed, hides=hides)}
    shown = LITERAL.sub(lambda match: _hidden_literal(match, hidden), text)
    secrets = [value for _, value in secrets_in(parsed)]
    if any(secret in shown for secret in secrets) or _still_told(shown, hides):
        return json.dumps(masked(parsed, hides=hides), indent=2, ensure_ascii=False) + "\n"
    return shown


def _hidden_literal(match: re.Match[str], hidden: set[Any]) -> str:
    if match["remark"] or match["name"]:
        return match[0]
    try:
        value = parse_json5(match[0]).value
    except Json5Error:
        return match[0]
    return f"{match['quote']}{REDACTED}{match['quote']}" if value in hidden else match[0]


def _still_told(text: str, hides: Hides) -> bool:
    """Whether a text has something in it that is to be hidden, however it is written there."""
    try:
        return any(True for _ in secrets_in(parse_json5(text).value, hides=hides))
    except Json5Error:
        return True


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
