"""Policy N9 as a table: every state, and what holds for all of them."""

import itertools

import pytest

from gateway.credentials.priority import ClaudeAuthFacts, ClaudeAuthPolicy, decide_claude_auth

STRICT = ClaudeAuthPolicy(spend_on_failure=False)
USUAL = ClaudeAuthPolicy()
GENEROUS = ClaudeAuthPolicy(spend_on_429=True)

TABLE = [
    # oauth, refresh, token refused, limited, key, policy → use, refresh, code
    ("valid", "ready", False, False, True, USUAL, "oauth", "no", "auth.ok"),
    ("valid", "failing", False, False, True, USUAL, "oauth", "no", "auth.ok"),
    ("valid", "refused", False, False, True, USUAL, "oauth", "no", "auth.ok"),
    ("valid", "impossible", False, False, False, USUAL, "oauth", "no", "auth.ok"),
    ("expiring", "ready", False, False, True, USUAL, "oauth", "ahead", "auth.expiring"),
    ("expiring", "failing", False, False, True, USUAL, "oauth", "no", "auth.ok"),
    ("expiring", "refused", False, False, True, USUAL, "oauth", "no", "auth.ok"),
    ("expired", "ready", False, False, True, USUAL, "none", "wait", "auth.expired"),
    ("expired", "failing", False, False, True, USUAL, "api_key", "no", "auth.refresh_failed"),
    ("expired", "failing", False, False, False, USUAL, "none", "no", "auth.refresh_failed"),
    ("expired", "refused", False, False, True, USUAL, "api_key", "no", "auth.login_needed"),
    ("expired", "refused", False, False, False, USUAL, "none", "no", "auth.login_needed"),
    ("expired", "impossible", False, False, True, USUAL, "api_key", "no", "auth.expired"),
    ("expired", "impossible", False, False, True, STRICT, "none", "no", "auth.expired"),
    ("none", "impossible", False, False, True, USUAL, "api_key", "no", "auth.missing"),
    ("none", "impossible", False, False, False, USUAL, "none", "no", "auth.missing"),
    ("none", "ready", False, False, True, STRICT, "none", "no", "auth.missing"),
    ("valid", "ready", True, False, True, USUAL, "none", "wait", "auth.refused"),
    ("valid", "failing", True, False, True, USUAL, "api_key", "no", "auth.refresh_failed"),
    ("valid", "refused", True, False, True, USUAL, "api_key", "no", "auth.login_needed"),
    ("valid", "refused", True, False, False, USUAL, "none", "no", "auth.login_needed"),
    ("valid", "impossible", True, False, False, USUAL, "none", "no", "auth.refused"),
    ("valid", "ready", False, True, True, USUAL, "oauth", "no", "auth.ok"),
    ("valid", "ready", False, True, True, GENEROUS, "api_key", "no", "auth.limited"),
    ("valid", "ready", False, True, False, GENEROUS, "oauth", "no", "auth.ok"),
    ("expiring", "ready", False, True, True, USUAL, "oauth", "ahead", "auth.expiring"),
    ("expired", "failing", False, True, True, STRICT, "none", "no", "auth.refresh_failed"),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: "-".join(str(part) for part in row[:5]))
def test_each_state_has_one_answer(row) -> None:
    oauth, refresh, refused, limited, key, policy, use, when, code = row
    facts = ClaudeAuthFacts(oauth, refresh, token_refused=refused, rate_limited=limited, has_key=key)
    decision = decide_claude_auth(facts, policy)
    assert (decision.use, decision.refresh, decision.code) == (use, when, code)
    assert decision.reason


def test_in_no_state_at_all_money_is_spent_without_leave_or_a_dead_token_used() -> None:
    states = itertools.product(
        ("none", "valid", "expiring", "expired"),
        ("ready", "failing", "refused", "impossible"),
        *[(False, True)] * 3,
    )
    for oauth, refresh, refused, limited, key in states:
        facts = ClaudeAuthFacts(oauth, refresh, token_refused=refused, rate_limited=limited, has_key=key)
        for on_failure, on_429 in itertools.product((False, True), repeat=2):
            policy = ClaudeAuthPolicy(spend_on_failure=on_failure, spend_on_429=on_429)
            decision = decide_claude_auth(facts, policy)
            if decision.use == "api_key":
                assert key
                assert on_failure or (limited and on_429)
            if decision.use == "oauth":
                assert oauth in {"valid", "expiring"}
                assert not refused
            if decision.refresh == "wait":
                assert refresh == "ready"
                assert decision.use == "none"
