"""Writing TOML that programs lay over an operator's file: tables of plain values, nothing else."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared.errors import ConfigError
from shared.secrets.files import write_private


def to_toml(values: Mapping[str, Any]) -> str:
    """TOML text of nested tables whose leaves are strings, numbers, booleans and lists of them."""
    return "\n".join(_tables(values, ())).lstrip("\n") + "\n"


def _tables(values: Mapping[str, Any], prefix: tuple[str, ...]) -> list[str]:
    lines = [] if not prefix else ["", f"[{'.'.join(_key(part) for part in prefix)}]"]
    lines += [f"{_key(name)} = {_value(value)}" for name, value in values.items() if not isinstance(value, Mapping)]
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines += _tables(value, (*prefix, name))
    return lines


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else json.dumps(name)


def _value(value: Any) -> str:  # noqa: ANN401 - a TOML leaf
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)  # strings, numbers and booleans read the same in both


def overlay_file(path: Path, values: Mapping[str, Any]) -> None:
    """Set some keys of a TOML file and keep the others (comments are lost).

    Raises:
        ConfigError: the file is there and is not valid TOML.
    """
    write_private(path, to_toml(merge(_current(path), values)), mode=0o644)


def drop_table(path: Path, *location: str) -> None:
    """Take a table out of a TOML file and keep the rest (comments are lost); one that is not there is no matter.

    Raises:
        ConfigError: the file is there and is not valid TOML.
    """
    current = node = _current(path)
    for part in location[:-1]:
        node = node.get(part, {})
    if node.pop(location[-1], None) is not None:
        write_private(path, to_toml(current), mode=0o644)


def _current(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", code="config.syntax") from None


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Tables merged key by key; anything else in `over` replaces."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result
