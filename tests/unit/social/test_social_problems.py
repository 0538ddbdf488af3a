"""Answers of the networks are sorted by what to do next, and no answer shows a token."""

from __future__ import annotations

import json

import pytest

from shared.social.problems import lost_answer, read_problem


def answer(code: int, subcode: int = 0, message: str = "x") -> bytes:
    return json.dumps({"error": {"message": message, "code": code, "error_subcode": subcode or None}}).encode()


@pytest.mark.parametrize(
    ("code", "subcode", "status", "at_create", "at_publish", "post_code"),
    [
        (190, 463, 400, "refused", "refused", "auth_expired"),
        (10, 0, 400, "refused", "refused", "permission_missing"),
        (230, 0, 403, "refused", "refused", "permission_missing"),
        (9, 2207042, 400, "refused", "refused", "quota_exceeded"),
        (9, 0, 400, "refused", "refused", "quota_exceeded"),
        (4, 0, 400, "slow_down", "slow_down", "rate_limited"),
        (613, 0, 400, "slow_down", "slow_down", "rate_limited"),
        (4, 2207051, 400, "refused", "unknown", "blocked_by_platform"),
        (24, 4279009, 400, "new_container", "new_container", "container_not_found"),
        (24, 2207006, 400, "new_container", "new_container", "container_not_found"),
        (9007, 2207027, 400, "wait", "wait", "media_processing_timeout"),
        (9004, 2207052, 400, "refused", "refused", "media_unreachable"),
        (36001, 2207005, 400, "refused", "refused", "media_format_unsupported"),
        (36004, 2207010, 400, "refused", "refused", "text_too_long"),
        (368, 0, 400, "refused", "refused", "blocked_by_platform"),
        (506, 0, 400, "refused", "refused", "duplicate_content"),
    ],
)
def test_described_codes(code, subcode, status, at_create, at_publish, post_code) -> None:
    created = read_problem("threads", "create", status, answer(code, subcode))
    published = read_problem("threads", "publish", status, answer(code, subcode))
    assert (created.action, published.action, published.post_code) == (at_create, at_publish, post_code)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, answer(1)),
        (400, answer(2)),
        (400, answer(-1, 2207001)),
        (400, answer(-2, 2207003)),
        (500, answer(190)),
        (502, b"<html>bad gateway</html>"),
        (400, answer(77777)),
        (400, answer(100, 33)),
        (400, b""),
        (302, b""),
        (400, b'{"error": "text"}'),
    ],
)
def test_after_a_publish_only_a_described_refusal_is_a_refusal(status: int, body: bytes) -> None:
    assert read_problem("instagram", "publish", status, body).action == "unknown"


def test_a_request_that_never_left_is_not_in_doubt() -> None:
    assert lost_answer("threads", "publish", "no route", reached=False).action == "again"
    assert lost_answer("threads", "publish", "cut", reached=True).action == "unknown"
    assert lost_answer("threads", "create", "cut", reached=True).action == "again"


def test_an_unreadable_object_proves_nothing() -> None:
    assert read_problem("threads", "read", 400, answer(100, 33)).action == "unreadable"


def test_a_token_in_the_networks_message_is_hidden() -> None:
    token = "TH" + "b7" * 40
    error = read_problem("threads", "read", 400, answer(190, 0, f"Malformed access token {token}"))
    assert token not in error.detail
    assert "190" in error.detail
