"""Reading ``openclaw.json``: the file, what it includes, and ``${NAME}`` in it; every value keeps its place.

Source: reference OpenClaw features §2.1. Two rules differ: names of variables come from the file's own ``env`` block
and the tenant's ``.env``, never from the environment of whoever asks, so that a check says what a start will do; and
what the gateway holds is named and never read here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final

from openclaw.config.issues import ROOT, Issue, Place, dotted
from shared.config.json5 import Json5, Json5Error, Path, parse_json5
from shared.errors import ConfigError

INCLUDE: Final = "$include"
MAX_DEPTH: Final = 10
MAX_BYTES: Final = 2 * 1024 * 1024

HELD: Final[Mapping[str, str]] = {
    "OPENCLAW_GATEWAY_TOKEN": "gateway_token",
    "GATEWAY_TOKEN": "gateway_token",
    "OPENCLAW_DISCORD_BOT_TOKEN": "discord_bot_token",
    "DISCORD_BOT_TOKEN": "discord_bot_token",
}
"""Secrets the gateway keeps and hands to the tenant at its start, by the names a file may use for them."""

HELD_AT: Final[Mapping[Path, str]] = {
    ("gateway", "auth", "token"): "gateway_token",
    ("channels", "discord", "token"): "discord_bot_token",
}
"""Where a held secret may be named; anywhere else it would be copied out."""

_VARIABLE = re.compile(r"\$?\$\{([A-Z_][A-Z0-9_]*)\}")
_WHOLE = re.compile(r"\$\{([A-Z_][A-Z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Document:
    """One reading of the file.

    Attributes:
        text: of the main file; empty when there is none.
        parsed: the main file's value, with ``$include`` and ``${NAME}`` as written.
        resolved: the value with both carried out.
        places: where each path of `resolved` stands.
        files: every file that was read, the main one first.
        issues: what kept the value from being read.
    """

    path: FilePath
    exists: bool
    text: str = ""
    parsed: dict[str, Any] = field(default_factory=dict)
    resolved: dict[str, Any] = field(default_factory=dict)
    places: Mapping[Path, Place] = field(default_factory=dict)
    files: tuple[FilePath, ...] = ()
    issues: tuple[Issue, ...] = ()

    @property
    def hash(self) -> str:
        """SHA-256 of the main file's text, in hexadecimal: what a writer must know to replace it."""
        return text_hash(self.text)

    def place_of(self, path: Path) -> Place:
        """Where a value stands, or the nearest object around it."""
        for length in range(len(path), -1, -1):
            if place := self.places.get(path[:length]):
                return place
        return Place(str(self.path))


def text_hash(text: str) -> str:
    """SHA-256 of a text in hexadecimal."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def held_name(value: object, path: Path) -> str:
    """The held secret that a value stands for, such as ``gateway_token``; empty when it is none."""
    match = _WHOLE.fullmatch(value) if isinstance(value, str) else None
    name = HELD.get(match[1], "") if match else ""
    return name if name and HELD_AT.get(path) == name else ""


def read_document(path: FilePath, variables: Mapping[str, str]) -> Document:
    """Read the main file and all it needs; problems are in the result, never raised.

    Args:
        path: the main file; when it does not exist the configuration is empty.
        variables: of the tenant's ``.env``; the file's own ``env`` block comes after them.
    """
    try:
        text = _text_of(path)
    except FileNotFoundError:
        return Document(path, exists=False)
    except (OSError, ValueError) as error:
        return Document(path, exists=True, issues=(_unreadable(path, error),))
    return parse_document(path, text, variables)


def parse_document(path: FilePath, text: str, variables: Mapping[str, str]) -> Document:
    """The same for a text that is not in the file yet."""
    reader = _Reading(path)
    parsed = reader.parse(path, text)
    if parsed is None:
        return Document(path, exists=True, text=text, files=(path,), issues=tuple(reader.issues))
    resolved = reader.include(parsed.value, parsed, path, (), (path,))
    issues = list(reader.issues)
    if not issues:
        resolved = _substituted(resolved, _variables(resolved, variables), reader.places, path, issues)
    return Document(
        path,
        exists=True,
        text=text,
        parsed=parsed.value,
        resolved=resolved,
        places=reader.places,
        files=tuple(reader.files),
        issues=tuple(issues),
    )


def _text_of(path: FilePath) -> str:
    with path.open("rb") as handle:
        data = handle.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"it is larger than {MAX_BYTES} bytes")
    return data.decode("utf-8-sig")


def _unreadable(path: FilePath, error: Exception) -> Issue:
    if isinstance(error, UnicodeDecodeError):
        reason = "it is not UTF-8 text"
    elif isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
    else:
        reason = str(error)
    return Issue(ROOT, f"cannot be read: {reason}", Place(str(path)))


class _Reading:
    """One reading under way: what was read, where values stand, what went wrong."""

    def __init__(self, main: FilePath) -> None:
        self._folder = main.parent
        self.files: list[FilePath] = [main]
        self.places: dict[Path, Place] = {}
        self.issues: list[Issue] = []

    def parse(self, file: FilePath, text: str) -> Json5 | None:
        try:
            parsed = parse_json5(text)
        except Json5Error as error:
            self.issues.append(Issue(ROOT, f"not JSON5: {error.reason}", Place(str(file), error.line)))
            return None
        if not isinstance(parsed.value, dict):
            self.issues.append(Issue(ROOT, "must be an object { … }", Place(str(file), 1)))
            return None
        return parsed

    def include(self, value: Any, source: Json5, file: FilePath, at: Path, chain: tuple[FilePath, ...]) -> Any:  # noqa: ANN401
        """A value with its includes carried out; `at` is its path within `source`, and the same in the result."""
        return self._include(value, source, file, at, at, chain)

    def _include(
        self,
        value: Any,  # noqa: ANN401 - any JSON value
        source: Json5,
        file: FilePath,
        inner: Path,
        at: Path,
        chain: tuple[FilePath, ...],
    ) -> Any:  # noqa: ANN401 - any JSON value
        self.places[at] = Place(str(file), source.lines.get(inner, 0))
        if isinstance(value, list):
            return [self._include(item, source, file, (*inner, n), (*at, n), chain) for n, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        base: Any = {}
        if INCLUDE in value:
            base = self._included(value[INCLUDE], source, file, (*inner, INCLUDE), at, chain)
        own = {
            name: self._include(item, source, file, (*inner, name), (*at, name), chain)
            for name, item in value.items()
            if name != INCLUDE
        }
        if not own and INCLUDE in value:
            return base
        if not isinstance(base, dict):
            self._refuse(
                at, Place(str(file), source.lines.get(inner, 0)), "a list cannot be included beside other keys"
            )
            return own
        return deep_merge(base, own)

    def _included(
        self,
        names: Any,  # noqa: ANN401 - not checked yet
        source: Json5,
        file: FilePath,
        inner: Path,
        at: Path,
        chain: tuple[FilePath, ...],
    ) -> Any:  # noqa: ANN401 - any JSON value
        place = Place(str(file), source.lines.get(inner, 0))
        listed = names if isinstance(names, list) else [names]
        if not listed or not all(isinstance(name, str) and name for name in listed):
            self._refuse(at, place, "$include takes the name of a file, or a list of them")
            return {}
        result: Any = None
        for name in listed:
            found = self._one(name, place, at, chain)
            mergeable = isinstance(result, dict) and isinstance(found, dict)
            result = deep_merge(result, found) if mergeable else found
        return {} if result is None else result

    def _one(self, name: str, place: Place, at: Path, chain: tuple[FilePath, ...]) -> Any:  # noqa: ANN401
        try:
            target = (chain[-1].parent / name).resolve(strict=True)
            if not target.is_relative_to(self._folder.resolve()):
                raise ValueError(f"it lies outside {self._folder}")
            if target in [link.resolve() for link in chain]:
                round_trip = " → ".join(link.name for link in (*chain, target))
                raise ValueError(f"it includes itself: {round_trip}")
            if len(chain) > MAX_DEPTH:
                raise ValueError(f"includes are nested more than {MAX_DEPTH} deep")
            if target.stat().st_nlink > 1:
                raise ValueError("it has a second name (a hard link), which could lie anywhere")
            text = _text_of(target)
        except (OSError, ValueError) as error:
            reason = _unreadable(self._folder, error).message.removeprefix("cannot be read: ")
            self._refuse(at, place, f"$include {name!r} cannot be read: {reason}")
            return {}
        self.files.append(target)
        try:
            parsed = parse_json5(text)
        except Json5Error as error:
            self.issues.append(Issue(dotted(at), f"not JSON5: {error.reason}", Place(str(target), error.line)))
            return {}
        return self._include(parsed.value, parsed, target, (), at, (*chain, target))

    def _refuse(self, at: Path, place: Place, message: str) -> None:
        self.issues.append(Issue(dotted(at), message, place))


def deep_merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Objects merged key by key, lists one after the other, anything else replaced by `over`."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            result[key] = deep_merge(old, value)
        elif isinstance(old, list) and isinstance(value, list):
            result[key] = [*old, *value]
        else:
            result[key] = value
    return result


def _variables(value: Any, given: Mapping[str, str]) -> dict[str, str]:  # noqa: ANN401 - not validated yet
    """The ``.env`` first, then the file's ``env`` block for what it lacks."""
    block = value.get("env") if isinstance(value, dict) else None
    own: dict[str, Any] = {}
    if isinstance(block, dict):
        own = {key: item for key, item in block.items() if key not in ("vars", "shellEnv")}
        more = block.get("vars")
        own |= more if isinstance(more, dict) else {}
    texts = {key: item for key, item in own.items() if isinstance(item, str) and item}
    return texts | {key: item for key, item in given.items() if item}


def _substituted(
    value: Any,  # noqa: ANN401 - any JSON value
    variables: Mapping[str, str],
    places: Mapping[Path, Place],
    main: FilePath,
    issues: list[Issue],
    at: Path = (),
) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {k: _substituted(v, variables, places, main, issues, (*at, k)) for k, v in value.items()}
    if isinstance(value, list):
        return [_substituted(v, variables, places, main, issues, (*at, n)) for n, v in enumerate(value)]
    if not isinstance(value, str) or "${" not in value or held_name(value, at):
        return value

    def replace(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:]
        name = match[1]
        place = places.get(at, Place(str(main)))
        if name in HELD:
            told = f'"{name}" is held by the gateway and can only be the whole of '
            told += " or ".join(dotted(path) for path, held in HELD_AT.items() if held == HELD[name])
            issues.append(Issue(dotted(at), told, place))
        elif name not in variables:
            message = f'Missing env var "{name}" referenced at config path: {dotted(at)}'
            advice = "set it in the env block of this file or in the tenant's .env"
            issues.append(Issue(ROOT, message, place, key=dotted(at), advice=advice))
        return variables.get(name, "")

    return _VARIABLE.sub(replace, value)


def read_variables(path: FilePath) -> dict[str, str]:
    """The tenant's own ``.env``, for ``${NAME}``.

    Raises:
        ConfigError: others can read it, or it names what must not exist.
    """
    from shared.config.envfile import read_env

    try:
        return read_env(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read ({type(error).__name__})", code="config.env") from None
