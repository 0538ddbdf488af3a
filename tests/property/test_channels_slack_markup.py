"""Whatever a model writes: Slack is told of nobody, and no message grows over what it was measured to be."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from shared.channels.slack.mrkdwn import SLACK_LIMIT, from_mrkdwn, to_mrkdwn, wire_length
from shared.channels.text import length, split_message

_PIECES = (
    "*", "**", "***", "_", "__", "~~", "`", "``", "```", "```py\n", "\n", " ", "> ", ">>> ", "# ", "- ", "[", "](", ")",
    "<", ">", "|", "&", "&lt;", "<!channel>", "<@U1>", "<#C1|x>", "https://example.org/a", "mailto:a@b.c", "x", "이름",
    "👍", "a < b",
)  # fmt: skip
_TEXTS = st.lists(st.sampled_from(_PIECES) | st.text(max_size=8), max_size=40).map("".join)
_LINK = re.compile(r"<(?:https?://|mailto:)[^<>|\s]+(?:\|[^<>\n]*)?>")


@given(_TEXTS)
@example("***a***b")
@example("[[x](https://a.b)](https://c.d)")
def test_the_only_brackets_on_the_wire_are_those_of_links(text):
    assert "<" not in _LINK.sub("", to_mrkdwn(text))


@given(_TEXTS)
def test_a_converted_text_is_never_longer_than_measured(text):
    assert length(to_mrkdwn(text)) <= wire_length(text)
    assert length(text) <= wire_length(text)


@given(st.lists(_TEXTS, max_size=20).map("\n".join))
def test_every_part_of_a_long_text_fits_on_the_wire(text):
    for part in split_message(text * 20, SLACK_LIMIT, wire_length):
        assert length(to_mrkdwn(part)) <= SLACK_LIMIT


@given(st.text(alphabet="<>&ax ", max_size=4000).map(lambda text: text * 3))
def test_texts_full_of_what_is_escaped_are_cut_in_time(text):
    parts = split_message(text, 200, wire_length)
    assert all(wire_length(part) <= 200 for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@given(st.text(max_size=200))
def test_reading_undoes_escaping(text):
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert from_mrkdwn(escaped, {}) == text
