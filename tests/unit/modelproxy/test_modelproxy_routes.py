import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials.models import ProviderAuth
from gateway.modelproxy.dialects import error_answer, error_event
from gateway.modelproxy.routes import ROUTES, find_route, upstream_headers, upstream_url
from shared.errors import Denied, NotFound, RateLimited, Unavailable

OAUTH = ProviderAuth("claude", "https://api.example", (("Authorization", "Bearer real"),), "oauth", "m")
KEY = ProviderAuth("claude", "https://api.example", (("x-api-key", "real"),), "api_key", "m")
HOSTILE = st.sampled_from(
    b"authorization x-api-key cookie host content-length transfer-encoding connection x-run-id anthropic-beta"
    b" accept-encoding chatgpt-account-id x-forwarded-for user-agent x-initiator".split()
)
RECEIVED = st.lists(st.tuples(HOSTILE, st.sampled_from([b"fake", b"oauth-2025-04-20,a", b"gzip"])), max_size=12)


@given(RECEIVED, st.sampled_from(sorted(ROUTES)), st.sampled_from([OAUTH, KEY]))
def test_no_request_header_brings_its_own_credential_or_framing(received, name, auth) -> None:
    headers = upstream_headers(ROUTES[name], auth, received, {})
    names = [key.lower() for key, _ in headers]
    values = {key.lower(): value for key, value in headers}
    assert len(names) == len(set(names)) or name == "messages"
    assert ("authorization" in {n.decode() for n in names}) != ("x-api-key" in {n.decode() for n in names})
    assert b"real" in values.get(b"authorization", b"") + values.get(b"x-api-key", b"")
    assert not {b"cookie", b"host", b"content-length", b"transfer-encoding", b"connection", b"x-run-id"} & set(names)
    assert values[b"accept-encoding"] == b"identity"


@given(RECEIVED)
def test_the_oauth_beta_goes_with_the_token_and_never_with_the_key(received) -> None:
    def betas(auth: ProviderAuth) -> list[str]:
        headers = upstream_headers(ROUTES["messages"], auth, received, {})
        joined = [value.decode() for name, value in headers if name == b"anthropic-beta"]
        assert len(joined) <= 1
        return joined[0].split(",") if joined else []

    assert betas(OAUTH).count("oauth-2025-04-20") == 1
    assert not [beta for beta in betas(KEY) if beta.startswith("oauth")]


def test_a_worker_switches_on_only_what_reaches_nobody() -> None:
    received = [
        (b"anthropic-beta", b"claude-code-20250219, mcp-client-2025-04-04,effort-2025-11-24"),
        (b"anthropic-beta", b"web-fetch-2025-09-10"),
        (b"anthropic-version", b"2023-06-01"),
        (b"anthropic-workspace-id", b"other"),
    ]
    sent = dict(upstream_headers(ROUTES["messages"], OAUTH, received, {}, is_worker=True))
    assert sent[b"anthropic-beta"] == b"claude-code-20250219,effort-2025-11-24,oauth-2025-04-20"
    assert sent[b"anthropic-version"] == b"2023-06-01"
    assert b"anthropic-workspace-id" not in sent


@pytest.mark.parametrize(
    ("query", "kept"),
    [(b"beta=true", True), (b"beta=true&x=1", False), (b"x=/../y", False), (b"a b", False), (b"", False)],
)
def test_only_a_harmless_query_is_passed_on(query: bytes, kept: bool) -> None:
    assert ("?" in upstream_url(find_route("messages"), OAUTH, query)) is kept


@pytest.mark.parametrize("name", ["", "/v1/messages", "../models", "Messages"])
def test_an_unknown_route_does_not_exist(name: str) -> None:
    with pytest.raises(NotFound):
        find_route(name)


def test_errors_speak_the_callers_dialect() -> None:
    status, headers, body = error_answer("anthropic", RateLimited("slow down", retry_after_s=2.4))
    assert (status, json.loads(body)["error"]["type"]) == (429, "rate_limit_error")
    assert (b"retry-after", b"2") in headers
    status, headers, body = error_answer("openai", Denied("no", code="model.route"))
    assert (status, json.loads(body)["error"]["code"]) == (403, "model.route")
    assert (b"x-should-retry", b"false") in headers
    assert error_event("anthropic", Unavailable("cut")).startswith(b"event: error\n")
    assert b'"type": "error"' in error_event("responses", Unavailable("cut"))
