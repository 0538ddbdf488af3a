"""Cutting long text into messages without breaking code blocks, words or characters.

Lengths are UTF-16 code units unless the platform counts otherwise (`Measure`). Discord's documentation says
"characters" and its server appears to count code points, its clients UTF-16; the larger of the two counts is always
accepted.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

DISCORD_LIMIT = 2000

CODE = re.compile(r"```.*?```|``.*?``|`[^`\n]*`", re.DOTALL)
"""Code as Discord shows it: what stands inside is nobody's mention, and nobody is called by it."""

Measure = Callable[[str], int]
"""How long a platform counts a text: a sum over its characters, each of which counts 1 to 5."""

_HEAVIEST = 5
_FENCE = re.compile(r"`{3,}")
_LANGUAGE = re.compile(r"([A-Za-z0-9_+.#-]{0,32})[ \t]*\n")
_SENTENCE_END = re.compile(r"[.!?…][\"')\]]*+\s|[。！？]")
_CLOSING = "\n```"
_PARAGRAPH = re.compile(r"\n[ \t]*\n")
_LEAST_LIMIT = 64
_ZWJ = "\u200d"
_VIRAMA = 9
_LEAST_FILL = 0.5
"""A cut at a better place is taken only when the message is at least this full."""


@dataclass(frozen=True, slots=True)
class Part:
    """One message: ``prefix + text[start:end] + suffix``; only white space lies between two parts."""

    start: int
    end: int
    prefix: str
    suffix: str


def length(text: str) -> int:
    """How long a platform counts a text, in UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)


def outside_code(text: str, rewrite: Callable[[str], str]) -> str:
    """Rewrite a text piece by piece, leaving its code as it stands."""
    pieces, place = list[str](), 0
    for code in CODE.finditer(text):
        pieces += [rewrite(text[place : code.start()]), code[0]]
        place = code.end()
    return "".join([*pieces, rewrite(text[place:])])


def split_message(text: str, limit: int = DISCORD_LIMIT, measure: Measure = length, lines: int = 0) -> list[str]:
    """Cut a text into messages of at most `limit` units as `measure` counts them.

    Cuts at the end of a paragraph if there is one in the second half of the message, else of a line, a sentence, a
    word, else between two characters as a reader sees them. A code block that is cut is closed and opened again with
    its language; one that the text leaves open is closed. Blank text gives no message. Except for the last two
    parts the result does not change when text is added, so a growing text can be shown as it comes. With `lines` no
    part has more lines of the text than that.
    """
    text = without_lone_surrogates(text)
    return [
        part.prefix + text[part.start : part.end] + part.suffix for part in split_parts(text, limit, measure, lines)
    ]


def split_parts(text: str, limit: int = DISCORD_LIMIT, measure: Measure = length, lines: int = 0) -> list[Part]:
    """Say where `split_message` cuts; `limit` is at least 64 units."""
    if limit < _LEAST_LIMIT:
        raise ValueError(f"a message must have room for at least {_LEAST_LIMIT} units")
    return list(_parts(text, limit, measure, lines))


def without_lone_surrogates(text: str) -> str:
    """Join surrogate pairs and replace single ones, which no platform accepts."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def without_last(text: str, mention: re.Pattern[str]) -> str:
    """A text without the mentions and blanks it ends with; a mention begins with ``<``, its only one."""
    text = text.rstrip()
    while (start := text.rfind("<")) >= 0 and mention.fullmatch(text, start):
        text = text[:start].rstrip()
    return text


@dataclass(frozen=True, slots=True)
class _Block:
    """A code block that is open somewhere.

    Attributes:
        language: of its opening line, empty when it names none.
        start: where its opening fence stands.
        body: where its first line of code starts.
    """

    language: str
    start: int
    body: int


def _parts(text: str, limit: int, measure: Measure, lines: int) -> Iterator[Part]:
    start = _skip_blank(text, 0)
    block: _Block | None = None  # the code block that goes on at `start`
    while start < len(text):
        prefix = f"```{block.language}\n" if block else ""
        room = limit - measure(prefix)
        last = _line_end(text, start, lines)
        if last == len(text) and _reach(text, start, room, measure) == len(text):
            suffix = _closing(text, len(text)) if _block_at(text, start, len(text), block) else ""
            if measure(text[start:]) + measure(suffix) <= room:
                yield Part(start, len(text), prefix, suffix)
                return
        end = _choose_cut(text, start, min(last, _reach(text, start, room - len(_CLOSING), measure)), block)
        block = _block_at(text, start, end, block)
        if block and (fence := _FENCE.match(text, _skip_newlines(text, end))) and fence.end() - end <= len(_CLOSING):
            end, block = fence.end(), None  # the block ends right here: let it
        suffix = _closing(text, end) if block else ""
        body = text[start:end]
        if body.strip():
            yield Part(start, end if block else start + len(body.rstrip()), prefix, suffix)
        start = end + text.startswith("\n", end) if block else _skip_blank(text, end)


def _line_end(text: str, start: int, lines: int) -> int:
    """Where the last line ends that a part from `start` may have; the text's end when nothing limits it."""
    place = start
    for _ in range(lines):
        place = text.find("\n", place) + 1
        if place == 0:
            return len(text)
    return len(text) if lines == 0 or not text[place:].strip() else max(place - 1, start + 1)


def _closing(text: str, end: int) -> str:
    return _CLOSING.lstrip("\n") if text.endswith("\n", 0, end) else _CLOSING


def _block_at(text: str, start: int, end: int, block: _Block | None) -> _Block | None:
    """Which code block is open at `end`, given the one at `start`. Any run of three backticks opens or closes."""
    for fence in _FENCE.finditer(text, start, end):
        if block is None:
            opening = _LANGUAGE.match(text, fence.end())
            block = _Block(opening[1] if opening else "", fence.start(), opening.end() if opening else fence.end())
        else:
            block = None
    return block


def _choose_cut(text: str, start: int, furthest: int, block: _Block | None) -> int:
    """The best place to end a message that starts at `start`, at most at `furthest`."""
    hard = _between_characters(text, start, furthest)
    least = start + int((hard - start) * _LEAST_FILL)
    cut = next((place for place in _places(text, start, least, hard, block) if place > start), hard)
    opened = _block_at(text, start, cut, block)
    if opened and opened.start > start and opened is not block and not text[opened.body : cut].strip():
        return opened.start  # nothing of the block would be on this side
    return cut


def _places(text: str, start: int, least: int, hard: int, block: _Block | None) -> Iterator[int]:
    """Places for a cut, the best first."""
    paragraphs = [match.start() for match in _PARAGRAPH.finditer(text, least, hard + 1)]
    blocks = [fence.start() for fence in _FENCE.finditer(text, least, hard) if text.startswith("\n", fence.start() - 1)]
    yield from (
        place for place in sorted(paragraphs + blocks, reverse=True) if not _block_at(text, start, place, block)
    )
    yield from _last(text.rfind("\n", least, hard + 1))
    sentences = [match.end() for match in _SENTENCE_END.finditer(text, least, hard)]
    yield from (place for place in reversed(sentences) if not _block_at(text, start, place, block))
    yield from _last(max(text.rfind(" ", least, hard + 1), text.rfind("\t", least, hard + 1)))


def _last(place: int) -> Iterator[int]:
    if place >= 0:
        yield place


def _reach(text: str, start: int, units: int, measure: Measure) -> int:
    """The furthest end of a piece from `start` of at most `units`."""
    end = min(len(text), start + units)
    while (excess := measure(text[start:end]) - units) > 0:
        end -= max(1, excess // _HEAVIEST)
    return end


def _between_characters(text: str, start: int, end: int) -> int:
    """The last place up to `end` that splits neither a character nor a fence; `end` when there is none."""
    for place in range(end, start, -1):
        if is_boundary(text, place) and not _inside_fence(text, place):
            return place
    return end


def _inside_fence(text: str, place: int) -> bool:
    """Whether a cut would break a run of three or more backticks, or the opening line of a block."""
    return text[place - 1 : place + 1] == "``" and "```" in text[max(0, place - 2) : place + 2]


def _skip_blank(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _skip_newlines(text: str, place: int) -> int:
    while text.startswith("\n", place):
        place += 1
    return place


def is_boundary(text: str, place: int) -> bool:
    """Whether two characters, as a reader sees them, meet at `place`.

    Covers what Unicode's extended grapheme clusters forbid to break: combining marks, joined emoji, variation
    selectors, skin tones, flags, tags, Hangul syllables, line ends.
    """
    if place <= 0 or place >= len(text):
        return True
    before, after = text[place - 1], text[place]
    if before < "\u0300" and after < "\u0300":
        return not (before == "\r" and after == "\n")
    if _extends(after) or before == _ZWJ or unicodedata.combining(before) == _VIRAMA:
        return False
    if _is_flag_half(before) and _is_flag_half(after):
        return _flag_halves_before(text, place) % 2 == 0
    return not _hangul_joins(ord(before), ord(after))


def _extends(character: str) -> bool:
    return (
        character in (_ZWJ, "\u200c")
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or "\U000e0020" <= character <= "\U000e007f"
        or unicodedata.category(character) in ("Mn", "Me", "Mc")
    )


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_halves_before(text: str, place: int) -> int:
    first = place
    while first > 0 and _is_flag_half(text[first - 1]):
        first -= 1
    return place - first


def _hangul_joins(before: int, after: int) -> bool:
    kind, following = _hangul_kind(before), _hangul_kind(after)
    return following in {
        "L": ("L", "V", "LV", "LVT"),
        "LV": ("V", "T"),
        "V": ("V", "T"),
        "LVT": ("T",),
        "T": ("T",),
    }.get(kind, ())


def _hangul_kind(code: int) -> str:
    if 0x1100 <= code <= 0x115F or 0xA960 <= code <= 0xA97C:
        return "L"
    if 0x1160 <= code <= 0x11A7 or 0xD7B0 <= code <= 0xD7C6:
        return "V"
    if 0x11A8 <= code <= 0x11FF or 0xD7CB <= code <= 0xD7FB:
        return "T"
    if 0xAC00 <= code <= 0xD7A3:
        return "LV" if (code - 0xAC00) % 28 == 0 else "LVT"
    return ""
