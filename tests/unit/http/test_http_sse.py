import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UpstreamError
from shared.http.sse import SseEvent, SseParser, encode_sse

TEXT = st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=30)
NAME = TEXT.filter(lambda text: text and text != "message" and not text.startswith(" "))
EVENTS = st.lists(st.tuples(st.one_of(st.just(""), NAME), st.lists(TEXT, min_size=1, max_size=3)), max_size=6)


def parse(pieces: list[bytes], **limits: int) -> list[SseEvent]:
    parser = SseParser(**limits)
    return [event for piece in pieces for event in parser.feed(piece)]


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    points = [0, *sorted(point % (len(data) + 1) for point in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(points)]


@given(EVENTS, st.lists(st.integers(0, 5000), max_size=20), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_any_cut_and_any_line_end_gives_the_same_events(events, cuts, newline) -> None:
    wire = b"".join(encode_sse("\n".join(lines), event=name) for name, lines in events).replace(b"\n", newline)
    assert parse(cut(wire, cuts)) == [SseEvent(name or "message", "\n".join(lines)) for name, lines in events]


@given(st.lists(st.binary(max_size=60), max_size=10))
def test_any_bytes_either_parse_or_are_refused(pieces) -> None:
    try:
        parse(pieces, max_line_bytes=40, max_event_bytes=60)
    except UpstreamError:
        return


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=10))
def test_garbage_parses_the_same_however_it_is_cut(data, cuts) -> None:
    assert parse(cut(data, cuts)) == parse([data])


def test_comments_ids_and_an_unfinished_event_are_not_events() -> None:
    assert parse([b"\xef\xbb\xbf: ping\n\nid: 4\nretry: 1\n\ndata: a\n\ndata: lost"]) == [SseEvent("message", "a")]


def test_one_endless_line_is_refused_before_it_is_whole() -> None:
    with pytest.raises(UpstreamError):
        parse([b"data: "] + [b"x" * 10] * 10, max_line_bytes=64)


def test_one_endless_event_is_refused() -> None:
    with pytest.raises(UpstreamError):
        parse([b"data: xxxxxxxx\n"] * 10, max_event_bytes=64)
