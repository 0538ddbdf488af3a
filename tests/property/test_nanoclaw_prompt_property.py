"""A prompt always is well-formed XML that gives back what people wrote; internal parts never show."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

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


@given(TEXT, TEXT.filter(lambda text: "<" not in text and text.strip()), TEXT.filter(lambda text: "<" not in text))
def test_no_prefix_shows_more_than_the_final_text_has(before, hidden, after):
    text = f"{before.replace('<', '')}<internal>{hidden}</internal>{after}"
    final = strip_internal(text)
    for end in range(len(text) + 1):
        assert final.startswith(visible_prefix(text[:end]).rstrip()) or visible_prefix(text[:end]).strip() in final
