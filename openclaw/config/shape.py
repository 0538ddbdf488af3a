"""The schema as plain data: one JSON Schema tree without references, for the form, for paths and for hints.

Everything that asks "what may stand here" asks this tree: the nearest valid name, whether digits in a path mean a list
or an object, which values are secrets.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from openclaw.config.sections.root import OpenClawJson
from shared.config.json5 import Path

Node = Mapping[str, Any]

_FEW = 2
"""A name that stands at more places than this says nothing about which one was meant."""

DRAFT = "http://json-schema.org/draft-07/schema#"


@cache
def json_schema() -> Node:
    """The whole schema, draft 07, every definition written out where it is used."""
    raw = OpenClawJson.model_json_schema(by_alias=True, ref_template="{model}")
    definitions = raw.pop("$defs", {})
    return {"$schema": DRAFT, **_plain(raw, definitions)}


def _plain(node: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a schema is JSON
    """Without references, generated titles, and the null that only says "may be left out"."""
    if isinstance(node, list):
        return [_plain(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(name := node.get("$ref"), str):
        return _plain({**definitions[name], **{k: v for k, v in node.items() if k != "$ref"}}, definitions)
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            out[key] = {name: _plain(item, definitions) for name, item in value.items()}
        elif key not in ("title", "default") or (key == "default" and value not in (None, {}, [])):
            out[key] = _plain(value, definitions)
    choices = out.get("anyOf")
    if isinstance(choices, list):
        left = [choice for choice in choices if choice != {"type": "null"}]
        out = {k: v for k, v in out.items() if k != "anyOf"} | (left[0] if len(left) == 1 else {"anyOf": left})
    return out


def _choices(node: Node) -> Iterator[Node]:
    for choice in node.get("anyOf", ()):
        yield from _choices(choice)
    if "anyOf" not in node:
        yield node


def _below(node: Node, part: str | int) -> Iterator[Node]:
    for choice in _choices(node):
        properties = choice.get("properties", {})
        if part in properties:
            yield properties[part]
            continue
        more = choice.get("additionalProperties")
        if isinstance(part, str) and isinstance(more, Mapping):
            yield more
        if "items" in choice and (isinstance(part, int) or part.isdigit()):
            yield choice["items"]


def nodes_at(path: Path) -> list[Node]:
    """What may stand at a path: no entry when nothing may, an empty one where anything may."""
    nodes: list[Node] = [json_schema()]
    for part in path:
        if any(choice.get("additionalProperties") is True for node in nodes for choice in _choices(node)):
            return [{}]
        nodes = [found for node in nodes for found in _below(node, part)]
    return nodes


def takes_list(path: Path) -> bool:
    """Whether a list belongs there; an object is meant otherwise."""
    kinds = {choice.get("type") for node in nodes_at(path) for choice in _choices(node)}
    return "array" in kinds and "object" not in kinds


def valid_names(path: Path) -> list[str]:
    """Names that the object there may hold."""
    return sorted({name for n in nodes_at(path) for choice in _choices(n) for name in choice.get("properties", {})})


def nearest(name: str, path: Path) -> str:
    """What somebody may have meant by a name that is not valid there, in words."""
    valid = valid_names(path)
    folded = {candidate.lower(): candidate for candidate in reversed(valid)}
    elsewhere = [place for place, _ in walk() if place[-1] == name and "*" not in place]
    if 0 < len(elsewhere) <= _FEW and name.lower() not in folded:
        return f"did you mean {'.'.join(str(part) for part in elsewhere[0])!r}?"
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    if near:
        return f"did you mean {folded[near[0]]!r}?"
    return f"valid here: {', '.join(valid)}" if valid else ""


def is_secret(path: Path) -> bool:
    """Whether the schema says that the value there is a secret."""
    return any(choice.get("sensitive") for node in nodes_at(path) for choice in _choices(node)) or any(
        node.get("sensitive") for node in nodes_at(path)
    )


@cache
def words() -> frozenset[str]:
    """Every word that some setting may be, and the empty text."""
    nodes = [choice for _, node in walk() for choice in _choices(node)]
    found = {word for node in nodes for word in (*node.get("enum", ()), node.get("const")) if isinstance(word, str)}
    return frozenset(found | {""})


@cache
def walk() -> tuple[tuple[Path, Node], ...]:
    """Every path of the schema with its node; ``*`` stands for any name or position."""
    return tuple(_walk(json_schema(), ()))


def _walk(node: Node, path: Path) -> Iterator[tuple[Path, Node]]:
    if path:
        yield path, node
    for choice in _choices(node):
        for name, child in choice.get("properties", {}).items():
            yield from _walk(child, (*path, name))
        more = choice.get("additionalProperties")
        if isinstance(more, Mapping):
            yield from _walk(more, (*path, "*"))
        if isinstance(items := choice.get("items"), Mapping):
            yield from _walk(items, (*path, "*"))


def label(name: str) -> str:
    """A camelCase name as words: ``dmPolicy`` → ``Dm Policy``."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).split()
    return " ".join(word[:1].upper() + word[1:] for word in words)
