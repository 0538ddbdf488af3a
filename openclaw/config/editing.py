"""Changing one value of a configuration: paths as commands take them, and values put where they belong; pure.

Source: reference OpenClaw features §2.3. Digits in a path mean a position only where the schema has a list, so that a
server's numeric id works on a fresh file; quotes in brackets are not part of the name.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from openclaw.config.document import INCLUDE
from openclaw.config.issues import dotted
from openclaw.config.shape import takes_list
from shared.config.json5 import Json5Error, Path, parse_json5
from shared.errors import Invalid, NotFound

_FORBIDDEN: Final = frozenset({"__proto__", "constructor", "prototype"})
_MAX_ITEMS: Final = 10_000


def parse_path(text: str) -> Path:
    r"""``a.b[c].d`` as its parts; ``\`` takes the next character as it is, quotes inside brackets are dropped.

    Raises:
        Invalid: an empty part, a bracket that does not close, or a name that must not exist.
    """
    parts: list[str] = []
    current = ""
    after_bracket = False
    at = 0
    while at < len(text):
        char = text[at]
        if char == "\\" and at + 1 < len(text):
            current += text[at + 1]
            at += 2
            continue
        if char == ".":
            if not after_bracket or current:
                parts.append(current)
            current, after_bracket = "", False
        elif char == "[":
            if current:
                parts.append(current)
            current = ""
            end = text.find("]", at)
            if end < 0:
                raise Invalid(f"{text!r}: the [ is never closed", code="config.path")
            parts.append(_bare(text[at + 1 : end]))
            at, after_bracket = end, True
        else:
            current += char
        at += 1
    if current or not after_bracket:
        parts.append(current)
    parts = [part.strip() for part in parts]
    if not all(parts):
        raise Invalid(f"{text!r} has an empty part: write it as channels.discord.enabled", code="config.path")
    for part in parts:
        if part in _FORBIDDEN:
            raise Invalid(f"Invalid path segment: {part}", code="config.path")
    return tuple(parts)


def _bare(text: str) -> str:
    text = text.strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def parse_value(text: str, *, strict: bool) -> Any:  # noqa: ANN401 - any JSON value
    """A value typed on a command line: JSON5 where it is, else (unless `strict`) the text itself.

    Raises:
        Invalid: `strict`, and it is not JSON5.
    """
    try:
        return parse_json5(text).value
    except Json5Error as error:
        if strict:
            raise Invalid(f"Failed to parse JSON5 value: {error.detail}", code="config.value") from None
        return text


def get_value(values: Any, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """The value at a path.

    Raises:
        NotFound: there is none.
    """
    node = values
    for part in path:
        node = _child(node, part, path)
    return node


def _child(node: Any, part: str | int, path: Path) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(node, Mapping) and part in node:
        return node[part]
    if isinstance(node, list) and (position := _position(part)) is not None and position < len(node):
        return node[position]
    raise NotFound(f"Config path not found: {dotted(path)}", code="config.path_missing")


def _position(part: str | int) -> int | None:
    if isinstance(part, int):
        return part
    return int(part) if part.isascii() and part.isdigit() and len(part) < 8 else None


def set_value(values: Mapping[str, Any], path: Path, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """A copy with one value set; objects and lists on the way are made as the schema has them.

    Raises:
        Invalid: something else is in the way, or a list would get a hole.
    """
    result: dict[str, Any] = copy.deepcopy(dict(values))
    node: Any = result
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        here = path[: depth + 1]
        fresh: Any = value if last else ([] if takes_list(here) else {})
        if isinstance(node, dict):
            if last or part not in node:
                node[str(part)] = fresh
            node = node[str(part)]
        elif isinstance(node, list):
            node = _set_item(node, part, fresh, here, replace=last)
        else:
            raise Invalid(f"{dotted(here[:-1])} is {node!r}, which has nothing below it", code="config.path")
    return result


def _set_item(node: list[Any], part: str | int, fresh: Any, here: Path, *, replace: bool) -> Any:  # noqa: ANN401
    position = _position(part)
    if position is None or position > len(node) or position > _MAX_ITEMS:
        raise Invalid(f"{dotted(here)}: a list of {len(node)}; the next position is {len(node)}", code="config.path")
    if position == len(node):
        node.append(fresh)
    elif replace:
        node[position] = fresh
    return node[position]


def unset_value(values: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A copy without one value.

    Raises:
        NotFound: there is none.
    """
    result: dict[str, Any] = copy.deepcopy(dict(values))
    node: Any = result
    for part in path[:-1]:
        node = _child(node, part, path)
    _child(node, path[-1], path)
    if isinstance(node, list):
        del node[int(path[-1])]
    else:
        del node[path[-1]]
    return result


def merge_patch(values: Any, patch: Any) -> Any:  # noqa: ANN401 - any JSON value
    """A JSON merge patch (RFC 7396), but that lists of objects with an ``id`` are merged by it.

    Source: reference gateway §14.
    """
    if isinstance(patch, Mapping):
        result = dict(values) if isinstance(values, Mapping) else {}
        for key, item in patch.items():
            if item is None:
                result.pop(key, None)
            else:
                result[key] = merge_patch(result.get(key), item)
        return result
    if isinstance(patch, list) and isinstance(values, list) and _have_ids(patch) and _have_ids(values):
        found = {item["id"]: item for item in values}
        for item in patch:
            found[item["id"]] = merge_patch(found.get(item["id"], {}), item)
        return list(found.values())
    return copy.deepcopy(patch)


def _have_ids(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, Mapping) and isinstance(item.get("id"), str) for item in items)


def differences(old: Any, new: Any, path: Path = ()) -> list[tuple[Path, Any, Any]]:  # noqa: ANN401 - any JSON value
    """Paths whose values differ, each with both values (None where there is none), in the order of the files."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        found = []
        for key in dict.fromkeys((*old, *new)):
            found += differences(old.get(key), new.get(key), (*path, key))
        return found
    return [] if old == new and type(old) is type(new) else [(path, old, new)]


def included_from(values: Any, path: Path) -> bool:  # noqa: ANN401 - any JSON value
    """Whether an ``$include`` stands on the way to a path, so that its value may be in another file."""
    node = values
    for part in path:
        if not isinstance(node, Mapping):
            return False
        if INCLUDE in node:
            return True
        node = node.get(part)
    return isinstance(node, Mapping) and INCLUDE in node
