"""From a document to the typed configuration, or to every problem with its place: the one validator there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from openclaw.config.document import Document
from openclaw.config.issues import Issue, dotted
from openclaw.config.sections.root import OpenClawJson
from openclaw.config.shape import nearest
from shared.config.json5 import Path

_NUMBERS = {"greater_than_equal": "ge", "greater_than": "gt", "less_than_equal": "le", "less_than": "lt"}
_SIGNS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}


def validate(document: Document) -> tuple[OpenClawJson | None, tuple[Issue, ...]]:
    """The typed configuration; None, and why, when the document must not be used."""
    if document.issues:
        return None, document.issues
    try:
        return OpenClawJson.model_validate(document.resolved), ()
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=True, include_input=False)
        return None, tuple(_merged([_issue(dict(entry), document) for entry in found]))


def _issue(entry: Mapping[str, Any], document: Document) -> Issue:
    path = _real_path(entry["loc"], document.resolved)
    if entry["type"] == "extra_forbidden":
        name = str(path[-1])
        place = document.place_of(path)
        return Issue(
            dotted(path[:-1]), f'Unrecognized key: "{name}"', place, key=dotted(path), advice=nearest(name, path[:-1])
        )
    return Issue(dotted(path), _message(entry), document.place_of(path), key=dotted(path))


def _real_path(location: Sequence[str | int], root: Any) -> Path:  # noqa: ANN401 - any JSON value
    """The location as the file has it: without the names that pydantic gives to the members of a union."""
    path: list[str | int] = []
    node = root
    for position, part in enumerate(location):
        inside = (isinstance(node, dict) and part in node) or (
            isinstance(node, list) and isinstance(part, int) and part < len(node)
        )
        if inside:
            path.append(part)
            node = node[part]
        elif isinstance(node, dict) and position == len(location) - 1:
            path.append(part)  # a name that is missing there
    return tuple(path)


def _message(entry: Mapping[str, Any]) -> str:
    context = entry.get("ctx") or {}
    kind = entry["type"]
    if kind == "value_error" and "error" in context:
        return str(context["error"])
    if kind == "literal_error":
        return f"must be one of {context['expected']}"
    if kind == "missing":
        return "is required"
    if bound := _NUMBERS.get(kind):
        return f"must be {_SIGNS[bound]} {context[bound]}"
    if kind in ("dict_type", "model_type"):
        return "must be an object"
    if kind == "string_pattern_mismatch":
        return f"does not look right (must match {context['pattern']})"
    return str(entry["msg"]).replace("Input should be", "must be")


def _merged(issues: list[Issue]) -> list[Issue]:
    """One entry for each place: what none of a union's members takes is one problem."""
    found: dict[tuple[str, str], Issue] = {}
    for issue in issues:
        where = (issue.path, issue.key)
        known = found.get(where)
        if known is None or issue.message in known.message:
            found.setdefault(where, issue)
        else:
            found[where] = Issue(issue.path, f"{known.message}, or {issue.message}", issue.place, issue.key)
    return list(found.values())
