from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials.codec import decode_token, encode_token, token_fields
from shared.errors import Unavailable
from shared.oauth.models import Token
from shared.secrets.files import Secret

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
tokens = st.builds(
    Token,
    access=words.map(Secret),
    refresh=st.none() | words.map(Secret),
    expires_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    scopes=st.lists(words, max_size=3).map(tuple),
    account=st.text(max_size=20),
    extra=st.dictionaries(words, st.text(max_size=20), max_size=3),
    id_token=st.none() | words.map(Secret),
)


@given(tokens)
def test_a_token_survives_being_stored(token: Token) -> None:
    assert token_fields(decode_token(encode_token(token), where="x")) == token_fields(token)


@given(st.binary(max_size=80))
def test_other_bytes_are_an_error_that_names_the_place_and_hides_them(data: bytes) -> None:
    with pytest.raises(Unavailable, match="vault:gateway/codex") as caught:
        decode_token(data, where="vault:gateway/codex")
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("cut", range(0, 140, 7))
def test_half_a_token_is_none(cut: int) -> None:
    whole = encode_token(Token(Secret("canary"), Secret("canary"), datetime(2026, 1, 1, tzinfo=UTC)))
    with pytest.raises(Unavailable) as caught:
        decode_token(whole[:cut], where="x")
    assert "canary" not in str(caught.value)
