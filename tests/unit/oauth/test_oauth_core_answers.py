"""Every way a token endpoint can answer becomes one of three outcomes, and none quotes the answer."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import Unavailable
from shared.oauth.jsonflow import TokenAnswer, TokenCall, expiry, read_answer, unwrap_node
from shared.oauth.models import EdgeBlocked, LoginNeeded, Token
from shared.secrets.files import Secret

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def read(status: int, body: object, content_type: str = "application/json", **extra: str):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(TokenAnswer(status, raw, content_type, **extra), who="Provider", fix="clawgate auth login x")


def test_a_token_is_a_200_with_a_token_in_it() -> None:
    assert read(200, {"access_token": "t"})["access_token"] == "t"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "invalid_grant", "error_description": "canary"}),
        (401, {"error": {"code": "refresh_token_reused", "message": "canary"}}),
        (401, {"error": {"code": "refresh_token_expired"}}),
        (400, {"error": {"type": "invalid_grant"}}),
        (200, {"error": "invalid_grant"}),
    ],
)
def test_a_final_no_asks_for_a_person(status: int, body: object) -> None:
    with pytest.raises(LoginNeeded, match="clawgate auth login x") as caught:
        read(status, body)
    assert "canary" not in caught.value.detail


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (429, {"type": "error", "error": {"type": "rate_limit_error", "message": "canary"}}, "auth.limited"),
        (500, {"error": "server_error"}, "unavailable"),
        (503, b"", "unavailable"),
        (400, {"type": "error", "error": {"type": "invalid_request_error", "message": "canary"}}, "auth.request"),
        (400, {"detail": "canary"}, "auth.request"),
        (404, b"not json", "auth.request"),
        (401, {"error": {"code": "invalid_client"}}, "auth.request"),
        (200, {"detail": "canary"}, "auth.answer"),
        (200, {"access_token": ""}, "auth.answer"),
        (200, {"access_token": 7}, "auth.answer"),
        (200, {"access_token": "a\nb"}, "auth.answer"),
        (200, b'{"access_token": "half', "auth.answer"),
        (200, b"[]", "auth.answer"),
        (200, b"[" * 100_000, "auth.answer"),
    ],
)
def test_all_else_is_transient_and_leaves_the_sign_in_alone(status: int, body: object, code: str) -> None:
    with pytest.raises(Unavailable) as caught:
        read(status, body)
    assert caught.value.code == code
    assert "canary" not in caught.value.detail


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (403, b"<html>no</html>", "text/html"),
        (200, b"  <!DOCTYPE html>", ""),
        (403, {"message": "no"}, ""),
        (503, b"<html>", ""),
    ],
)
def test_a_page_of_the_edge_is_told_apart(status: int, body: object, content_type: str) -> None:
    with pytest.raises(EdgeBlocked):
        read(status, body, content_type)


def test_the_wait_a_limit_names_is_kept() -> None:
    with pytest.raises(Unavailable) as caught:
        read(429, {}, retry_after="120")
    assert caught.value.context["retry_after_s"] == 120


@pytest.mark.parametrize("value", [None, 0, -1, "x", [], 1e12, float("nan")])
def test_an_expiry_that_is_none_counts_as_an_hour(value: object) -> None:
    assert expiry({"expires_in": value}, NOW) == NOW + timedelta(hours=1)
    assert expiry({}, NOW) == NOW + timedelta(hours=1)


def test_an_expiry_may_be_a_text() -> None:
    assert expiry({"expires_in": "28800"}, NOW) == NOW + timedelta(hours=8)


def test_what_node_printed_is_an_answer_and_so_is_the_bare_json() -> None:
    wrapped = unwrap_node(json.dumps({"status": 403, "body": "<html>"}))
    assert wrapped is not None
    assert (wrapped.status, wrapped.body) == (403, b"<html>")
    bare = unwrap_node('{"access_token": "t"}')
    assert bare is not None
    assert bare.status == 200
    assert unwrap_node('{"access') is None
    assert unwrap_node("[]") is None


def test_neither_tokens_nor_calls_print() -> None:
    token = Token(Secret("canary"), Secret("canary"), NOW, id_token=Secret("canary"))
    call = TokenCall.of_json("https://host/x", {"refresh_token": "canary"}, user_agent="ua")
    assert "canary" not in repr(token) + repr(call)


def test_a_naive_expiry_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        Token(Secret("x"), expires_at=datetime(2026, 1, 1))
