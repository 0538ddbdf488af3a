"""Whom to ask next, and how long the failed one rests."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers import Failed
from shared.providers.failures import parse_failure
from shared.providers.fallback import (
    Candidate,
    Failure,
    after_failure,
    after_success,
    classify,
    decide_fallback,
    dump_cooldowns,
    parse_cooldowns,
    rest_of,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
FIRST = Candidate("openai-codex/gpt-5.1")
SECOND = Candidate("github-copilot/gpt-5-mini")
THIRD = Candidate("github-copilot/gpt-4.1")
ALL = [FIRST, SECOND, THIRD]


def refused(status, error=None, **headers):
    body = b"<html>" if error is None else json.dumps({"error": error}).encode()
    return parse_failure(status, {key.replace("_", "-"): value for key, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("failed", "means"),
    [
        (refused(401, {"message": "x", "code": "token_expired"}), "auth"),
        (refused(403), "auth"),
        (refused(402), "billing"),
        (refused(429, {"type": "usage_limit_reached"}), "usage_limit"),
        (refused(429, {"type": "usage_not_included"}), "billing"),
        (refused(429), "rate_limit"),
        (refused(429, {"message": "m", "type": "rate_limit_error", "code": "budget.exhausted"}), "budget"),
        (refused(400, {"message": "bad"}), "format"),
        (refused(400, {"message": "Your credit balance is too low"}), "billing"),
        (refused(400, {"message": "prompt is too long: 300000 tokens"}), "context"),
        (refused(400, {"message": "x", "code": "model_not_supported"}), "model_not_found"),
        (refused(404), "model_not_found"),
        (refused(408), "timeout"),
        (refused(500), "server"),
        (refused(503), "overloaded"),
        (refused(529, {"type": "overloaded_error"}), "overloaded"),
        (refused(403, {"message": "m", "code": "model.route"}), "route"),
        (Failed("cut", "m"), "cut"),
        (Failed("unavailable", "m", code="gateway.down"), "gateway"),
        (parse_failure(400, {}, b'{"detail": "The \'x\' model is not supported when using Codex"}'), "model_not_found"),
    ],
)
def test_failures_have_a_class(failed, means):
    assert classify(failed) == means


def rests(failed, times, step=timedelta(0)):
    """How long each of `times` failures in a row makes it rest, asked anew as soon as the last rest ends."""
    known, now, waits = {}, NOW, []
    for _ in range(times):
        known = after_failure(FIRST, failed, known, now)
        waits.append((known[FIRST.key].until - now).total_seconds())
        now = known[FIRST.key].until + step
    return waits


def test_the_ladder_is_1_5_25_60_minutes_and_billing_doubles_to_a_day():
    assert rests(refused(429), 5) == [60, 300, 1500, 3600, 3600]
    assert rests(refused(402), 4) == [5 * 3600, 10 * 3600, 20 * 3600, 24 * 3600]
    assert rests(refused(429, {"type": "usage_limit_reached"}), 2) == [3600, 3600]


def test_a_day_without_failure_begins_the_ladder_anew():
    assert rests(refused(500), 3, timedelta(hours=24)) == [60, 60, 60]
    assert rests(refused(402), 3, timedelta(hours=23)) == [5 * 3600, 10 * 3600, 20 * 3600]


@pytest.mark.parametrize(
    ("failed", "seconds"),
    [
        (refused(429, {"type": "usage_limit_reached", "resets_at": NOW.timestamp() + 900}), 900),
        (refused(429, {"type": "usage_limit_reached", "resets_at": (NOW + timedelta(hours=2)).isoformat()}), 7200),
        (refused(429, {"type": "usage_limit_reached", "resets_in_seconds": 77}), 77),
        (refused(429, None, retry_after="30"), 30),
        # What lies in the past, is absurd or is no number is not believed.
        (refused(429, {"type": "usage_limit_reached", "resets_at": NOW.timestamp() - 9}), 3600),
        (refused(429, {"type": "usage_limit_reached", "resets_at": 9e12}), 3600),
        (refused(429, {"type": "usage_limit_reached", "resets_in_seconds": 1e300}), 3600),
        (refused(429, None, retry_after="soon"), 60),
        (refused(429, None, retry_after="0"), 60),
    ],
)
def test_the_providers_own_reset_time_is_honoured(failed, seconds):
    assert rests(failed, 1) == [seconds]


def test_a_rest_is_of_one_model_and_one_profile():
    known = after_failure(SECOND, refused(429), {}, NOW)
    assert rest_of(SECOND, known, NOW)
    assert rest_of(THIRD, known, NOW) is None
    assert rest_of(Candidate(SECOND.ref, "work"), known, NOW) is None


def test_a_rest_under_way_is_made_longer_only_by_the_providers_word():
    known = after_failure(FIRST, refused(500), {}, NOW)
    later = NOW + timedelta(seconds=30)
    assert after_failure(FIRST, refused(500), known, later) == known
    told = after_failure(FIRST, refused(429, None, retry_after="600"), known, later)
    assert told[FIRST.key].until == later + timedelta(seconds=600)
    assert after_failure(FIRST, refused(429, None, retry_after="5"), told, later) == told


def test_the_primary_is_skipped_while_it_rests_and_asked_first_when_the_rest_ends():
    known = decide_fallback(Failure(FIRST, refused(429, None, retry_after="60"), (FIRST,)), ALL, {}, NOW).cooldowns
    resting = decide_fallback(None, ALL, known, NOW + timedelta(seconds=59))
    assert resting.next == SECOND
    assert [skip.candidate for skip in resting.skipped] == [FIRST]
    assert decide_fallback(None, ALL, known, NOW + timedelta(seconds=60)).next == FIRST
    assert after_success(FIRST, known) == {}


def test_when_all_rest_those_that_rest_out_of_caution_are_asked_and_firm_ones_are_not():
    known = after_failure(FIRST, refused(429, {"type": "usage_limit_reached"}), {}, NOW)
    known = after_failure(SECOND, refused(500), known, NOW)
    decision = decide_fallback(None, [FIRST, SECOND], known, NOW)
    assert decision.next == SECOND
    known = after_failure(SECOND, refused(429, None, retry_after="9"), known, NOW)
    decision = decide_fallback(None, [FIRST, SECOND], known, NOW)
    assert decision.next is None
    assert {skip.candidate for skip in decision.skipped} == {FIRST, SECOND}


@pytest.mark.parametrize(
    "failed",
    [Failed("context_too_long", "m"), Failed("content_filter", "m"), Failed("unavailable", "m", code="gateway.down")],
)
def test_what_another_model_cannot_help_with_goes_nowhere(failed):
    decision = decide_fallback(Failure(FIRST, failed, (FIRST,)), ALL, {}, NOW)
    assert decision.next is None
    assert decision.cooldowns == {}


@pytest.mark.parametrize("code", ["budget.exhausted", "model.route"])
def test_our_own_refusals_are_not_held_against_a_model(code):
    decision = decide_fallback(Failure(FIRST, Failed("rate_limited", "m", code=code), (FIRST,)), ALL, {}, NOW)
    assert decision.next == SECOND
    assert decision.cooldowns == {}


FAILURES = st.builds(
    Failed,
    st.sampled_from(["usage_limit", "rate_limited", "auth", "billing", "overloaded", "server", "cut", "unavailable"]),
    st.text(max_size=20),
    resets_at=st.none() | st.integers(-10, 10**7).map(lambda s: NOW + timedelta(seconds=s)),
    retry_after_s=st.none() | st.floats(0, 1e9),
)


@given(st.lists(FAILURES, min_size=1, max_size=12), st.lists(st.integers(0, 100_000), min_size=12, max_size=12))
def test_a_request_asks_each_model_at_most_once_and_ends(failures, gaps):
    known, now = {}, NOW
    for gap in gaps[: len(failures)]:
        now += timedelta(seconds=gap)
        asked, failure = [], None
        while (decision := decide_fallback(failure, ALL, known, now)).next is not None:
            known = decision.cooldowns
            assert decision.next not in asked
            rest = rest_of(decision.next, known, now)
            assert rest is None or not rest.firm, "a firm rest is never broken"
            asked.append(decision.next)
            failure = Failure(decision.next, failures[len(asked) % len(failures)], tuple(asked))
        known = decision.cooldowns
        assert parse_cooldowns(json.loads(json.dumps(dump_cooldowns(known)))) == known


@pytest.mark.parametrize(
    "junk", [None, [], {"a": 1}, {"a": {}}, {"a": {"failures": "x", "billings": 0, "until": None, "firm": True}}]
)
def test_kept_rests_that_are_not_understood_are_forgotten(junk):
    assert parse_cooldowns(junk) == {}
