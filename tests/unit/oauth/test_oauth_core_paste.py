import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid
from shared.oauth.models import LoginNeeded
from shared.oauth.paste import parse_pasted
from shared.oauth.pkce import authorize_url, new_pkce, new_state

STATE = "s" * 43
AGAIN = "clawgate auth login x"


def parse(text: str) -> str:
    return parse_pasted(text, state=STATE, again=AGAIN)


@pytest.mark.parametrize(
    "text",
    [
        f"the-code#{STATE}",
        f"  the-code#{STATE}\r\n",
        f'"the-code#{STATE}"',
        "the-code",
        f"code=the-code&state={STATE}",
        f"?state={STATE}&code=the-code",
        f"http://localhost:1455/auth/callback?code=the-code&scope=openid&state={STATE}",
        f"<https://platform.claude.com/oauth/code/callback?code=the-code&state={STATE}#_>",
        f"http://localhost:1455/auth/callback?code=the-code\n&state={STATE}",
    ],
)
def test_every_form_a_person_may_paste_is_understood(text: str) -> None:
    assert parse(text) == "the-code"


@pytest.mark.parametrize(
    "text", ["the-code#other", "http://x/?code=the-code&state=other", "http://x/?code=the-code", "the-code#"]
)
def test_the_answer_to_another_login_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="another login") as caught:
        parse(text)
    assert caught.value.code == "auth.state"
    assert "the-code" not in caught.value.detail


@pytest.mark.parametrize(
    "text", ["", " \n", "a", "http://localhost:1455/", "code=&state=" + STATE, "x" * 9000, "é" * 9]
)
def test_what_is_no_code_is_said_to_be_none(text: str) -> None:
    with pytest.raises(Invalid):
        parse(text)


def test_a_no_in_the_browser_is_told_as_such_and_nothing_is_sent() -> None:
    with pytest.raises(LoginNeeded, match="access_denied") as caught:
        parse(f"http://localhost:1455/auth/callback?error=access_denied&error_description=<b>no&state={STATE}")
    assert AGAIN in caught.value.detail
    with pytest.raises(LoginNeeded, match="server_error: try later"):
        parse("http://localhost/?error=server_error&error_description=try+later")


@given(st.text(max_size=200))
def test_any_text_is_a_code_or_an_error_that_says_what_to_do(text: str) -> None:
    try:
        code = parse(text)
    except (Invalid, LoginNeeded):
        return
    assert code.isascii()


def test_the_address_carries_the_proof_key_and_what_the_provider_wants() -> None:
    pkce, state = new_pkce(), new_state()
    url = authorize_url(
        "https://p/auth",
        client_id="c",
        redirect_uri="http://r",
        scopes=("a", "b"),
        state=state,
        challenge=pkce.challenge,
        code="true",
    )
    for part in (
        "code_challenge=" + pkce.challenge,
        "code_challenge_method=S256",
        "scope=a+b",
        "state=" + state,
        "code=true",
    ):
        assert part in url
    assert pkce.verifier.reveal() not in url
    assert len(pkce.verifier.reveal()) == 64
    assert new_state() != state
