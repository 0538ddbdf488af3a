"""JSON5 with positions."""

from __future__ import annotations

import json

import json5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config.json5 import MAX_DEPTH, Json5Error, parse_json5

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(VALUES)
def test_all_json_reads_as_json(value):
    assert parse_json5(json.dumps(value, indent=2)).value == value
    assert parse_json5(json.dumps(value, ensure_ascii=False)).value == value


@settings(deadline=None)
@given(st.text(alphabet="{}[]:,'\"\\/*+-.0123456789abcexnulltrueINaf \n", max_size=40))
def test_any_text_is_read_or_refused_with_a_place(text):
    place = None
    try:
        parse_json5(text)
    except Json5Error as error:
        place = error.line, error.column
    assert place is None or (1 <= place[0] <= text.count("\n") + 1 and place[1] >= 1)


@pytest.mark.parametrize(
    "text",
    [
        "{a: 1, 'b': \"x\", $c_1: [1, 2,], }",
        "// first\n{/* second */ port: 0x10, // third\n}",
        r"'it\'s \x41 \u00e9 \
goes on'",
        "[+1, -2.5, .5, 1., 1e3, -0x1F, 0]",
        "{ключ: true, 이름: null}",
    ],
)
def test_json5_reads_as_another_reader_reads_it(text):
    assert parse_json5(text).value == json5.loads(text)


def test_every_value_knows_its_line():
    parsed = parse_json5("// one\n{\n  gateway: {\n    port: 1,\n  },\n  list: [\n    'a',\n    {b: 2},\n  ],\n}")
    assert parsed.lines[()] == 2
    assert parsed.lines["gateway", "port"] == 4
    assert parsed.lines["list", 0] == 7
    assert parsed.lines["list", 1, "b"] == 8


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("{\n a: 1,\n a: 2}", 3, "set twice"),
        ("{\n a: yes}", 2, "put it in quotes"),
        ("{a: 'x\n'}", 1, "does not end"),
        ("{\n\n a: [1, 2", 3, "never closed"),
        ("{a: 1 b: 2}", 1, "expected ','"),
        ("{a: NaN}", 1, "not a number"),
        ("{a: 1e999}", 1, "too large"),
        ("{a: 100000000000000001n}", 1, "put it in quotes"),
        ("{a: '\\u12'}", 1, "hexadecimal"),
        ("/* {", 1, "does not end"),
        ("", 1, "expected a value"),
        ("{} {}", 1, "after the end"),
        ("[" * (MAX_DEPTH + 5), 1, "levels deep"),
        ("9" * 500, 1, "too long"),
    ],
)
def test_what_is_no_json5_is_refused_where_it_stands(text, line, reason):
    with pytest.raises(Json5Error, match=reason) as caught:
        parse_json5(text)
    assert caught.value.line == line
