"""Texts of others as they really are: nothing in them hides, changes direction, or leaves the code it is shown in."""

from __future__ import annotations

import unicodedata
from typing import Final

_BLANKS: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that count as printable and show nothing."""
_TICK: Final = "\u02cb"


def visible(text: str) -> str:
    """A text in which every character shows: what is invisible or changes direction is written as its number."""
    return "".join(f"\\u{{{ord(c):x}}}" if _is_hidden(c) else c for c in text)


def visible_lines(text: str) -> str:
    """The same, but line breaks stay, and so do the joiners and selectors that emoji are made with."""
    return "".join(
        c if c in "\n\u200d\ufe0f" or not _is_hidden(c) else f"\\u{{{ord(c):x}}}" for c in text.replace("\r\n", "\n")
    )


def _is_hidden(character: str) -> bool:
    return (
        not character.isprintable() or character in _BLANKS or unicodedata.name(character, "").startswith("VARIATION")
    )


def in_code(text: str) -> str:
    """A text that cannot end the code it stands in."""
    return visible(text).replace("`", _TICK)


def lines_in_code(text: str) -> str:
    """Several lines that cannot end the block of code they stand in."""
    return visible_lines(text).replace("`", _TICK)
