"""What a model reads of a command's output and of JSON."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw.agent.json_query import JSON_QUERY, query
from openclaw.agent.output import STDOUT_CHARS, bounded, clean_output, result_text
from openclaw.agent.tools import ToolContext
from shared.containment.models import Outcome
from shared.errors import Invalid

DOCUMENT = {"data": [{"id": 1, "name": "a"}, {"id": 2}, {"id": 3, "name": "c", "odd name": None}], "0": "zero"}


def test_terminal_sequences_and_credentials_do_not_get_through():
    raw = b"\x1b[31mred\x1b[0m \x1b]0;title\x07shown\x1b]8;;http://x\x1b\\link \xff\x00\x08\r\nnext\tcell\xe2\x80\xae"
    assert clean_output(raw) == "redshownlink \ufffd\nnext\tcell".replace("redshown", "red shown")
    assert "ghp_" not in clean_output(b"token ghp_0123456789abcdefghij0123456789abcdef")


@given(st.binary(max_size=400))
def test_no_control_character_is_left(data):
    assert not any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 for c in clean_output(data))


def test_a_flood_keeps_its_beginning_and_its_end():
    text = result_text(Outcome(0, stdout=b"begin" + b"x" * 100_000 + b"end"))
    assert "begin" in text
    assert text.endswith("end")
    assert len(text) < STDOUT_CHARS + 200
    assert bounded("short", 10) == "short"


def test_a_result_says_what_went_wrong():
    text = result_text(Outcome(124, timed_out=True, problem="it took longer than 60 s", left_over=2, stderr=b"oops\n"))
    for wanted in ("exit code 124", "took longer", "2 process(es)", "standard error:\noops"):
        assert wanted in text
    assert "printed nothing" in result_text(Outcome(0))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data[0].id", 1),
        ("$.data[-1]['odd name']", None),
        ("data.1.id", 2),
        ("data[*].name", ["a", "c"]),
        ("data[1:].id", [2, 3]),
        ("data[].id", [1, 2, 3]),
        ("0", "zero"),
        ('["0"]', "zero"),
        ("data[0].*", [1, "a"]),
    ],
)
def test_paths(path, expected):
    assert query(DOCUMENT, path) == expected


def test_the_empty_path_is_everything():
    assert query(DOCUMENT, "") == DOCUMENT
    assert query(DOCUMENT, "$") == DOCUMENT


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("data[9]", "a list of 3"),
        ("data[0].nope", "an object with id, name"),
        ("data[0].id.x", "a number"),
        ("data[", "not understood at '['"),
        ("data..id", "not understood"),
        ("data[0].id[*]", "nothing to go through"),
    ],
)
def test_a_wrong_path_says_what_there_is(path, told):
    with pytest.raises(Invalid, match=told.replace("[", r"\[")):
        query(DOCUMENT, path)


@given(st.text(max_size=60))
def test_any_path_ends_in_a_value_or_in_words(path):
    with suppress(Invalid):
        query(DOCUMENT, path)


@pytest.mark.parametrize("given_", [{"json": "{"}, {"json": 1}, {}, {"json": "[" * 100_000}])
async def test_bad_input_is_told_to_the_model(given_):
    with pytest.raises(Invalid):
        await JSON_QUERY.function(given_, ToolContext("r", "s"))
