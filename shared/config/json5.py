"""JSON5 with positions: values as plain Python, and for every one of them the line it stands on.

The grammar is JSON5 1.0.0: comments, trailing commas, single quotes, unquoted names, hexadecimal numbers, a plus sign.
Names that occur twice in one object are an error here, since one of the two would be lost without a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from shared.errors import ConfigError

Path = tuple[str | int, ...]

MAX_DEPTH: Final = 100
"""Nested objects and lists; deeper text is not a configuration."""

_BLANK = re.compile(r"(?:[\s\ufeff\u00a0\u2028\u2029]+|//[^\n\r\u2028\u2029]*|/\*.*?\*/)+", re.DOTALL)
_NAME = re.compile(r"(?:[^\W\d]|[$_])(?:[\w$\u200c\u200d])*")
_NUMBER = re.compile(
    r"[+-]?(?:Infinity|NaN|0[xX][0-9a-fA-F]+|(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)"
)
_PLAIN = {'"': re.compile(r'[^"\\\n\r]+'), "'": re.compile(r"[^'\\\n\r]+")}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}
_WORDS = {"true": True, "false": False, "null": None}
_LINE_ENDS = "\n\u2028\u2029"


class Json5Error(ConfigError):
    """The text is not JSON5.

    Attributes:
        line: counted from one.
        reason: what is wrong there.
    """

    code = "config.syntax"

    def __init__(self, reason: str, *, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason = reason
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Json5:
    """A parsed text.

    Attributes:
        value: dictionaries, lists, strings, numbers, booleans, None.
        lines: by path, the line of a member's name or an item's first character; the whole text is the empty path.
    """

    value: Any
    lines: Mapping[Path, int] = field(default_factory=dict)


def parse_json5(text: str) -> Json5:
    """Read one JSON5 value.

    Raises:
        Json5Error: with line, column and reason.
    """
    return _Reader(text).read()


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[Path, int] = {}
        self._counted_at = 0
        self._line = 1

    def read(self) -> Json5:
        self._skip()
        value = self._value((), 0)
        self._skip()
        if self._at < len(self._text):
            raise self._error(f"unexpected {self._shown()} after the end")
        return Json5(value, self._lines)

    # --- places --------------------------------------------------------------------

    def _error(self, reason: str, at: int | None = None) -> Json5Error:
        at = self._at if at is None else at
        before = self._text[:at]
        begin = before.rfind("\n") + 1
        return Json5Error(reason, line=before.count("\n") + 1, column=at - begin + 1)

    def _note(self, path: Path) -> None:
        self._line += self._text.count("\n", self._counted_at, self._at)
        self._counted_at = self._at
        self._lines[path] = self._line

    def _shown(self) -> str:
        return repr(self._text[self._at]) if self._at < len(self._text) else "end of the text"

    def _skip(self) -> None:
        if match := _BLANK.match(self._text, self._at):
            self._at = match.end()
        if self._text.startswith("/*", self._at):
            raise self._error("this comment does not end")

    def _peek(self) -> str:
        return self._text[self._at] if self._at < len(self._text) else ""

    # --- values --------------------------------------------------------------------

    def _value(self, path: Path, depth: int) -> Any:  # noqa: ANN401 - any JSON value
        if depth > MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} levels deep")
        if path not in self._lines:
            self._note(path)
        first = self._peek()
        if first == "{":
            return self._object(path, depth)
        if first == "[":
            return self._array(path, depth)
        if first in ("'", '"') and first:
            return self._string()
        if match := _NUMBER.match(self._text, self._at):
            return self._number(match)
        if (match := _NAME.match(self._text, self._at)) and match[0] in _WORDS:
            self._at = match.end()
            return _WORDS[match[0]]
        what = f"the bare word {match[0]!r}: put it in quotes" if match else f"{self._shown()}, expected a value"
        raise self._error(f"unexpected {what}")

    def _number(self, match: re.Match[str]) -> int | float:
        text = match[0]
        self._at = match.end()
        if _NAME.match(self._text, self._at) or self._peek().isdigit():
            raise self._error(f"{text!r} goes on as something that is no number: put it in quotes", match.start())
        digits = text.lstrip("+-")
        sign = -1 if text.startswith("-") else 1
        if digits in ("Infinity", "NaN"):
            raise self._error(f"{text} is not a number that a setting can have", match.start())
        if digits[:2].lower() == "0x":
            return sign * int(digits, 16)
        if digits.isdigit():
            if len(digits) > 400:
                raise self._error("this number is too long", match.start())
            return sign * int(digits)
        value = float(digits)
        if value == float("inf"):
            raise self._error(f"{text} is too large", match.start())
        return sign * value

    def _object(self, path: Path, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        opened = self._at
        self._at += 1
        while True:
            self._skip()
            if self._peek() == "}":
                self._at += 1
                return result
            if not self._peek():
                raise self._error("this { is never closed", opened)
            start = self._at
            name = self._name()
            here = (*path, name)
            if name in result:
                raise self._error(f"{name!r} is set twice in one object (first on line {self._lines[here]})", start)
            end, self._at = self._at, start
            self._note(here)
            self._at = end
            self._skip()
            if self._peek() != ":":
                raise self._error(f"unexpected {self._shown()} after the name {name!r}, expected ':'")
            self._at += 1
            self._skip()
            result[name] = self._value(here, depth + 1)
            self._separator("}", opened)

    def _array(self, path: Path, depth: int) -> list[Any]:
        result: list[Any] = []
        opened = self._at
        self._at += 1
        while True:
            self._skip()
            if self._peek() == "]":
                self._at += 1
                return result
            if not self._peek():
                raise self._error("this [ is never closed", opened)
            result.append(self._value((*path, len(result)), depth + 1))
            self._separator("]", opened)

    def _separator(self, closing: str, opened: int) -> None:
        self._skip()
        if self._peek() == ",":
            self._at += 1
        elif not self._peek():
            raise self._error(f"this {self._text[opened]} is never closed", opened)
        elif self._peek() != closing:
            raise self._error(f"unexpected {self._shown()}, expected ',' or {closing!r}")

    def _name(self) -> str:
        if self._peek() in ("'", '"'):
            return self._string()
        match = _NAME.match(self._text, self._at)
        if match is None:
            raise self._error(f"unexpected {self._shown()}, expected a name")
        self._at = match.end()
        return match[0]

    def _string(self) -> str:
        quote = self._text[self._at]
        start = self._at
        self._at += 1
        parts: list[str] = []
        while True:
            if match := _PLAIN[quote].match(self._text, self._at):
                parts.append(match[0])
                self._at = match.end()
            char = self._peek()
            if char == quote:
                self._at += 1
                return _joined("".join(parts))
            if char != "\\":
                raise self._error("this string does not end on its line", start)
            self._at += 1
            parts.append(self._escape())

    def _escape(self) -> str:
        char = self._peek()
        self._at += 1
        if char == "\r" and self._peek() == "\n":
            self._at += 1
            return ""
        if char == "\r" or (char and char in _LINE_ENDS):
            return ""
        if char in ("x", "u"):
            length = 2 if char == "x" else 4
            digits = self._text[self._at : self._at + length]
            if len(digits) < length or not all(c in "0123456789abcdefABCDEF" for c in digits):
                raise self._error(f"\\{char} needs {length} hexadecimal digits", self._at - 2)
            self._at += length
            return chr(int(digits, 16))
        if char.isdigit() and (char != "0" or self._peek().isdigit()):
            raise self._error(f"\\{char} is not an escape", self._at - 2)
        return _ESCAPES.get(char, char)


def _joined(text: str) -> str:
    """Surrogate pairs written as two escapes are one character; a half of one is no text and becomes a mark."""
    if not any("\ud800" <= char <= "\udfff" for char in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
