"""Policy files: the shipped TOML, the operator's copy laid over it, and errors that name file, line and key."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from shared.config.paths import Paths
from shared.config.tomlwrite import merge
from shared.errors import ConfigError

M = TypeVar("M", bound=BaseModel)

OF_ONE_TENANT = {
    "nanoclaw": (("metrics",), ("groups",)),
    "openclaw": (("port",), ("metrics",), ("control_ui", "allowed_origins"), ("discord", "guilds")),
}
"""What the operator's file of a kind says for the first tenant alone, by kind: chats, servers, origins, ports.

A further tenant that had them too would answer in the first one's chats, or fight for its port.
"""

_TABLE = re.compile(r"^\s*\[\[?\s*([^\]]+?)\s*\]\]?")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+?)\s*=")


@dataclass(frozen=True, slots=True)
class _Source:
    path: str
    text: str
    values: dict[str, Any]

    def line_of(self, location: tuple[str | int, ...]) -> int:
        """Line of a key, or of the nearest table around it; 0 when the file does not mention it."""
        wanted = [str(part) for part in location]
        lines = dict(_key_lines(self.text))
        while wanted:
            if line := lines.get(".".join(wanted)):
                return line
            wanted.pop()
        return 0

    def mentions(self, location: tuple[str | int, ...]) -> bool:
        """The file itself holds this key."""
        node: Any = self.values
        for part in location:
            if not isinstance(node, Mapping) or part not in node:
                return False
            node = node[part]
        return True


def _key_lines(text: str) -> Iterator[tuple[str, int]]:
    table = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if match := _TABLE.match(line):
            table = match[1].replace('"', "").replace("'", "")
            yield table, number
        elif match := _KEY.match(line):
            key = match[1].replace('"', "").replace("'", "")
            yield (f"{table}.{key}" if table else key), number


def _read(path: str, text: str) -> _Source:
    try:
        return _Source(path, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", code="config.syntax") from None


def load_policy(name: str, model: type[M], paths: Paths, *, tenant: str = "") -> M:
    """Load ``policies/<name>.toml`` with the operator's copy from the state directory laid over it.

    Args:
        name: file name without ``.toml``.
        model: a frozen pydantic model with ``extra="forbid"``.
        paths: where the operator's copy lies.
        tenant: whose; one beside the first of its kind has a file of its own, ``<tenant>.toml``, laid over the others.

    Raises:
        ConfigError: every problem of all files at once, each with file, line, key and, for an unknown key, the
            nearest valid one.
    """
    sources = _sources(name, paths, tenant)
    try:
        return model.model_validate(_merged(sources))
    except ValidationError as error:
        problems = [_explain(model, _place_of(issue), issue, sources) for issue in error.errors(include_url=False)]
        raise ConfigError("\n".join(problems), code="config.policy") from None


def problem_at(location: tuple[str, ...], problem: str) -> PydanticCustomError:
    """What a model's own validator raises about one key of several that do not go together: its line gets named.

    Args:
        location: the key, from the model on.
        problem: what is wrong with it, for people.
    """
    return PydanticCustomError("placed", "{problem}", {"problem": problem, "at": location})


def _place_of(issue: Mapping[str, Any]) -> tuple[str | int, ...]:
    return (*issue["loc"], *(issue["ctx"]["at"] if issue["type"] == "placed" else ()))


def policy_values(name: str, paths: Paths, *, tenant: str = "") -> dict[str, Any]:
    """A policy file's values as `load_policy` sees them, unchecked: for one application that asks about another's.

    Raises:
        ConfigError: a file is not TOML.
    """
    return _merged(_sources(name, paths, tenant))


def policy_names() -> frozenset[str]:
    """Names of all policy files, without ``.toml``."""
    names = (entry.name for entry in files("policies").iterdir())
    return frozenset(name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _sources(name: str, paths: Paths, tenant: str) -> list[_Source]:
    shipped = files("policies") / f"{name}.toml"
    sources = [_read(f"policies/{name}.toml", shipped.read_text(encoding="utf-8"))]
    own = [path for path in policy_files(name, paths, tenant=tenant) if path.exists()]
    sources += [_read(str(path), path.read_text(encoding="utf-8")) for path in own]
    if tenant not in {"", name} and len(sources) > 1 and sources[1].path == str(operator_file(name, paths)):
        sources[1] = replace(sources[1], values=_without(sources[1].values, OF_ONE_TENANT.get(name, ())))
    return sources


def _without(values: Mapping[str, Any], keys: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    kept = deepcopy(dict(values))
    for *tables, key in keys:
        node: Any = kept
        for table in tables:
            node = node.get(table, {}) if isinstance(node, dict) else {}
        if isinstance(node, dict):
            node.pop(key, None)
    return kept


def _merged(sources: list[_Source]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for source in sources:
        merged = merge(merged, source.values)
    return merged


def _explain(
    model: type[BaseModel], location: tuple[str | int, ...], issue: Mapping[str, Any], sources: list[_Source]
) -> str:
    source = next((s for s in reversed(sources) if s.mentions(location)), sources[-1])
    key = ".".join(str(part) for part in location)
    place = f"{source.path}:{line}" if (line := source.line_of(location)) else source.path
    if issue["type"] != "extra_forbidden":
        return f"{place}: {key}: {issue['msg']}"
    valid = valid_keys(model, location[:-1])
    near = difflib.get_close_matches(str(location[-1]), valid, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"valid here: {', '.join(valid)}"
    return f"{place}: unknown key {key!r}; {hint}"


def valid_keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Names a table may hold, for the hint after an unknown key."""
    current: type[BaseModel] | None = model
    for part in location:
        current = (
            _table_model(current.model_fields[str(part)].annotation)
            if current and part in current.model_fields
            else current
        )
    return sorted(current.model_fields) if current else []


def _table_model(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - a type form
    candidates = [annotation, *get_args(annotation)]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def operator_file(name: str, paths: Paths) -> Path:
    """Where the operator's copy of a policy file belongs."""
    return paths.policies / f"{name}.toml"


def policy_files(name: str, paths: Paths, *, tenant: str = "") -> tuple[Path, ...]:
    """The operator's files that are laid over a shipped one, in their order, there or not.

    The first tenant of a kind bears the kind's name and has ``<kind>.toml`` alone; a further one's own file comes last.
    """
    return tuple(operator_file(one, paths) for one in dict.fromkeys((name, tenant or name)))


def operator_values(name: str, paths: Paths, *, tenant: str = "") -> dict[str, Any]:
    """What the operator's files say themselves, unchecked; empty without one.

    Raises:
        ConfigError: one is not valid TOML.
    """
    return _merged(_sources(name, paths, tenant)[1:])
