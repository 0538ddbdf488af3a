"""What a tenant is told of the gateway's sign-ins."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.broker.sign_ins import decide_state, sign_ins_of
from gateway.credentials.models import CredentialStatus, Health

NOW = datetime(2026, 3, 1, tzinfo=UTC)
STATUS = CredentialStatus(
    provider="codex",
    tenant="gateway",
    account="owner",
    place="vault",
    health="ok",
    expires_at=NOW,
    last_refresh=None,
    next_refresh=None,
    detail="",
    command="clawgate auth login codex",
)


@pytest.mark.parametrize(
    ("health", "state"),
    [("ok", "ok"), ("refreshing", "ok"), ("retrying", "ok"), ("login_needed", "expired"), ("unreadable", "expired")],
)
def test_only_what_a_person_has_to_mend_is_not_ok(health: Health, state: str):
    assert decide_state(replace(STATUS, health=health)) == state


def test_a_token_that_cannot_be_renewed_any_more_is_about_to_end():
    assert decide_state(replace(STATUS, health="retrying", failing_since=NOW)) == "expiring"


def test_a_tenant_hears_of_its_own_and_the_shared_ones_that_exist():
    others = [replace(STATUS, tenant="nanoclaw"), replace(STATUS, tenant="openclaw", provider="threads")]
    told = sign_ins_of("openclaw", [STATUS, replace(STATUS, provider="copilot", health="missing"), *others])
    assert [(info.id, info.label) for info in told] == [
        ("gateway/codex", "Codex (owner)"),
        ("openclaw/threads", "Threads of openclaw (owner)"),
    ]
