"""No spelling of a call to a Graph host gets a token out of the gateway."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.social.graph.guard import decide_fields, decide_path, without_tokens
from shared.secrets.files import Secret

TOKEN = Secret("THAAold+token")


@pytest.mark.parametrize(
    "path",
    [
        *("/refresh_access_token", "/v1.0/refresh_access_token", "/access_token", "/v1.0/oauth/access_token"),
        *("/refresh_access_token/", "/v1.0/refresh_access_token/", "/v1.0//refresh_access_token"),
        *("/v1.0/./refresh_access_token", "/v1.0/x/../refresh_access_token", "/v1.0/v1.0/refresh_access_token"),
        *(
            "/v1.0/me/refresh_access_token",
            "/Refresh_Access_Token",
            "/debug_token",
            "/me/permissions",
            "/me/Access_Token",
        ),
        *(
            "/refresh%5Faccess_token",
            "/me%2Fmedia",
            "/me/media;x",
            "/me/media\\x",
            "/me\n",
            "/ｍe",
            "me",
            "",
            "/",
            "//me",
        ),
        *("/v1.0/V2.0/me", "/me/v1.0", "/..."),
    ],
)
def test_a_path_that_names_a_token_or_could_be_read_in_two_ways_is_refused(path: str) -> None:
    assert decide_path(path)


@pytest.mark.parametrize("path", ["/me", "/v25.0/me/media", "/17841400000000001/insights", "/v1.0/12_34/replies"])
def test_reading_goes_on(path: str) -> None:
    assert decide_path(path) == ""


@pytest.mark.parametrize(
    "fields",
    [
        {"fields": "id,access_token.as(x)"},
        {"fields": "accounts{Access_Token}"},
        {"method": "delete"},
        {"Method": "post"},
        {"batch": "[]"},
    ],
)
def test_a_query_for_tokens_or_another_method_is_refused(fields: dict[str, str]) -> None:
    assert decide_fields(fields)
    assert decide_fields({"fields": "id,caption", "limit": "3", "after": "QVFI"}) == ""


def test_tokens_are_taken_out_of_an_answer_at_any_depth() -> None:
    other = "THNEWTOKEN"
    body: dict[str, Any] = {
        "access_token": other,
        "expires_in": 5184000,
        "data": [{"id": "1", "owner": {"Access_Token": other, "refresh_token": other}}],
        "paging": {"next": f"https://graph.threads.net/v1.0/me?access_token={other}&after=a", "was": "THAAold%2Btoken"},
        "echo": "THAAold+token",
    }
    raw = json.dumps(body).replace("=THNEW", "\\u003dTHNEW").replace("d+t", "d\\u002bt").encode()
    clean = without_tokens(raw, TOKEN)
    assert clean is not None
    assert json.loads(clean) == {
        "expires_in": 5184000,
        "data": [{"id": "1", "owner": {}}],
        "paging": {
            "next": "https://graph.threads.net/v1.0/me?access_token=held-by-gateway&after=a",
            "was": "held-by-gateway",
        },
        "echo": "held-by-gateway",
    }


@pytest.mark.parametrize("body", [b"access_token=THNEWTOKEN", b"", b"[" * 100_000, b"\xff"])
def test_an_answer_that_cannot_be_read_is_not_passed_on(body: bytes) -> None:
    assert without_tokens(body, TOKEN) is None
