"""What the page says: every text in both languages, and no text anywhere else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from openclaw.ui import STATIC_ROOT

ASSETS = STATIC_ROOT / "assets"
WORDS = ASSETS / "words"
MODULES = sorted(ASSETS.glob("*.js"))
PLACE = re.compile(r"\{(\w+)\}")
KEY = re.compile(
    r"""['"`](app|approvals|channels|chat|config|connect|cron|devices|logs|models|overview|posts|sessions)\.([\w-]+)['"]"""
)
ASKED = re.compile(r"""\b(?:t|rich|known)\(['"`]([\w.-]+)['"]""")
OPEN_KEY = re.compile(r"`(\w+)\.(\w*)\$\{")
CODE = re.compile(r"/\*.*?\*/|^\s*//[^\n]*", re.DOTALL | re.MULTILINE)
SAME_EVERYWHERE = {"OpenClaw", "Asia/Seoul", "Enter", "Shift+Enter", "Esc", "Shift", "openclaw gateway"}


def table(area: str) -> dict[str, list[str]]:
    text = (WORDS / f"{area}.js").read_text()
    body = text[text.index("{") : text.rindex("}") + 1]
    pairs = json.loads(body, object_pairs_hook=list)
    assert len({name for name, _ in pairs}) == len(pairs), f"a text of {area} is there twice"
    return dict(pairs)


AREAS = sorted(path.stem for path in WORDS.glob("*.js"))


@pytest.mark.parametrize("area", AREAS)
def test_every_text_is_there_in_both_languages_with_the_same_places(area: str):
    for name, texts in table(area).items():
        assert len(texts) == 2, name
        english, korean = texts
        assert english.strip(), name
        assert korean.strip(), name
        assert set(PLACE.findall(english)) == set(PLACE.findall(korean)), name
        assert not re.search(r"[\uac00-\ud7a3]", english) or (area, name) == ("app", "language"), name


def code_of(path: Path) -> str:
    return CODE.sub("", path.read_text())


def test_every_text_that_is_asked_for_exists_and_every_text_is_asked_for():
    known = {f"{area}.{name}" for area in AREAS for name in table(area)}
    code = "\n".join(code_of(path) for path in MODULES)
    assert set(ASKED.findall(code)) - known == set()
    named = {f"{area}.{name}" for area, name in KEY.findall(code)}
    open_ends = {f"{area}.{start}" for area, start in OPEN_KEY.findall(code)}
    unused = {key for key in known - named if not any(key.startswith(start) for start in open_ends)}
    assert unused == set()


def templates(code: str) -> list[str]:
    """The literal text of every `html` template, with a mark where a value stands."""
    found = []
    for start in re.finditer(r"\bhtml`", code):
        text, index, depth = "", start.end(), 0
        while index < len(code):
            char = code[index]
            if depth == 0 and char == "`":
                break
            if depth == 0 and code.startswith("${", index):
                depth, text, index = 1, text + "\0", index + 2
                continue
            if depth and char == "`":
                index = _end_of_template(code, index + 1)
            elif depth:
                depth += {"{": 1, "}": -1}.get(char, 0)
            else:
                text += char
            index += 1
        found.append(text)
    return found


def _end_of_template(code: str, index: int) -> int:
    """Where a template that began before `index` ends."""
    while code[index] != "`":
        if code.startswith("${", index):
            depth, index = 1, index + 2
            while depth:
                if code[index] == "`":
                    index = _end_of_template(code, index + 1)
                depth += {"{": 1, "}": -1}.get(code[index], 0)
                index += 1
            continue
        index += 1
    return index


SPOKEN_ATTRIBUTE = re.compile(r"""\s(?:title|aria-label|placeholder|label|alt|over)="([^"]*)\"""")
LETTERS = re.compile(r"[A-Za-z\uac00-\ud7a3]{2,}")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_view_has_a_text_of_its_own(path: Path):
    for template in templates(code_of(path)):
        shown = re.sub(r"<!--.*?-->", " ", template, flags=re.DOTALL)
        shown = re.sub(r"<code>.*?</code>|<(?:style|svg)\b.*?</(?:style|svg)>", " ", shown, flags=re.DOTALL)
        spoken = SPOKEN_ATTRIBUTE.findall(shown)
        spoken += re.sub(r"<[^<>]*>", "\n", re.sub(r"=>", "", shown)).replace("\0", "\n").split("\n")
        for text in spoken:
            words = text.replace("\0", " ").strip()
            assert words in SAME_EVERYWHERE or not LETTERS.search(words), f"{path.name}: {words!r}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_store_says_a_sentence_of_its_own(path: Path):
    sentence = re.compile(r"""(['"])([A-Z][a-z]+ (?:[a-z’]+ )+[a-z’]+[.?!…]?)\1""")
    assert [match[2] for match in sentence.finditer(code_of(path))] == []
