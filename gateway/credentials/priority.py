"""With what Claude is called (policy N9): the subscription first, the prepaid key second, never both. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.config.strict import Strict

OAuthState = Literal["none", "valid", "expiring", "expired"]
RefreshState = Literal["ready", "failing", "refused", "impossible"]
Use = Literal["oauth", "api_key", "none"]
RefreshWhen = Literal["no", "ahead", "wait"]


class ClaudeAuthPolicy(Strict):
    """``[claude_auth]`` of policies/oauth.toml: when prepaid money may be spent.

    Attributes:
        spend_on_failure: when the subscription's token is missing, expired or refused.
        spend_on_429: when the subscription's limit is reached.
    """

    spend_on_failure: bool = True
    spend_on_429: bool = False


@dataclass(frozen=True, slots=True)
class ClaudeAuthFacts:
    """What is known right now.

    Attributes:
        oauth: the stored token; ``expiring`` still counts but is due for a refresh.
        refresh: ``ready`` may be tried now; ``failing`` rests after a transient failure; ``refused`` had the
            provider's final no; ``impossible`` has no refresh token or is not ours to refresh.
        token_refused: the API refused this very token (401) and a refresh did not help or has not been tried.
        rate_limited: the subscription's limit is reached (429) and its reset lies ahead.
        has_key: a prepaid key is there.
    """

    oauth: OAuthState
    refresh: RefreshState = "ready"
    token_refused: bool = False
    rate_limited: bool = False
    has_key: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do.

    Attributes:
        use: the one credential the call gets.
        refresh: ``ahead`` start one and do not wait; ``wait`` do one, then decide again with its outcome.
        code: why, for logs and errors.
        reason: why, for a person.
    """

    use: Use
    refresh: RefreshWhen
    code: str
    reason: str


def decide_claude_auth(facts: ClaudeAuthFacts, policy: ClaudeAuthPolicy) -> Decision:
    """Choose the credential of the next call to Claude."""
    broken = _broken(facts)
    if not broken:
        if facts.rate_limited and facts.has_key and policy.spend_on_429:
            return Decision(
                "api_key", "no", "auth.limited", "the subscription's limit is reached; policy allows spending"
            )
        if facts.oauth == "expiring" and facts.refresh == "ready":
            return Decision("oauth", "ahead", "auth.expiring", "the subscription's token ends soon and is refreshed")
        return Decision("oauth", "no", "auth.ok", "the subscription's token is valid")
    code, reason = broken
    if facts.oauth != "none" and facts.refresh == "ready":
        return Decision("none", "wait", code, f"{reason}; it is refreshed first")
    if facts.has_key and policy.spend_on_failure:
        return Decision("api_key", "no", code, f"{reason}; the prepaid key takes over")
    if facts.has_key:
        reason += "; the prepaid key may not be spent (spend_on_failure = false)"
    return Decision("none", "no", code, reason)


def _broken(facts: ClaudeAuthFacts) -> tuple[str, str] | None:
    """Why the subscription's token cannot be used; None when it can."""
    if facts.oauth == "none":
        return "auth.missing", "nobody is signed in at Claude"
    if facts.oauth != "expired" and not facts.token_refused:
        return None
    what = "Claude refused the sign-in" if facts.token_refused else "the Claude sign-in has expired"
    if facts.refresh == "failing":
        return "auth.refresh_failed", f"{what} and its refresh fails for the moment"
    if facts.refresh == "refused":
        return "auth.login_needed", f"{what} and its refresh was refused for good"
    return ("auth.refused" if facts.token_refused else "auth.expired"), what
