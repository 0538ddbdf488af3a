"""What is worth telling the owner: which state of a sign-in, in which words, under which key."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.budget.models import Exhaustion
from gateway.credentials.models import CredentialStatus
from gateway.notices.decide import budget_notice, decide_sign_in_notices
from gateway.notices.policy import NoticesPolicy

NOW = datetime(2026, 3, 9, 12, tzinfo=UTC)
CLAUDE = CredentialStatus(
    provider="claude",
    tenant="gateway",
    account="owner@example.invalid",
    place="file",
    health="ok",
    expires_at=NOW + timedelta(hours=5),
    last_refresh=NOW - timedelta(hours=3),
    next_refresh=NOW + timedelta(hours=4),
    detail="",
    command="clawgate auth login claude",
    mark="m1",
)
THREADS = replace(
    CLAUDE,
    provider="threads",
    tenant="nanoclaw",
    expires_at=NOW + timedelta(days=2),
    command="clawgate auth login threads --tenant nanoclaw",
)
REFUSED = "the refresh token was not found (invalid_grant). Run: clawgate auth login claude"
CUT = "the answer was cut"
HOUR = timedelta(hours=1)


def told(status: CredentialStatus, now: datetime = NOW) -> list[str]:
    return [notice.kind for notice in decide_sign_in_notices([status], NoticesPolicy(), now)]


@pytest.mark.parametrize(
    ("status", "kinds"),
    [
        (CLAUDE, []),
        (replace(CLAUDE, health="refreshing"), []),
        (replace(CLAUDE, health="missing", expires_at=None, mark=""), []),
        (replace(CLAUDE, health="unsaved"), []),
        (replace(CLAUDE, health="login_needed", detail=REFUSED), ["login_needed"]),
        (replace(CLAUDE, health="retrying", detail=CUT, failing_since=NOW - HOUR / 2), []),
        (replace(CLAUDE, health="retrying", detail=CUT, failing_since=NOW - HOUR), ["refresh_failing"]),
        (replace(THREADS, health="ok"), []),
        (replace(THREADS, health="retrying", detail=CUT, failing_since=NOW), ["token_ending"]),
        (replace(THREADS, health="retrying", detail=CUT, failing_since=NOW, expires_at=NOW + timedelta(days=4)), []),
        (
            replace(THREADS, health="retrying", detail=CUT, failing_since=NOW - 30 * HOUR),
            ["refresh_failing", "token_ending"],
        ),
        (replace(THREADS, health="expired", expires_at=NOW - HOUR), ["token_ending"]),
        (replace(THREADS, health="login_needed", detail=REFUSED), ["login_needed"]),
    ],
)
def test_each_state_calls_for_these_notices(status: CredentialStatus, kinds: list[str]) -> None:
    assert told(status) == kinds


def test_the_text_says_what_happened_and_the_exact_command() -> None:
    (notice,) = decide_sign_in_notices([replace(CLAUDE, health="login_needed", detail=REFUSED)], NoticesPolicy(), NOW)
    lines = notice.text.splitlines()
    assert lines[0] == "**Claude (owner@example.invalid): somebody has to sign in again**"
    assert lines[1] == "The refresh token was not found (invalid_grant)."
    assert "prepaid key" in lines[2]
    assert lines[3] == "Run on the server: `clawgate auth login claude`"
    (notice,) = decide_sign_in_notices([replace(THREADS, health="login_needed", detail=REFUSED)], NoticesPolicy(), NOW)
    assert "Threads of nanoclaw" in notice.text
    assert "Posting stops when the present token ends, on 2026-03-11 12:00 UTC." in notice.text
    assert "`clawgate auth login threads --tenant nanoclaw`" in notice.text
    detail = f"{CUT}. What is stored is untouched, and it is tried again by itself; now: clawgate auth refresh claude"
    failing = replace(CLAUDE, health="retrying", detail=detail, failing_since=NOW - 2 * HOUR)
    (notice,) = decide_sign_in_notices([failing], NoticesPolicy(), NOW)
    assert notice.text.splitlines()[1] == "The answer was cut."
    assert notice.text.count("clawgate auth refresh claude") == 1
    assert "since 2026-03-09 10:00 UTC" in notice.text
    assert "`clawgate auth refresh claude`" in notice.text


def test_the_key_names_the_event_and_changes_with_the_next_one() -> None:
    def key(status: CredentialStatus) -> str:
        (notice,) = decide_sign_in_notices([status], NoticesPolicy(), NOW)
        return notice.key

    ended = replace(CLAUDE, health="login_needed", detail=REFUSED)
    assert key(ended) == key(replace(ended, detail="other words", expires_at=None))
    assert key(ended) != key(replace(ended, mark="m2"))
    failing = replace(CLAUDE, health="retrying", detail=CUT, failing_since=NOW - 2 * HOUR)
    assert key(failing) == key(replace(failing, detail="other words", mark="m2"))
    assert key(failing) != key(replace(failing, failing_since=NOW - 3 * HOUR))


def test_a_budget_is_one_event_for_each_period_and_limit() -> None:
    first = budget_notice(Exhaustion("day", "openclaw", "2026-03-10/5", "the budget day has no room"))
    assert first.key == budget_notice(Exhaustion("day", "openclaw", "2026-03-10/5", "other words")).key
    assert first.key != budget_notice(Exhaustion("day", "openclaw", "2026-03-11/5", "the budget day has no room")).key
    assert first.text.splitlines()[1:] == ["The budget day has no room.", "Look: `clawgate usage`"]
