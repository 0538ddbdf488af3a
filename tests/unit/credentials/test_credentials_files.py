import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials.files import (
    WatchedFile,
    fingerprint,
    parse_claude,
    parse_codex,
    parse_github_token,
)
from gateway.credentials.service import Credentials
from shared.clock import FakeClock
from shared.errors import AuthRequired, Unavailable
from shared.http.client import HttpPool
from shared.secrets.files import Secret

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def claude_text(token: str = "sk-ant-oat01-x", expires_at: datetime = datetime(2026, 1, 1, 8, tzinfo=UTC)) -> str:
    login = {"accessToken": token, "refreshToken": "r", "expiresAt": int(expires_at.timestamp() * 1000), "scopes": []}
    return json.dumps({"mcpOAuth": {}, "claudeAiOauth": login})


def a_jwt(claims: dict) -> str:
    return "e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode() + ".sig"


def service(folder: Path, http: HttpPool, clock: FakeClock, key: str = "") -> Credentials:
    return Credentials(
        http=http,
        claude_file=folder / "claude.json",
        claude_base="https://claude.example/",
        claude_fallback_key=Secret(key),
        codex_file=folder / "codex.json",
        codex_base="https://codex.example",
        copilot_file=folder / "copilot",
        github_api_base="http://127.0.0.1:1",
        clock=clock,
    )


def test_claude_expiry_is_in_milliseconds() -> None:
    assert parse_claude(claude_text()).expires_at == datetime(2026, 1, 1, 8, tzinfo=UTC)


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode))
def test_any_broken_file_is_a_sign_in_needed_and_never_shown(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "broken"
    path.write_bytes(content)
    for parse in (parse_claude, parse_codex):
        with pytest.raises(AuthRequired) as caught:
            WatchedFile(path, parse, what="sign-in", fix="Run: x").read()
        assert "Run: x" in caught.value.detail


def test_a_logged_out_file_is_a_sign_in_needed() -> None:
    text = json.dumps({"claudeAiOauth": {"accessToken": "", "refreshToken": "", "expiresAt": 0}})
    with pytest.raises(ValueError, match="not a token"):
        parse_claude(text)


@pytest.mark.parametrize("text", ["", "  \n", "a b", "a\nb", "ghu_é"])
def test_a_github_token_is_one_word(text: str) -> None:
    with pytest.raises(ValueError, match="not a token"):
        parse_github_token(text)


def test_codex_account_comes_from_the_file_or_the_token() -> None:
    token = a_jwt({"exp": 1_800_000_000, "https://api.openai.com/auth": {"chatgpt_account_id": "acc"}})
    login = parse_codex(json.dumps({"tokens": {"access_token": token}}))
    assert (login.account_id, login.expires_at) == ("acc", datetime.fromtimestamp(1_800_000_000, UTC))
    login = parse_codex(json.dumps({"tokens": {"access_token": "opaque", "account_id": "told"}}))
    assert (login.account_id, login.expires_at) == ("told", None)


def test_a_fingerprint_says_nothing_of_the_secret() -> None:
    assert "secret" not in fingerprint("secret")


async def test_the_sign_in_comes_first_and_the_key_second(tmp_path: Path) -> None:
    clock = FakeClock()
    async with HttpPool() as http:
        credentials = service(tmp_path, http, clock, key="sk-key")
        assert (await credentials.headers_for("claude")).kind == "api_key"
        (tmp_path / "claude.json").write_text(claude_text())
        auth = await credentials.headers_for("claude")
        assert (auth.kind, auth.base_url) == ("oauth", "https://claude.example")
        assert auth.headers == (("Authorization", "Bearer sk-ant-oat01-x"),)
        clock.advance(8 * 3600)
        assert (await credentials.headers_for("claude")).headers == (("x-api-key", "sk-key"),)


async def test_a_refused_sign_in_rests_and_is_tried_again_later(tmp_path: Path) -> None:
    clock = FakeClock()
    async with HttpPool() as http:
        (tmp_path / "claude.json").write_text(claude_text())
        credentials = service(tmp_path, http, clock, key="sk-key")
        other = await credentials.after_refusal(await credentials.headers_for("claude"))
        assert other is not None
        assert other.kind == "api_key"
        assert await credentials.after_refusal(other) is None
        assert (await credentials.headers_for("claude")).kind == "api_key"
        clock.advance(601)
        assert (await credentials.headers_for("claude")).kind == "oauth"


async def test_nothing_at_all_says_what_to_run_for_each_provider(tmp_path: Path) -> None:
    async with HttpPool() as http:
        credentials = service(tmp_path, http, FakeClock())
        for provider, command in (
            ("claude", "claude /login"),
            ("codex", "codex login"),
            ("copilot", "copilot-api auth"),
        ):
            with pytest.raises(AuthRequired, match=command):
                await credentials.headers_for(provider)


async def test_github_out_of_reach_is_not_a_sign_in_problem(tmp_path: Path) -> None:
    (tmp_path / "copilot").write_text("ghu_x")
    async with HttpPool() as http:
        with pytest.raises(Unavailable):
            await service(tmp_path, http, FakeClock()).headers_for("copilot")


async def test_an_expired_codex_sign_in_is_not_used(tmp_path: Path) -> None:
    token = a_jwt({"exp": int(NOW.timestamp()) - 1})
    (tmp_path / "codex.json").write_text(json.dumps({"tokens": {"access_token": token, "account_id": "a"}}))
    async with HttpPool() as http:
        with pytest.raises(AuthRequired, match="expired"):
            await service(tmp_path, http, FakeClock()).headers_for("codex")


async def test_no_credential_shows_in_a_repr(tmp_path: Path) -> None:
    (tmp_path / "claude.json").write_text(claude_text("sk-ant-oat01-canary"))
    async with HttpPool() as http:
        assert "canary" not in repr(await service(tmp_path, http, FakeClock()).headers_for("claude"))
