import re

import pytest

from shared.channels.text import is_boundary, length, split_message, without_last


def test_blank_text_gives_no_message():
    assert split_message("") == []
    assert split_message(" \n\t ") == []


def test_the_mentions_a_text_ends_with_are_taken_off_however_long_it_is():
    mention = re.compile("<@7>")
    assert without_last("do it <@7>  <@7>\n", mention) == "do it"
    assert without_last("ask <@8> <@7>", mention) == "ask <@8>"
    assert without_last("<@7> <@7>", mention) == ""
    blanks = " " * 200_000
    assert without_last(f"a{blanks}b", mention) == f"a{blanks}b", "read once, not once for each blank"
    assert without_last("a" + "<@7> " * 20_000, mention) == "a"


def test_short_text_stays_whole():
    assert split_message("hello\n\nworld") == ["hello\n\nworld"]


def test_exactly_the_limit_is_one_message():
    assert split_message("x" * 2000) == ["x" * 2000]
    assert [len(part) for part in split_message("x" * 2001)] == [1996, 5]


def test_paragraphs_are_preferred_to_lines_and_lines_to_words():
    first, second = "a " * 35, "b " * 30
    assert split_message(f"{first.strip()}\n\n{second.strip()}", 100) == [first.strip(), second.strip()]
    assert split_message(f"{first.strip()}\n{second.strip()}", 100) == [first.strip(), second.strip()]


def test_a_sentence_is_not_cut_when_it_can_be_helped():
    text = "One sentence is here, rather long for its kind, is it not. Another one follows it and goes on for long."
    assert split_message(text, 80)[0].endswith("is it not.")


def test_a_code_block_is_closed_and_opened_again_with_its_language():
    code = "\n".join(f"print({n})" for n in range(100))
    parts = split_message(f"Look:\n\n```python\n{code}\n```\nThat was it.", 400)
    assert len(parts) > 2
    assert all(part.count("```") % 2 == 0 for part in parts)
    assert all(part.startswith("```python\n") for part in parts[1:-1])
    lines = [line for part in parts for line in part.split("\n") if line.startswith("print")]
    assert lines == code.split("\n")


def test_indentation_in_code_survives_a_cut():
    code = "\n".join("    " * (n % 3) + f"x{n} = {n}" for n in range(60))
    parts = split_message(f"```py\n{code}\n```", 200)
    inner = [line for part in parts for line in part.removeprefix("```py\n").removesuffix("\n```").split("\n")]
    assert inner == code.split("\n")


def test_no_empty_code_block_is_left_behind():
    text = "word " * 16 + "\n```py\n" + "code()\n" * 30 + "```\n" + "word " * 30
    for limit in range(80, 130):
        assert "```py\n```" not in "|".join(split_message(text, limit))


def test_a_block_the_text_leaves_open_is_closed():
    assert split_message("```py\nx = 1") == ["```py\nx = 1\n```"]


@pytest.mark.parametrize(
    "cluster",
    [
        "👨‍👩‍👧‍👦",
        "🇰🇷",
        "👍🏽",
        "é",
        "❤️",
        "각",
        "한",
        "1️⃣",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "\r\n",
    ],
)
def test_a_character_is_never_cut(cluster):
    text = cluster * 300
    parts = split_message("x" + text, 64)
    assert all(length(part) <= 64 for part in parts)
    for part in parts:
        assert part.lstrip("x").replace(cluster, "") == ""


def test_a_flag_ends_after_two_halves():
    flags = "🇰🇷🇯🇵"
    assert [is_boundary(flags, place) for place in range(1, 4)] == [False, True, False]


def test_emoji_count_twice():
    assert length("a👍") == 3
    assert all(length(part) <= 2000 for part in split_message("👍" * 1500))


def test_lone_surrogates_are_replaced():
    assert split_message("a\ud83d b") == ["a� b"]
    assert split_message("\ud83d\udc4d") == ["👍"]


def test_a_pile_of_marks_longer_than_a_message_is_cut_all_the_same():
    text = "a" + "\u0301" * 500
    assert "".join(split_message(text, 100)) == text


@pytest.mark.parametrize("text", ["\n".join(f"line {n}" for n in range(60)), "\n\n".join("abc" for _ in range(40))])
def test_no_part_has_more_lines_than_wanted(text):
    parts = split_message(text, lines=17)
    assert all(part.count("\n") < 17 for part in parts)
    assert "\n".join(parts).split() == text.split()
    assert split_message(text) == [text]


def test_seventeen_lines_are_one_message_and_a_block_is_opened_again():
    assert len(split_message("\n".join("x" * 17) + "\n", lines=17)) == 1
    parts = split_message("```py\n" + "\n".join(f"x = {n}" for n in range(40)) + "\n```", lines=17)
    assert all(part.startswith("```py\n") and part.endswith("```") for part in parts)
    code = [line for part in parts for line in part.splitlines() if line.startswith("x =")]
    assert code == [f"x = {n}" for n in range(40)]
