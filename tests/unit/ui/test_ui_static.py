"""The static page as files: what is vendored and imported, what its policy allows, whether colours can be read."""

from __future__ import annotations

import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from openclaw.ui import STATIC_ROOT

ASSETS = STATIC_ROOT / "assets"
VENDOR = ASSETS / "vendor"
OWN = sorted(ASSETS.glob("*.js"))
IMPORT = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*)['"]([^'"]+)['"]""")


def vendored() -> dict[str, str]:
    rows = re.findall(r"^\| (\S+\.js) \|.*\| ([0-9a-f]{64}) \|$", (VENDOR / "VERSIONS.md").read_text(), re.MULTILINE)
    return dict(rows)


def test_vendored_files_are_the_recorded_ones_and_no_others():
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.glob("*.js")}
    assert found == vendored()


@pytest.mark.parametrize("name", sorted(vendored()))
def test_a_vendored_file_says_its_version_and_licence(name: str):
    head = (VENDOR / name).read_text()[:300]
    assert re.search(r"\d+\.\d+\.\d+, bundled as one ES module", head)
    assert "SPDX-License-Identifier: " in head


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_a_module_imports_only_files_that_are_there(path: Path):
    code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    for target in IMPORT.findall(code):
        assert target.startswith("./")
        assert (path.parent / target).is_file(), target


def test_every_module_is_reached_from_the_page():
    reached: set[Path] = set()
    open_ends = [ASSETS / "boot.js"]
    while open_ends:
        path = open_ends.pop()
        if path not in reached:
            reached.add(path)
            code = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
            open_ends += (
                [(path.parent / target).resolve() for target in IMPORT.findall(code)] if path.parent == ASSETS else []
            )
    assert set(OWN) <= reached


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self._open = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in {"script", "style"} and data.strip():
            self.inline.append(data)


def test_the_page_needs_nothing_that_its_policy_forbids():
    page = _Page()
    page.feed((STATIC_ROOT / "index.html").read_text())
    assert page.inline == []
    for tag, attributes in page.tags:
        assert not any(name == "style" or name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            target = attributes.get(name)
            if target is not None:
                assert target.startswith("./assets/"), (tag, target)
                assert (STATIC_ROOT / target).is_file()


def test_no_module_writes_inline_styles_or_builds_code():
    for path in OWN:
        code = path.read_text()
        assert not re.search(r"""\sstyle=["$]""", code), path.name
        assert not re.search(r"\beval\(|new Function|innerHTML|document\.write|unsafeHTML", code), path.name


def _colours() -> dict[str, tuple[str, str]]:
    pairs = re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", (ASSETS / "base.css").read_text())
    return {name: (light, dark) for name, light, dark in pairs}


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


TEXT_ON = [
    *[(ink, ground) for ink in ("ink", "ink-soft", "accent") for ground in ("ground", "surface", "raised", "sunken")],
    ("ink", "accent-wash"),
    ("accent", "accent-wash"),
    ("accent-ink", "accent"),
    *[(kind, f"{kind}-wash") for kind in ("good", "warn", "bad")],
    *[("bad", ground) for ground in ("surface", "raised")],
    ("surface", "bad"),
    ("surface", "warn"),
]


@pytest.mark.parametrize(("ink", "ground"), TEXT_ON)
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_can_be_read(ink: str, ground: str, scheme: int):
    colours = _colours()
    assert _contrast(colours[ink][scheme], colours[ground][scheme]) >= 4.5


@pytest.mark.parametrize("ground", ["ground", "raised"])
@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_the_edge_of_a_field_can_be_seen(ground: str, scheme: int):
    colours = _colours()
    assert _contrast(colours["line-strong"][scheme], colours[ground][scheme]) >= 3.0


def test_what_pages_begin_with_is_written_once():
    for part in (r'<h1 tabindex="-1">', r'<input\s+type="search"', r"\{t\('app\.refresh'\)\}</button>"):
        assert [path.name for path in OWN if re.search(part, path.read_text())] == ["page-parts.js"], part
