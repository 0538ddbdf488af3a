"""A page of HTML as plain Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Self
from urllib.parse import urljoin, urlsplit

from gateway.egress.elements import BLOCKS, DROPPED, HEADINGS, LISTS, ROWS, Hidden, is_hidden
from gateway.egress.markup import VOID, End, Start, Words, tokens

_BLANKS = re.compile(r"\s+")
_DEEPEST = 8
_NUMBER_DIGITS = 9
_LABEL_CHARS = 300


class Page:
    """Collects the text while reading; never fails, whatever it is given."""

    def __init__(self, url: str) -> None:
        self.title = ""
        self._url = url
        self._parts: list[str] = []
        self._hidden: Hidden | None = None
        self._lists: list[int | None] = []
        self._link: tuple[str, int] | None = None
        self._quotes = 0
        self._preformatted = 0
        self._newlines = 0
        self._after_marker = False
        self._in_title = False

    @property
    def text(self) -> str:
        """What was read so far."""
        return "".join(self._parts).strip()

    def read(self, markup: str) -> Self:
        """Read a whole page."""
        for token in tokens(markup):
            match token:
                case Start(name=name, attributes=attributes):
                    self._begin(name, attributes)
                case End(name=name):
                    self._end(name)
                case Words(text=text):
                    self._say(text)
        return self

    def _begin(self, tag: str, values: Mapping[str, str]) -> None:
        if self._hidden is not None:
            if tag in VOID or not self._hidden.begin(tag):
                return
            self._hidden = None
        if tag in DROPPED or is_hidden(values):
            self._hidden = None if tag in VOID else Hidden(tag)
        elif tag == "title":
            self._in_title = True
        elif tag in BLOCKS:
            self._begin_block(tag, values)
        else:
            self._begin_inline(tag, values)

    def _end(self, tag: str) -> None:
        if self._hidden is not None:
            if not self._hidden.end(tag):
                return
            is_its_own = tag == self._hidden.name
            self._hidden = None
            if is_its_own:
                return
        if tag == "title":
            self._in_title = False
        elif tag == "a":
            self._end_link()
        elif tag in BLOCKS:
            self._end_block(tag)
        elif tag == "code" and not self._preformatted:
            self._write("`")

    def _say(self, text: str) -> None:
        if self._hidden is not None:
            return
        if self._in_title:
            self.title += text
        elif self._preformatted:
            self._flush()
            self._parts.append(text)
        else:
            self._write(_BLANKS.sub(" ", text))

    def _begin_inline(self, tag: str, values: Mapping[str, str]) -> None:
        if tag == "br":
            self._break(1)
        elif tag == "img" and values.get("alt", "").strip():
            self._write(f"[image: {' '.join(values['alt'].split())}]")
        elif tag == "a":
            self._end_link()
            if address := self._absolute(values.get("href", "")):
                self._flush()
                self._link = (address, len(self._parts))
        elif tag in {"td", "th"}:
            self._write(" | ")
        elif tag == "code" and not self._preformatted:
            self._write("`")

    def _begin_block(self, tag: str, values: Mapping[str, str]) -> None:
        self._break(1 if tag in ROWS or (tag in LISTS and self._lists) else 2)
        if tag in HEADINGS:
            self._mark(f"{HEADINGS[tag]} ")
        elif tag in LISTS:
            start = values.get("start", "1")
            self._lists.append(
                (int(start) if start.isdecimal() and len(start) < _NUMBER_DIGITS else 1) if tag == "ol" else None
            )
        elif tag == "li":
            self._mark(self._bullet())
        elif tag == "blockquote":
            self._quotes += 1
        elif tag == "hr":
            self._write("---")
            self._break(2)
        elif tag == "pre":
            self._write("```\n")
            self._preformatted += 1

    def _end_block(self, tag: str) -> None:
        if tag in LISTS and self._lists:
            self._lists.pop()
        elif tag == "blockquote" and self._quotes:
            self._quotes -= 1
        elif tag == "pre" and self._preformatted:
            self._preformatted -= 1
            self._parts.append("" if self._parts and self._parts[-1].endswith("\n") else "\n")
            self._parts.append("```")
        self._after_marker = False
        self._break(1 if tag in ROWS or (tag in LISTS and self._lists) else 2)

    def _bullet(self) -> str:
        indent = "  " * (min(len(self._lists), _DEEPEST) - 1)
        number = self._lists[-1] if self._lists else None
        if number is None:
            return f"{indent}- "
        self._lists[-1] = number + 1
        return f"{indent}{number}. "

    def _absolute(self, href: str) -> str:
        try:
            address = urljoin(self._url, href.strip()) if href.strip() else ""
            return address if urlsplit(address).scheme in {"http", "https"} else ""
        except ValueError:
            return ""

    def _end_link(self) -> None:
        if self._link is None:
            return
        (address, begun), self._link = self._link, None
        words = "".join(self._parts[begun:])
        if label := " ".join(words.split()):
            self._parts[begun:] = [f"{' ' if words[0] == ' ' else ''}[{label[:_LABEL_CHARS]}]({address})"]

    def _break(self, newlines: int) -> None:
        """Go on in a new line, or after an empty one; right behind a bullet or heading mark, where we are."""
        if self._parts and not self._after_marker:
            self._newlines = max(self._newlines, newlines)

    def _mark(self, text: str) -> None:
        self._after_marker = False
        self._flush()
        self._parts.append(text)
        self._after_marker = True

    def _flush(self) -> None:
        if self._newlines:
            if self._parts[-1].endswith(" "):
                self._parts[-1] = self._parts[-1].rstrip(" ")
            self._parts.append("\n" * self._newlines + "> " * min(self._quotes, _DEEPEST))
        elif not self._parts and self._quotes:
            self._parts.append("> " * min(self._quotes, _DEEPEST))
        self._newlines = 0

    def _write(self, text: str) -> None:
        at_start = self._newlines or not self._parts or self._parts[-1].endswith((" ", "\n"))
        if text := text.lstrip(" ") if at_start else text:
            self._flush()
            self._parts.append(text)
            self._after_marker = False
