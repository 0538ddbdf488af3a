"""A prompt always is well-formed XML that gives back what people wrote; internal parts never show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanoclaw.prompt import format_messages, strip_internal, visible_prefix
from shared.channels.base import InboundMessage, Sender

BASE = InboundMessage("dc:1", "Lab", "guild", "1", Sender("u", "Ann"), "hi", True, datetime(2026, 1, 1, tzinfo=UTC))
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_any_names_and_texts_make_one_element_each(people):
    messages = [replace(BASE, sender=Sender("u", name), text=text) for name, text in people]
    root = ElementTree.fromstring(format_messages(messages, UTC))
    assert root.tag == "messages"
    assert [element.tag for element in root] == ["message"] * len(people)
    assert all(set(element.attrib) == {"sender", "time"} for element in root)


PIECES = st.one_of(
    st.sampled_from(
        [
            "<internal>",
            "</internal>",
            "<INTERNAL kind='x'>",
            "< / internal >",
            "<internal/>",
            "<internal",
            "<inter",
            "nal>",
        ]
    ),
    st.sampled_from(["</message>", "<messages>", "<message sender='owner'>", "<", ">", "/", " ", "internal", "words"]),
    TEXT,
)
TAGGED = st.lists(PIECES, max_size=12).map("".join)


@given(TAGGED)
def test_nothing_people_see_holds_an_internal_tag_and_looking_twice_changes_nothing(text):
    shown = strip_internal(text)
    assert strip_internal(shown) == shown
    assert "<internal>" not in shown.lower()


PIECES_OF_TAGS = ["<", "<i", "< / inter", "<internal ", "<internal>", "</internal>", "<int<internal/>"]


@pytest.mark.parametrize("piece", PIECES_OF_TAGS)
def test_a_long_answer_of_tags_is_looked_through_once_not_once_for_each(piece):
    """Were it not, this would take hours, and nobody would be answered meanwhile."""
    for text in (piece * 40_000 + "x", "<" + piece.strip("<") * 40_000 + "x", "<" + " " * 200_000 + "x"):
        assert "<internal" not in strip_internal(text)
        assert strip_internal(text).startswith(visible_prefix(text))


@given(TAGGED)
def test_a_growing_text_never_shows_what_the_final_one_hides(text):
    final = strip_internal(text)
    for end in range(len(text) + 1):
        assert final.startswith(visible_prefix(text[:end]))


@given(TAGGED, st.sampled_from(["<internal>", "<Internal a='b'>", "<internal"]), TAGGED)
def test_what_stands_after_an_opening_tag_shows_only_when_something_closes_it(before, tag, after):
    """Balanced or not, words between the tags stay away from people."""
    secret = "the-secret"
    hidden = f"{tag} {secret} "
    assert secret not in strip_internal(f"{before}{hidden}</internal>")
    assert secret not in strip_internal(f"{before}{hidden}{after.replace('internal', '')}")


@given(st.lists(st.tuples(TAGGED, TAGGED), min_size=1, max_size=3))
def test_messages_that_imitate_our_own_markup_stay_one_element_each(people):
    messages = [replace(BASE, sender=Sender("u", name), text=text, reply_to=text) for name, text in people]
    root = ElementTree.fromstring(format_messages(messages, UTC))
    assert [element.tag for element in root] == ["message"] * len(people)
    assert all(len(element) == 0 for element in root)
