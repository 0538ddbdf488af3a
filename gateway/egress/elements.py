"""What HTML's elements mean to a reader of text: which begin a block, and which are not shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DROPPED = _words(
    "script style noscript template svg math iframe object embed canvas audio video map select button textarea"
)
"""Not text, or nothing that can be read."""
LISTS = _words("ul ol menu dir")
ROWS = _words("li tr dt dd")
HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
BLOCKS = (
    _words(
        "address article aside blockquote body caption center details dialog div dl fieldset figcaption figure footer "
        "form header hgroup hr html legend main nav p pre search section summary table tbody tfoot thead"
    )
    | LISTS
    | ROWS
    | frozenset(HEADINGS)
)
_ENDS = {
    "p": BLOCKS,
    "li": _words("li"),
    "dt": _words("dt dd"),
    "dd": _words("dt dd"),
    "tr": _words("tr"),
    "td": _words("td th tr"),
    "th": _words("td th tr"),
}
"""Elements that need no end tag, and what begins behind them."""
_NESTING = LISTS | _words("dl table")
_HIDDEN_STYLE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


@dataclass(slots=True)
class Hidden:
    """The outermost element that is not shown, while we are in it.

    Attributes:
        depth: open elements of its own name.
        inner: open blocks within it; below zero, its parent has ended.
        lists: lists and tables within it: their items do not end it.
    """

    name: str
    depth: int = 1
    inner: int = 0
    lists: int = 0

    def begin(self, name: str) -> bool:
        """An element begins; true when that ends the hidden one, because its end tag may be left out."""
        if not self.lists and name in _ENDS.get(self.name, ()):
            return True
        self.depth += name == self.name
        self.inner += name in BLOCKS
        self.lists += name in _NESTING
        return False

    def end(self, name: str) -> bool:
        """An element ends; true when the hidden one has ended with it."""
        self.depth -= name == self.name
        self.inner -= name in BLOCKS
        self.lists = max(0, self.lists - (name in _NESTING))
        return self.depth <= 0 or (self.inner < 0 and self.name in _ENDS)


def is_hidden(values: Mapping[str, str]) -> bool:
    """Not shown by a browser: a common place for words meant for machines only."""
    return (
        "hidden" in values
        or values.get("aria-hidden", "").lower() == "true"
        or bool(_HIDDEN_STYLE.search(values.get("style", "")))
    )
