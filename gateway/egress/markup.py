"""HTML taken apart in one pass, in time that only grows with its length.

The standard library's parser goes back over what it has read when markup is broken; a page made to be slow would hold
the whole gateway. This one never looks at a character twice as often as it must: what is not closed ends the page.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

VOID = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"])
"""Elements that have no content and no end tag."""

_RAW = ("script", "style", "textarea", "title", "iframe", "noembed", "noframes", "xmp")
"""Elements whose content is text up to their end tag, whatever it looks like."""

_ENDS = {name: re.compile(f"</{name}(?![a-z0-9])", re.IGNORECASE) for name in _RAW}
_MARK = re.compile(r"<(?=[a-zA-Z!?]|/[a-zA-Z])")
_NAME = re.compile(r"[a-zA-Z][^\s/>\x00]{0,60}")
_ATTRIBUTE = re.compile(
    r"[\s/]*([^\s/>=][^\s/>=]{0,100})[^\s/>=]*(?:\s{0,50}=\s{0,50}([\"']|[^\s>\"'][^\s>]{0,2000})?)?"
)
_MOST_ATTRIBUTES = 60


@dataclass(frozen=True, slots=True)
class Start:
    """A start tag; names are in lower case."""

    name: str
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """An end tag."""

    name: str


@dataclass(frozen=True, slots=True)
class Words:
    """Text, with its character references resolved."""

    text: str


Token = Start | End | Words


def tokens(text: str) -> Iterator[Token]:
    """The tags and texts of a page, in order; comments and declarations are left out. Never raises."""
    position = 0
    while mark := _MARK.search(text, position):
        if (begin := mark.start()) > position:
            yield Words(html.unescape(text[position:begin]))
        position, token = _tag(text, begin)
        if token is not None:
            yield token
        if isinstance(token, Start) and (raw := _ENDS.get(token.name)):
            end = raw.search(text, position)
            stop = len(text) if end is None else end.start()
            yield Words(html.unescape(text[position:stop]) if token.name in {"title", "textarea"} else "")
            position = stop
    if position < len(text):
        yield Words(html.unescape(text[position:]))


def _tag(text: str, begin: int) -> tuple[int, Token | None]:
    """Where reading goes on behind the ``<`` at `begin`, and what stood there."""
    after = begin + 1
    if text.startswith("!--", after):
        return _behind(text, "-->", after + 3), None
    if text.startswith(("!", "?"), after):
        return _behind(text, ">", after), None
    is_end = text.startswith("/", after)
    name = _NAME.match(text, after + is_end)
    if name is None:
        return after, Words("<")
    if is_end:
        return _behind(text, ">", name.end()), End(name[0].lower())
    attributes, position = _attributes(text, name.end())
    return position, Start(name[0].lower(), attributes)


def _attributes(text: str, position: int) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    while match := _ATTRIBUTE.match(text, position):
        position, value = match.end(), match[2] or ""
        if value in {'"', "'"}:
            close = text.find(value, position)
            if close == -1:
                return found, len(text)  # a value that never ends: neither does the tag
            value, position = text[position:close], close + 1
        if len(found) < _MOST_ATTRIBUTES:
            found.setdefault(match[1].lower(), html.unescape(value))
    return found, _behind(text, ">", position)


def _behind(text: str, mark: str, position: int) -> int:
    found = text.find(mark, position)
    return len(text) if found == -1 else found + len(mark)
