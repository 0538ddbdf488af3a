"""The ``json_query`` tool: read a value out of JSON text by a path, so that no program has to run for it."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from openclaw.agent.output import bounded
from openclaw.agent.tools import Tool, ToolContext
from shared.errors import Invalid
from shared.providers import ToolSpec

_TEXT_CHARS: Final = 2_000_000
_RESULT_CHARS: Final = 24_000
_PATH_CHARS: Final = 1000
_MOST: Final = 10_000
_STEP = re.compile(
    r"""
    \.? (?P<name> [A-Za-z_$@-][\w$@-]* )     # .name
    | \.? (?P<number> \d+ ) (?=[.\[]|$)      # .0
    | \[ (?P<index> -?\d+ ) \]               # [0] [-1]
    | \[ (?P<start> -?\d* ) : (?P<end> -?\d* ) \]   # [1:3]
    | \.? \[ ["'] (?P<quoted> (?:[^"'\\]|\\.)* ) ["'] \]   # ["any name"]
    | \.? (?P<every> \[\*?\] | \* )          # [*] [] .*
    """,
    re.VERBOSE,
)

_PARAMETERS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "json": {"type": "string", "description": "JSON text."},
        "path": {
            "type": "string",
            "description": "Such as data[0].id, items[*].name, data[-1]['odd name'], list[0:3]; empty for everything.",
        },
    },
    "required": ["json"],
    "additionalProperties": False,
}


async def _query(given: dict[str, Any], _context: ToolContext) -> str:
    text, path = given.get("json"), given.get("path", "")
    if not isinstance(text, str) or not isinstance(path, str):
        raise Invalid("json_query takes json (text) and path (text)")
    if len(text) > _TEXT_CHARS or len(path) > _PATH_CHARS:
        raise Invalid(f"json_query reads at most {_TEXT_CHARS} characters of JSON and a path of {_PATH_CHARS}")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Invalid(f"the text is not JSON: {error}") from None
    return bounded(json.dumps(query(value, path), ensure_ascii=False, indent=1), _RESULT_CHARS)


def query(value: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    """The value at a path; a list of all values when the path has ``[*]`` or a slice.

    Raises:
        Invalid: the path is wrong, or nothing is there; the detail names the place and what there is.
    """
    rest = path.strip().removeprefix("$")
    found, is_many, place = [value], False, "$"
    position = 0
    while position < len(rest):
        step = _STEP.match(rest, position)
        if step is None or step.end() == position:
            raise Invalid(f"the path is not understood at {rest[position : position + 20]!r}")
        if step["every"] is not None or step["start"] is not None:
            is_many = True
            found = [inner for outer in found for inner in _many(outer, step, place)]
            if len(found) > _MOST:
                raise Invalid(f"{place} leads to more than {_MOST} values: narrow the path down")
        elif is_many:  # among many, those that lack it are passed over
            found = [inner for outer in found if (inner := _one(outer, step, place, default=_NOTHING)) is not _NOTHING]
        else:
            found = [_one(found[0], step, place)]
        place += step[0]
        position = step.end()
    return found if is_many else found[0]


_NOTHING: Final = object()


def _many(value: Any, step: re.Match[str], place: str) -> list[Any]:  # noqa: ANN401 - any JSON
    if step["start"] is not None:
        if not isinstance(value, list):
            raise Invalid(f"{place} is {_kind(value)}, not a list")
        return value[int(step["start"]) if step["start"] else None : int(step["end"]) if step["end"] else None]
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, list):
        return value
    raise Invalid(f"{place} is {_kind(value)}: there is nothing to go through")


def _one(value: Any, step: re.Match[str], place: str, *, default: object = None) -> Any:  # noqa: ANN401 - any JSON
    index = step["index"] or step["number"]
    if index is not None and isinstance(value, list):
        if -len(value) <= int(index) < len(value):
            return value[int(index)]
        problem = f"{place} is a list of {len(value)}"
    else:
        quoted = step["quoted"]
        name = index if index is not None else step["name"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if isinstance(value, dict) and name in value:
            return value[name]
        known = ", ".join(list(value)[:20]) if isinstance(value, dict) else ""
        problem = f"{place} is {_kind(value)}" + (f" with {known}" if known else "")
    if default is _NOTHING:
        return _NOTHING
    raise Invalid(f"nothing is at {place}{step[0]}: {problem}")


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


JSON_QUERY: Final = Tool(
    ToolSpec("json_query", "Read a value out of JSON text by a path. Runs nothing.", _PARAMETERS),
    _query,
    "JSON query",
    "runtime",
)
