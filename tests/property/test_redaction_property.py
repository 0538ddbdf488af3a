"""What is hidden: at least what the plain, slow patterns would hide; and however long a text, it is looked at once."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openclaw.agent.output import clean_output
from shared.obs.redact import HIDDEN, redact_text

_SLOW_VALUE = re.compile(
    r"""
    sk-ant-[A-Za-z0-9_-]{8,} | gh[opusr]_[A-Za-z0-9]{16,} | github_pat_[A-Za-z0-9_]{20,}
    | xox[abprs]-[A-Za-z0-9-]{10,} | xapp-[A-Za-z0-9-]{10,} | AGE-SECRET-KEY-1[A-Z0-9]{50,}
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----
    | sk-[A-Za-z0-9_-]{20,} | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*
    | [A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,} | tid=[^\s;"']+;[^\s"']+
    | \b(?:TH|IG)[A-Za-z0-9]{40,}
    """,
    re.VERBOSE,
)
_SLOW_BEARER = re.compile(r"\b(Bearer|Bot|token)\s+[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE)
_SLOW_PARAMETER = re.compile(
    r"([?&#](?:[^=&#\s]*(?:token|key|secret|code|state|auth|sig)[^=&#\s]*)=)[^&#\s\"']+", re.IGNORECASE
)

SECRETS = [
    *("sk-ant-" + "a" * 9, "ghp_" + "b" * 16, "github_pat_" + "c" * 20, "xoxb-" + "1" * 10, "xapp-" + "2" * 10),
    *("AGE-SECRET-KEY-1" + "Q" * 50, "-----BEGIN RSA PRIVATE KEY-----", "sk-" + "d" * 20),
    *("eyJ" + "e" * 8 + "." + "f" * 8 + ".", "g" * 24 + "." + "h" * 6 + "." + "i" * 27),
    *("tid=a;b", "TH" + "j" * 40, "Bearer " + "k" * 16, "?token=l", "&KEY=m", "#code="),
]
PIECES = [*"aZ0_-.;=?&#/ \n\t\"',{}:", "eyJ", "tid=", "key", "token=", "sk-", "ghp_", "KEY-----", "PRIVATE", "aaaaaaaa"]
TEXTS = st.lists(st.sampled_from(SECRETS + PIECES), max_size=14).map("".join)


def slowly(text: str) -> str:
    text = _SLOW_PARAMETER.sub(rf"\1{HIDDEN}", text)
    text = _SLOW_BEARER.sub(rf"\1 {HIDDEN}", text)
    return _SLOW_VALUE.sub(HIDDEN, text)


def shown(text: str) -> str:
    """Without the marks and the words of a key's title line, of which a value that touches it may take a part."""
    return re.sub(r"BEGIN|RSA|PRIVATE|KEY|-----| ", "", text.replace(HIDDEN, ""))


def is_within(part: str, whole: str) -> bool:
    letters = iter(whole)
    return all(letter in letters for letter in part)


@settings(max_examples=400)
@given(TEXTS)
def test_nothing_is_shown_that_the_slow_patterns_hide(text: str) -> None:
    assert is_within(shown(redact_text(text)), shown(slowly(text)))
    assert (redact_text(text) == text) == (slowly(text) == text)


@given(st.lists(st.sampled_from(SECRETS + PIECES), max_size=8).map(" ".join))
def test_of_values_that_stand_alone_exactly_the_same_is_hidden(text: str) -> None:
    assert redact_text(text) == slowly(text)


HOSTILE = ["?" + "key" * 300_000, "?" * 1_000_000, "eyJ" * 300_000, "tid=" * 250_000, "KEY-----eyJ" * 90_000]


@pytest.mark.parametrize("text", [*HOSTILE, "-----BEGIN PRIVATE KEY" * 40_000, "eyJaaaaaaaa." * 80_000])
def test_a_text_made_to_be_slow_is_not(text: str) -> None:
    """Looked at anew from each of its places, any of the first five takes minutes; the time limit would end it."""
    assert len(redact_text(text)) <= len(text)


def test_what_a_command_printed_is_cleaned_however_it_is_made() -> None:
    hostile = "\x1b[" * 100_000 + "\x9b0;" * 100_000 + "\x1b]" + "a\x1b]" * 100_000
    assert "\x1b" not in clean_output((hostile + HOSTILE[0]).encode())
