import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.oauth.codex import access_expiry, account_facts, claims_of


def token(claims: object) -> str:
    return "e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode() + ".sig"


def test_account_and_plan_come_from_either_token() -> None:
    access = token({"https://api.openai.com/auth": {"chatgpt_account_id": "acc", "chatgpt_plan_type": "plus"}})
    identity = token({"email": "someone@example.invalid", "https://api.openai.com/auth": {"user_id": "u"}})
    facts = {"account_id": "acc", "plan": "plus", "email": "someone@example.invalid", "user_id": "u"}
    assert account_facts(access, identity) == facts
    profile = token({"https://api.openai.com/profile": {"email": "other@example.invalid"}})
    assert account_facts(profile, "") == {"email": "other@example.invalid"}


@pytest.mark.parametrize(
    ("exp", "moment"),
    [
        (1_800_000_000, datetime.fromtimestamp(1_800_000_000, UTC)),
        ("soon", None),
        (None, None),
        (True, None),
        (1e30, None),
    ],
)
def test_expiry_is_the_tokens_own_word(exp: object, moment: datetime | None) -> None:
    assert access_expiry(token({"exp": exp})) == moment


def test_what_would_break_a_header_or_a_terminal_is_left_out() -> None:
    hostile = token({"email": "a\x1b[31m", "https://api.openai.com/auth": {"chatgpt_account_id": "ä", "user_id": 7}})
    assert account_facts(hostile, "not a token") == {}


@given(st.text(max_size=60))
def test_any_text_has_claims_or_none(text: str) -> None:
    assert isinstance(claims_of(text), dict)


@pytest.mark.parametrize(
    "claims", [[], "x", {"https://api.openai.com/auth": []}, {"https://api.openai.com/auth": None}]
)
def test_claims_of_any_shape_are_borne(claims: object) -> None:
    assert account_facts(token(claims), "") == {}
