import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanoclaw.attachments import decide_file, kind_of, safe_name
from nanoclaw.config import AttachmentsPolicy
from shared.channels.base import Attachment


def a_file(name="a.txt", content_type="text/plain", size=10):
    return Attachment("1", name, content_type, size, "http://127.0.0.1/")


@pytest.mark.parametrize(
    ("name", "content_type", "kind"),
    [
        ("a.txt", "text/plain; charset=utf-8", "text"),
        ("a.json", "application/json", "text"),
        ("a.svg", "image/svg+xml", "text"),
        ("main.rs", "application/octet-stream", "text"),
        ("main.ts", "video/mp2t", "text"),
        ("a.png", "image/png", "image"),
        ("a.heic", "image/heic", "image"),
        ("photo.JPG", "", "image"),
        ("clip.mp4", "video/mp4", "other"),
        ("a.pdf", "application/pdf", "other"),
        ("a.txt", "application/zip", "other"),
        ("noending", "application/octet-stream", "other"),
    ],
)
def test_a_file_is_what_its_type_and_name_say(name, content_type, kind):
    assert kind_of(a_file(name, content_type)) == kind


def decide(file, fetched=0, fetched_bytes=0, **policy):
    return decide_file(file, AttachmentsPolicy(**policy), fetched=fetched, fetched_bytes=fetched_bytes)


def test_pictures_and_text_are_fetched_and_others_only_named():
    assert decide(a_file()).is_fetched
    assert decide(a_file("a.png", "image/png")).is_fetched
    other = decide(a_file("a.pdf", "application/pdf"))
    assert (other.is_fetched, other.reason) == (False, "")
    assert decide(a_file("a.pdf", "application/pdf"), other_files=True).is_fetched


@pytest.mark.parametrize(
    ("file", "more", "words"),
    [
        (a_file(size=2 * 1024 * 1024 + 1), {"max_file_mb": 2}, "larger than 2 MB"),
        (a_file(), {"fetched": 25}, "only 25 files"),
        (a_file(size=11), {"fetched_bytes": 1024 * 1024 - 10, "max_message_mb": 1}, "only 1 MB"),
    ],
)
def test_what_passes_a_limit_is_not_fetched_and_says_why(file, more, words):
    decision = decide(file, **more)
    assert not decision.is_fetched
    assert words in decision.reason


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report.pdf", "report.pdf"),
        ("보고서 (최종).csv", "보고서 (최종).csv"),
        ("../../../etc/passwd", "passwd"),
        ("..\\..\\a.txt", "a.txt"),
        ("/abs/a.txt", "a.txt"),
        ("..", "file"),
        ("", "file"),
        (".bashrc", "bashrc"),
        ("-rf.txt", "rf.txt"),
        ("a\0b\nc;$(x).sh", "a_b_c__(x).sh"),
        ("x" * 300 + ".txt", "x" * 92 + ".txt"),
        ("a." + "y" * 300, "a"),
    ],
)
def test_a_safe_name_is_one_harmless_step(name, safe):
    assert safe_name(name) == safe


def test_equal_names_are_told_apart():
    names = []
    for _ in range(3):
        names.append(safe_name("a.txt", names))
    assert names == ["a.txt", "a-2.txt", "a-3.txt"]


@given(st.lists(st.text(max_size=300), max_size=6))
def test_no_name_escapes_hides_or_collides(names):
    taken = []
    for name in names:
        safe = safe_name(name, taken)
        assert safe not in taken
        assert "/" not in safe
        assert safe.strip(" ") == safe
        assert not safe.startswith((".", "-"))
        assert 0 < len(safe.encode()) <= 110
        assert safe.isprintable()
        taken.append(safe)
