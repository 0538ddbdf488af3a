from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.workers.frames import FrameDecoder, LineSplitter
from shared.errors import UpstreamError


def chopped(data: bytes, cuts: list[int]) -> list[bytes]:
    points = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(points)]


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=300)), max_size=20), st.lists(st.integers(0)))
def test_any_chopping_gives_the_same_frames(frames, cuts) -> None:
    data = b"".join(bytes([stream, 0, 0, 0]) + len(body).to_bytes(4, "big") + body for stream, body in frames)
    decoder = FrameDecoder()
    assert [frame for part in chopped(data, cuts) for frame in decoder.feed(part)] == frames


@given(st.binary(max_size=500), st.lists(st.integers(0)))
def test_any_chopping_gives_the_same_lines(data, cuts) -> None:
    splitter = LineSplitter()
    lines = [line for part in chopped(data, cuts) for line in splitter.feed(part)]
    assert [*lines, splitter.flush()] == data.split(b"\n")
    assert splitter.flush() == b""


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 500", b"\x01\0\0\0\xff\xff\xff\xff", b"\x03\0\0\0\0\0\0\0"])
def test_a_stream_of_another_kind_is_refused(garbage) -> None:
    with pytest.raises(UpstreamError):
        FrameDecoder().feed(garbage)
