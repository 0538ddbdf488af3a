"""Nothing that looks like a credential leaves through a log line."""

from __future__ import annotations

import io
import json

import pytest
import structlog

from shared.obs.log import configure_logging, get_logger
from shared.obs.redact import HIDDEN, redact, redact_text
from shared.secrets.files import Secret

CANARIES = [
    "sk-ant-oat01-" + "a" * 40,
    "ghu_" + "b" * 36,
    "xoxb-1234567890-abcdefghij",
    "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.c2lnbmF0dXJl",
    "MTAwMDAwMDAwMDAwMDAwMDAx.GabcdE." + "c" * 38,
    "tid=abc;exp=1;sku=x;proxy-ep=y:sig",
    "THAA" + "d" * 60,
]


@pytest.mark.parametrize("canary", CANARIES)
def test_a_credential_in_a_text_is_hidden(canary: str) -> None:
    assert canary not in redact_text(f"upstream said: {canary} is no good")
    assert canary not in json.dumps(redact({"detail": [f"x {canary}"]}))


@pytest.mark.parametrize(
    "key", ["access_token", "Authorization", "api_key", "client_secret", "password", "code_verifier"]
)
def test_a_field_named_like_a_secret_is_hidden(key: str) -> None:
    assert redact({key: "anything"}) == {key: HIDDEN}


def test_secrets_in_addresses_are_hidden_and_the_rest_stays() -> None:
    text = redact_text("GET https://host/callback?code=abc123&state=xyz&page=2")
    assert "abc123" not in text
    assert "xyz" not in text
    assert "page=2" in text


def test_counts_of_tokens_are_not_secrets() -> None:
    assert redact({"input_tokens": 12}) == {"input_tokens": 12}


def test_logs_and_tracebacks_of_all_libraries_pass_the_redactor() -> None:
    import logging

    stream = io.StringIO()
    configure_logging("test", stream=stream)
    try:
        get_logger("x").info("thing.happened", token="plain-secret", note=CANARIES[0], value=Secret("hush"))
        logging.getLogger("some.library").warning("failed with %s", CANARIES[1])
        try:
            raise ValueError(CANARIES[2])
        except ValueError:
            get_logger("x").exception("thing.failed")
    finally:
        structlog.reset_defaults()
        structlog.contextvars.clear_contextvars()
        logging.getLogger().handlers.clear()
    text = stream.getvalue()
    assert text.count("\n") == 3
    assert not any(secret in text for secret in (*CANARIES, "plain-secret", "hush"))


def test_our_error_codes_stay_readable_and_oauth_codes_do_not() -> None:
    assert redact({"code": "tenant.key"}) == {"code": "tenant.key"}
    assert redact({"code": "ac_Zk3x9Q"}) == {"code": HIDDEN}
