import re

from hypothesis import given
from hypothesis import strategies as st

from shared.channels.text import length, split_message, split_parts

LIMITS = st.integers(64, 300)
PIECES = st.sampled_from(
    [
        "word",
        " ",
        "\n",
        "\n\n",
        "```",
        "```py\n",
        "\n```\n",
        "`",
        "``",
        "````",
        "Sentence. ",
        "👍🏽",
        "👨‍👩‍👧",
        "🇰🇷",
        "e\u0301",
        "한글 ",
        "\t",
        "    ",
        "- item\n",
        "x" * 40,
    ]
)
TEXTS = st.lists(PIECES, max_size=200).map("".join)
ANY = st.text(max_size=1500)


def fences(text):
    return len(re.findall(r"`{3,}", text))


@given(TEXTS | ANY, LIMITS)
def test_no_part_is_longer_than_the_limit_or_blank(text, limit):
    for part in split_message(text, limit):
        assert length(part) <= limit
        assert part.strip()


@given(TEXTS | ANY, LIMITS)
def test_only_white_space_lies_between_the_parts(text, limit):
    place = 0
    for part in split_parts(text, limit):
        assert text[place : part.start].strip() == ""
        assert part.start < part.end
        place = part.end
    assert text[place:].strip() == ""


@given(TEXTS, LIMITS)
def test_code_fences_are_balanced_in_every_part(text, limit):
    if max(map(len, re.findall(r"`+", text)), default=0) <= 12:
        for part in split_message(text, limit):
            assert fences(part) % 2 == 0


@given(TEXTS, TEXTS, LIMITS)
def test_parts_stay_as_they_are_while_the_text_grows(text, more, limit):
    before = split_message(text, limit)[:-2]
    assert split_message(text + more, limit)[: len(before)] == before
