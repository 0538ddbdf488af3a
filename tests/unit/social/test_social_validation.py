"""What the networks would refuse is said before they are asked."""

from __future__ import annotations

import pytest

from shared.social.images import read_image
from shared.social.models import Content, Media
from shared.social.validate import InstagramLimits, check_content, check_image, has_secret, threads_length
from tests.support.social_bed import jpeg, png


def codes(content: Content) -> list[str]:
    return [problem.code for problem in check_content(content).problems]


def threads(text: str = "hello", **more) -> Content:
    return Content(network="threads", text=text, **more)


def instagram(text: str = "hello", pictures: int = 1, **more) -> Content:
    return Content(network="instagram", text=text, media=pictures_of(pictures), **more)


def pictures_of(count: int) -> tuple[Media, ...]:
    return tuple(Media(url=f"https://example.org/{number}.jpg") for number in range(count))


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("가" * 500, 500),
        ("🚀" * 125, 500),
        ("🚀" * 126, 504),
        ("❤️", 6),
        ("👨‍👩‍👧", 18),
        ("🇩🇪", 8),
        ("naïve ©", 7),
        ("1️⃣", 7),
    ],
)
def test_threads_counts_emoji_as_bytes_and_all_else_as_one(text: str, length: int) -> None:
    assert threads_length(text) == length
    assert codes(threads(text)) == (["text_too_long"] if length > 500 else [])


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (threads("x" * 501), ["text_too_long"]),
        (threads("   "), ["empty_post"]),
        (threads(" ".join(f"https://example.org/{n}" for n in range(6))), ["too_many_links"]),
        (threads("https://example.org/1 " * 9), []),
        (threads("a", link="https://example.org/x", media=pictures_of(1)), ["invalid_field"]),
        (threads("a", link="javascript:alert(1)"), ["invalid_field"]),
        (threads(topic_tag="a.b"), ["invalid_field"]),
        (threads(topic_tag="x" * 51), ["invalid_field"]),
        (threads(topic_tag="Tee und Brot"), []),
        (threads(media=pictures_of(20)), []),
        (threads(media=pictures_of(21)), ["carousel_size"]),
        (threads(media=(Media(url="/tmp/a.jpg"),)), ["media_unreachable"]),
        (threads(media=(Media(url="https://example.org/ä.jpg"),)), ["media_unreachable"]),
        (threads(media=(Media(url="https://example.org/a.jpg", alt_text="x" * 1001),)), ["invalid_field"]),
        (threads("key sk-ant-REDACTED"), ["secret_in_content"]),
        (instagram("x" * 2201), ["text_too_long"]),
        (instagram("🚀" * 600), []),
        (instagram(" ".join(f"#tag{n}" for n in range(31))), ["too_many_hashtags"]),
        (instagram(" ".join(f"#tag{n}" for n in range(30))), []),
        (instagram(" ".join(f"@someone{n}" for n in range(21))), ["too_many_tags"]),
        (instagram("mail me@example.org"), []),
        (instagram(pictures=0), ["media_required"]),
        (instagram(pictures=11), ["carousel_size"]),
        (instagram(reply_to="123"), ["invalid_field"]),
    ],
)
def test_what_is_refused_before_any_call(content: Content, expected: list[str]) -> None:
    assert codes(content) == expected


def test_four_links_are_a_warning_and_instagrams_limits_can_be_tightened() -> None:
    found = check_content(threads(" ".join(f"https://example.org/{n}" for n in range(4))))
    assert not found.problems
    assert "more than 3" in found.warnings[0]
    tight = check_content(instagram("#a1 #b2 #c3 #d4 #e5 #f6"), InstagramLimits(hashtags=5))
    assert [problem.code for problem in tight.problems] == ["too_many_hashtags"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bot internationalization is hard", False),
        ("see https://example.org/?state=open&key=12", False),
        ("the bearer of this authenticationless letter", False),
        ("https://example.org/?token=abcdef0123456789abcdef", True),
        ("Authorization: Bearer abcdef0123456789abcdef", True),
        ("TH" + "a1" * 30, True),
        ("?a?state=open", False),
        ("?" * 1_000_000, False),
    ],
    ids=range(8),
)
def test_secrets_are_found_and_ordinary_words_are_not(text: str, expected: bool) -> None:
    assert has_secret(text) is expected


@pytest.mark.parametrize(
    ("network", "data", "expected"),
    [
        ("instagram", jpeg(), []),
        ("instagram", jpeg(800, 1000), []),
        ("instagram", jpeg(1910, 1000), []),
        ("instagram", jpeg(800, 1200), ["media_format_unsupported"]),
        ("instagram", jpeg(2000, 1000), ["media_format_unsupported"]),
        ("instagram", png(), ["media_format_unsupported"]),
        ("instagram", jpeg(mpf=True), ["media_format_unsupported"]),
        ("instagram", jpeg(size=(8 << 20) + 1), ["media_too_large"]),
        ("instagram", b"GIF89a" + bytes(20), ["media_format_unsupported"]),
        ("threads", png(), []),
        ("threads", png(5000, 500), []),
        ("threads", png(6000, 500), ["media_format_unsupported"]),
        ("threads", png(0, 500), ["media_format_unsupported"]),
        ("threads", b"<!doctype html>", ["media_format_unsupported"]),
        ("threads", b"\xff\xd8\xff\xe0\x00", ["media_format_unsupported"]),
        ("threads", jpeg(size=8 << 20), []),
    ],
)
def test_pictures_are_judged_by_their_header(network, data: bytes, expected: list[str]) -> None:
    found = check_image(network, read_image(data), place="picture 1")
    assert [problem.code for problem in found.problems] == expected


def test_a_narrow_picture_is_a_warning_because_the_network_scales_it() -> None:
    found = check_image("threads", read_image(jpeg(300, 300)), place="picture 1")
    assert not found.problems
    assert "300 pixels wide" in found.warnings[0]


def test_the_digest_changes_with_everything_that_is_posted() -> None:
    base = threads("a", media=(Media(url="https://example.org/1", sha256="0" * 64),))
    variants = [
        base.model_copy(update={"text": "a "}),
        base.model_copy(update={"reply_to": "1"}),
        base.model_copy(update={"media": (Media(url="https://example.org/1", sha256="1" * 64),)}),
        base.model_copy(update={"media": (Media(url="https://example.org/1", sha256="0" * 64, alt_text="x"),)}),
        base.model_copy(update={"network": "instagram"}),
    ]
    digests = {content.digest("threads:1") for content in (base, *variants)} | {base.digest("threads:2")}
    assert len(digests) == len(variants) + 2
