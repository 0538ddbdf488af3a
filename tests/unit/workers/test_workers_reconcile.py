from hypothesis import given
from hypothesis import strategies as st

from gateway.workers.reconcile import Checkpoint, fingerprint, join_index, number_of_oldest, tail_of, whole_lines

LINES = [b'{"uuid":"%04d"}' % number for number in range(1, 200)]


def noted(upto: int) -> Checkpoint:
    return Checkpoint(line=upto, first=fingerprint(LINES[0]), tail=tail_of(LINES[:upto]))


def test_a_log_that_begins_at_the_beginning_counts_from_one() -> None:
    assert number_of_oldest(LINES, noted(50)) == 1
    assert number_of_oldest(LINES, Checkpoint()) == 1
    assert number_of_oldest([], noted(50)) == 1


@given(st.integers(1, 190), st.integers(0, 198))
def test_a_log_that_was_turned_over_is_numbered_by_the_lines_the_note_remembers(upto, dropped) -> None:
    log = LINES[dropped:]
    if dropped == 0 or dropped < upto:
        assert number_of_oldest(log, noted(upto)) == dropped + 1
    else:
        # everything noted is gone: numbers go on and none is used twice
        assert number_of_oldest(log, noted(upto)) == upto + 1


@given(
    logged=st.integers(1, 60),
    before=st.integers(0, 60),
    heard=st.integers(0, 60),
    cut=st.integers(0, 16),
    start=st.integers(0, 60),
)
def test_live_output_joins_the_log_at_the_right_line_or_waits(logged, before, heard, cut, start) -> None:
    before, start = min(before, logged), min(start, 59)
    start = max(start, before)
    live = LINES[start : start + heard]
    if live:
        live[0] = live[0][min(cut, len(live[0])) :]
    index = join_index(LINES[:logged], live, not_before=before, settled=False)
    assert index in {None, start}
    if live and cut == 0 and logged > start:
        assert index == start


def test_once_settled_the_last_lines_of_the_log_are_the_live_ones() -> None:
    live = [b'02"}', LINES[2]]
    assert join_index(LINES[:3], live, not_before=0, settled=True) == 1
    assert join_index(LINES[:3], [b"}"], not_before=0, settled=True) == 2
    assert join_index(LINES[:3], [b"other"], not_before=0, settled=True) is None


def test_a_line_that_is_still_being_written_is_not_a_line() -> None:
    assert whole_lines(b"a\nb\nc") == [b"a", b"b"]
    assert whole_lines(b"") == []
