"""Slack's markup: Markdown on the way out, readable text on the way in. Pure.

Everything that could mean something to Slack is escaped on the way out; the only ``<…>`` ever written are links to web
and mail addresses. So whatever a model says, it mentions nobody. A converted text never counts more than `wire_length`
says of its Markdown, which is what messages are cut by.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from shared.channels.text import length

SLACK_LIMIT = 4000
"""Longest text on the wire. Source: `chat.update` refuses more, `chat.postMessage` recommends no more."""

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_NARROW = "\u200b"
"""Slack reads markup at the edge of words only; Korean writes particles right behind: ``**이름**은``."""

_URL = r"(?:https?://|mailto:)[^\s<>|()]+(?:\([^\s<>|()]*\)[^\s<>|()]*)*"
_RUN = r"(?=\S)[^\n]{1,500}?(?<=\S)"
_CODE = re.compile(
    r"`{3,}(?:[A-Za-z0-9_+.#-]{0,32}[ \t]*(?P<newline>\n))?(?P<block>.*?)`{3,}"
    r"|(?P<ticks>``?)(?P<code>[^`\n]+)(?P=ticks)",
    re.DOTALL,
)
_INLINE = re.compile(
    rf"!?\[(?P<label>[^\[\]\n]{{0,500}})\]\((?P<url>{_URL})\)|<(?P<auto>{_URL})>|(?P<bare>{_URL})"
    rf"|\*\*\*(?P<both>{_RUN})\*\*\*|\*\*(?P<bold>{_RUN})\*\*|(?<!\w)__(?P<strong>{_RUN})__(?!\w)"
    rf"|~~(?P<strike>{_RUN})~~|(?<![\w*])\*(?P<italic>(?![\s*])[^*\n]{{1,500}}(?<!\s))\*(?![\w*])"
)
_HEADING = re.compile(r"#{1,6}[ \t]++(?=\S)")
_BULLET = re.compile(r"(?P<indent>[ \t]*)[-*+][ \t]+(?=\S)")
_QUOTE = re.compile(r">>>[ \t]|>[ \t]?")

_MENTION = re.compile(r"<([^<>\n]*)>")


def wire_length(text: str) -> int:
    """How long a Markdown text may become for Slack, in UTF-16 units: each ``&``, ``<`` and ``>`` is escaped."""
    return length(text) + 4 * text.count("&") + 3 * (text.count("<") + text.count(">"))


def escape(text: str) -> str:
    """A text that means nothing but itself."""
    return re.sub("[&<>]", lambda match: _ESCAPES[match[0]], text)


def to_mrkdwn(markdown: str) -> str:
    """Write Markdown, as models do for Discord, in Slack's markup."""
    pieces, end = [], 0
    for match in _CODE.finditer(markdown):
        pieces += [_prose(markdown[end : match.start()]), _code(match)]
        end = match.end()
    return "".join([*pieces, _prose(markdown[end:])])


def _code(match: re.Match[str]) -> str:
    if match["code"] is not None:
        return f"`{escape(match['code'])}`"
    return f"```{match['newline'] or ''}{escape(match['block'])}```"


def _prose(text: str) -> str:
    return "\n".join(_line(line) for line in text.split("\n"))


def _line(line: str) -> str:
    mark = ""
    if quote := _QUOTE.match(line):
        mark, line = quote[0], line[quote.end() :]
    if heading := _HEADING.match(line):
        title = line[heading.end() :].rstrip(" \t").rstrip("#").rstrip(" \t")
        title = re.sub(r"\*\*|__", "", title).strip("* \t")
        return f"{mark}*{_inline(title)}*" if title else mark + escape(line)
    if bullet := _BULLET.match(line):
        mark, line = f"{mark}{bullet['indent']}• ", line[bullet.end() :]
    return mark + _inline(line)


def _inline(text: str) -> str:
    pieces, end = [], 0
    for match in _INLINE.finditer(text):
        pieces += [escape(text[end : match.start()]), _span(match)]
        end = match.end()
    return "".join([*pieces, escape(text[end:])])


def _span(match: re.Match[str]) -> str:
    kind = match.lastgroup or ""
    if kind == "url":
        label = escape(match["label"].strip())
        return f"<{escape(match['url'])}|{label}>" if label else f"<{escape(match['url'])}>"
    if kind == "auto":
        return f"<{escape(match['auto'])}>"
    if kind == "bare":
        return escape(match["bare"])
    opening, closing = {"both": ("*_", "_*"), "strike": ("~", "~"), "italic": ("_", "_")}.get(kind, ("*", "*"))
    inner = f"{opening}{_inline(match[kind])}{closing}"
    if kind == "italic":
        return inner  # stands free already
    before = _NARROW if match.start() and match.string[match.start() - 1].isalnum() else ""
    after = _NARROW if match.end() < len(match.string) and match.string[match.end()].isalnum() else ""
    return before + inner + after


def from_mrkdwn(text: str, people: Mapping[str, str], channels: Mapping[str, str] | None = None) -> str:
    """Read a text of Slack's: names in place of ids, links as Markdown, nothing escaped.

    Args:
        text: as the event or the history has it.
        people: names by user id.
        channels: names by channel id.
    """
    plain = _MENTION.sub(lambda match: _named(match[1], people, channels or {}), text)
    return plain.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _named(inner: str, people: Mapping[str, str], channels: Mapping[str, str]) -> str:
    target, _, label = inner.partition("|")
    kind, rest = target[:1], target[1:]
    if kind == "@":
        return f"@{people.get(rest) or label or 'unknown-user'}"
    if kind == "#":
        return f"#{label or channels.get(rest) or 'unknown-channel'}"
    if kind == "!":
        name = label or ("unknown-group" if "^" in rest else rest)
        return name if name.startswith("@") or rest.startswith("date^") else f"@{name}"
    bare = target.removeprefix("mailto:")
    if not label or label in (bare, re.sub(r"^https?://", "", bare)):
        return bare
    return f"[{label}]({target})"
