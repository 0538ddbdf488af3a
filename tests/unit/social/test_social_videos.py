"""A video's facts come from its boxes; damaged and hostile files are unknown, never an error."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from shared.social.models import Content, Media
from shared.social.validate import check_video
from shared.social.videos import is_video, read_video
from tests.support.social_bed import mp4


def facts(data: bytes):
    return read_video(io.BytesIO(data), len(data))


def codes(network: str, data: bytes, *, story: bool = False) -> list[str]:
    content = Content(network=network, media=(Media(url="https://example.org/v", kind="video"),), story=story)
    return [problem.code for problem in check_video(content, facts(data), place="video 1").problems]


def test_size_length_and_kind_are_read() -> None:
    found = facts(mp4(12.5, width=720, height=1280))
    assert (found.format, found.width, found.height, found.duration_s) == ("mp4", 720, 1280, 12.5)
    assert facts(mp4(brand=b"qt  ")).format == "mov"
    assert is_video(mp4())
    assert not is_video(b"\x89PNG\r\n\x1a\n")


def test_each_networks_limits() -> None:
    assert codes("threads", mp4(299)) == []
    assert codes("threads", mp4(301)) == ["media_format_unsupported"]
    assert codes("instagram", mp4(2)) == ["media_format_unsupported"]
    assert codes("instagram", mp4(899)) == []
    assert codes("instagram", mp4(61), story=True) == ["media_format_unsupported"]
    assert codes("threads", mp4(width=4000)) == ["media_format_unsupported"]
    assert codes("threads", b"no video at all") == ["media_format_unsupported"]
    assert codes("threads", mp4()[:60]) == ["media_format_unsupported"]


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes_are_read_without_an_error(noise: bytes, at: int) -> None:
    whole = mp4()
    for data in (noise, whole[:at] + noise, whole[: len(whole) - at]):
        facts(data)
