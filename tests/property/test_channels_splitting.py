import re

from hypothesis import given, settings
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


GRAPHEMES = [
    "a",
    "👍🏽",
    "👨‍👩‍👧‍👦",
    "🏳️‍🌈",
    "🇰🇷",
    "❤️",
    "1️⃣",
    "e\u0301\u0323",
    "한",
    "\u1112\u1161\u11ab",
    "क्षि",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "\r\n",
    "🧑🏿‍🚀",
]


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


@given(st.lists(st.sampled_from(GRAPHEMES), max_size=120), LIMITS)
def test_no_cut_goes_through_a_character_as_a_reader_sees_it(characters, limit):
    text = "".join(characters)
    boundaries = {0}
    for character in characters:
        boundaries.add(max(boundaries) + len(character))
    for part in split_parts(text, limit):
        assert {part.start, part.end} <= boundaries


@given(
    st.lists(
        st.sampled_from(["```py\n", "```", "👨‍👩‍👧", "🇰🇷", "❤️", "x = 1\n", "\n", "👍🏽"]), min_size=200, max_size=1200
    )
)
@settings(max_examples=30)
def test_four_thousand_characters_of_fences_and_emoji_become_sound_messages(pieces):
    text = "".join(pieces)[:4000]
    parts = split_message(text)
    for part in parts:
        assert length(part) <= 2000
        assert part.strip()
        if max(map(len, re.findall(r"`+", text)), default=0) <= 12:
            assert fences(part) % 2 == 0
        assert not part.startswith(("\u200d", "\ufe0f", "\U0001f3fd"))
