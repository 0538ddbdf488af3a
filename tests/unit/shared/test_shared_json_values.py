"""What others write as JSON never breaks who reads it."""

from __future__ import annotations

import pytest

from shared.json_values import count, mapping, object_of


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "1", b"\xff\xfe", "[" * 50_000, b'{"a": '])
def test_what_is_no_object_is_none(text: str | bytes) -> None:
    assert object_of(text) is None


def test_an_object_is_read_from_bytes_and_from_text_with_numbers_whole() -> None:
    assert object_of(b'{"id": 90071992547409931}') == {"id": 90071992547409931}
    assert object_of('{"a": "\\ud800"}') == {"a": "\ud800"}


@pytest.mark.parametrize(("value", "read"), [(3, 3), (0, 0), (-1, 0), (True, 0), (2.0, 0), ("3", 0), (None, 0)])
def test_a_count_is_a_whole_number_that_is_not_negative(value: object, read: int) -> None:
    assert count(value) == read
    assert not isinstance(count(value), bool)


def test_a_mapping_is_empty_in_the_place_of_anything_else() -> None:
    assert mapping({"a": 1}) == {"a": 1}
    assert mapping([1]) == mapping(None) == mapping("x") == {}
