import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.workers.frames import FrameDecoder, LineSplitter
from gateway.workers.reconcile import whole_lines
from shared.errors import UpstreamError
from shared.gatewayclient.stream import MAX_LINE_BYTES


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


def test_a_line_that_no_reader_could_take_keeps_its_number_and_no_memory() -> None:
    splitter = LineSplitter()
    tracemalloc.start()
    lines = splitter.feed(b"one\n")
    for _ in range(MAX_LINE_BYTES // 65_536 * 4):
        lines += splitter.feed(b"x" * 65_536)
    lines += splitter.feed(b"\nthree\n")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert lines == [b"one", b"", b"three"]
    assert splitter.dropped == 1
    assert peak < MAX_LINE_BYTES * 1.2
    assert whole_lines(b"a\n" + b"y" * (MAX_LINE_BYTES + 1) + b"\nb\n") == [b"a", b"", b"b"]


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 500", b"\x01\0\0\0\xff\xff\xff\xff", b"\x03\0\0\0\0\0\0\0"])
def test_a_stream_of_another_kind_is_refused(garbage) -> None:
    with pytest.raises(UpstreamError):
        FrameDecoder().feed(garbage)
