"""Which model is asked next when one fails, and how long the failed one rests.

Everything here is pure: `decide_fallback` takes what happened, who could be asked, what is known of them and the
time, and returns whom to ask and what is known now. Source: reference notes on OpenClaw's rotation and cooldown; what
differs is that a rest belongs to one profile *and* one model, so that a limit of one model does not silence the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal

from shared.providers.events import Failed, FailureKind

FailureClass = Literal[
    "rate_limit",
    "usage_limit",
    "billing",
    "auth",
    "timeout",
    "overloaded",
    "server",
    "model_not_found",
    "format",
    "context",
    "content",
    "cut",
    "budget",
    "route",
    "gateway",
    "aborted",
]
"""What a failure means for the choice of the next model; see docs/models.md."""

MINUTE_S: Final = 60
HOUR_S: Final = 3_600
STEPS_S: Final = (MINUTE_S, 5 * MINUTE_S, 25 * MINUTE_S, HOUR_S)
BILLING_S: Final = 5 * HOUR_S
BILLING_MAX_S: Final = 24 * HOUR_S
USAGE_LIMIT_S: Final = HOUR_S
FORGET_AFTER: Final = timedelta(hours=24)
LONGEST_RESET: Final = timedelta(days=32)
"""A reset further away than a month is a mistake of the provider's, not a limit."""

STOPS: frozenset[FailureClass] = frozenset({"context", "content", "gateway", "aborted"})
"""Another model cannot help: the fault lies in the conversation, with the person, or on the way all models share."""

_NO_REST: frozenset[FailureClass] = frozenset(
    {"format", "context", "content", "cut", "budget", "route", "gateway", "aborted"}
)

_BY_KIND: Mapping[FailureKind, FailureClass] = {
    "usage_limit": "usage_limit",
    "rate_limited": "rate_limit",
    "auth": "auth",
    "billing": "billing",
    "denied": "auth",
    "invalid_request": "format",
    "context_too_long": "context",
    "content_filter": "content",
    "overloaded": "overloaded",
    "server": "server",
    "cut": "cut",
    "unavailable": "timeout",
}
_BY_CODE: Mapping[str, FailureClass] = {
    "budget.exhausted": "budget",
    "gateway.down": "gateway",
    "model.route": "route",
    "model.no_route": "route",
    "model_not_found": "model_not_found",
    "model_not_supported": "model_not_found",
    "aborted": "aborted",
}
_NOT_FOUND = 404
_MODEL_WORDS = re.compile(
    r"(?is)model.{0,80}\b(?:not found|does not exist|not supported|not available)|unknown model|no such model"
)
_BILLING_WORDS = re.compile(r"(?i)insufficient (?:credits?|balance|funds)|payment required|billing|credit balance")
_CONTEXT_WORDS = re.compile(r"(?i)context (?:length|window)|prompt is too long|maximum context|too many tokens")
_MAX_READ = 512


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that could be asked.

    Attributes:
        ref: ``provider/model``.
        profile: which credential of the provider; the gateway holds one of each today.
    """

    ref: str
    profile: str = "default"

    @property
    def key(self) -> str:
        """What its rest is kept under: profile and model."""
        provider, _, model = self.ref.partition("/")
        return f"{provider}:{self.profile}/{model}"


@dataclass(frozen=True, slots=True)
class Cooldown:
    """What is known of a candidate that failed.

    Attributes:
        failures: in a row.
        billings: how many of those were about money.
        until: it rests until then; None when it may be asked.
        firm: the provider itself named the time (or a plan's limit is reached): not asked before, whatever else fails.
        reason: of the last failure.
    """

    failures: int = 0
    billings: int = 0
    until: datetime | None = None
    firm: bool = False
    reason: FailureClass | None = None

    def rests(self, now: datetime) -> bool:
        """It should not be asked now."""
        return self.until is not None and now < self.until


Cooldowns = Mapping[str, Cooldown]
"""By `Candidate.key`; those that never failed are not in it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What just happened in one request.

    Attributes:
        candidate: who failed.
        failed: how.
        tried: everybody who was asked in this request so far, `candidate` included.
    """

    candidate: Candidate
    failed: Failed
    tried: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A candidate that is not asked now.

    Attributes:
        cause: the failure it rests after.
    """

    candidate: Candidate
    cause: FailureClass | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """Whom to ask now.

    Attributes:
        next: None when nobody is left, or when another model cannot help.
        cooldowns: what is known from now on; keep it.
        reason: in words, for the log.
        skipped: candidates passed over.
    """

    next: Candidate | None
    cooldowns: Cooldowns
    reason: str
    skipped: tuple[Skipped, ...] = field(default=())


def decide_fallback(
    failure: Failure | None, candidates: Sequence[Candidate], cooldowns: Cooldowns, now: datetime
) -> Decision:
    """Choose the model to ask, at the start of a request (no failure yet) and after each failure in it.

    Resting candidates are passed over; when nobody else is left, those whose rest is only our caution are asked all
    the same, in order of preference. A rest that has ended makes the primary first choice again.

    Args:
        failure: the last failure of this request.
        candidates: the primary first.
        cooldowns: what is known of them.
        now: aware UTC.
    """
    tried: set[str] = set()
    if failure is not None:
        kind = classify(failure.failed)
        cooldowns = after_failure(failure.candidate, failure.failed, cooldowns, now)
        if kind in STOPS:
            return Decision(None, cooldowns, f"{kind}: another model cannot help")
        tried = {candidate.key for candidate in failure.tried} | {failure.candidate.key}
    left = [candidate for candidate in candidates if candidate.key not in tried]
    known = {candidate.key: cooldowns.get(candidate.key, Cooldown()) for candidate in left}
    resting = [candidate for candidate in left if known[candidate.key].rests(now)]
    skipped = tuple(_skip(candidate, known[candidate.key]) for candidate in resting)
    for candidate in left:
        if candidate not in resting:
            return Decision(candidate, cooldowns, "the first that is not resting", _before(candidate, left, skipped))
    for candidate in resting:
        if not known[candidate.key].firm:
            others = tuple(skip for skip in skipped if skip.candidate != candidate)
            return Decision(candidate, cooldowns, "all rest; its rest is only caution", others)
    return Decision(None, cooldowns, "nobody is left to ask", skipped)


def classify(failed: Failed) -> FailureClass:
    """What a failure means for the choice of the next model; a provider's code first, then its words."""
    if found := _BY_CODE.get(failed.code):
        return found
    words = failed.message[:_MAX_READ]
    if failed.kind == "invalid_request":
        if failed.status == _NOT_FOUND or _MODEL_WORDS.search(words):
            return "model_not_found"
        if _CONTEXT_WORDS.search(words):
            return "context"
    if failed.kind in {"invalid_request", "denied"} and _BILLING_WORDS.search(words):
        return "billing"
    return _BY_KIND[failed.kind]


def after_failure(candidate: Candidate, failed: Failed, cooldowns: Cooldowns, now: datetime) -> dict[str, Cooldown]:
    """What is known after a failure. A rest under way gives way only to the provider's own word."""
    kind = classify(failed)
    kept = dict(cooldowns)
    if kind in _NO_REST:
        return kept
    old = _remembered(kept.get(candidate.key, Cooldown()), now)
    told = _told(failed, now)
    if old.rests(now) and old.until is not None and (told is None or (old.firm and told <= old.until)):
        return kept
    failures = old.failures + 1
    billings = old.billings + (kind == "billing")
    until = told or now + timedelta(seconds=_guess_s(kind, failures, billings))
    kept[candidate.key] = Cooldown(
        failures, billings, until, firm=told is not None or kind == "usage_limit", reason=kind
    )
    return kept


def after_success(candidate: Candidate, cooldowns: Cooldowns) -> dict[str, Cooldown]:
    """What is known after an answer: nothing is held against it any more."""
    return {key: value for key, value in cooldowns.items() if key != candidate.key}


def rest_of(candidate: Candidate, cooldowns: Cooldowns, now: datetime) -> Cooldown | None:
    """The rest a candidate is in, if it is in one."""
    known = cooldowns.get(candidate.key)
    return known if known is not None and known.rests(now) else None


def dump_cooldowns(cooldowns: Cooldowns) -> dict[str, Any]:
    """As JSON values."""
    return {
        key: {
            "failures": value.failures,
            "billings": value.billings,
            "until": value.until.isoformat() if value.until else None,
            "firm": value.firm,
            "reason": value.reason,
        }
        for key, value in cooldowns.items()
    }


def parse_cooldowns(data: object) -> dict[str, Cooldown]:
    """From JSON values; an entry that is not understood is left out, since forgetting a rest does no harm."""
    found: dict[str, Cooldown] = {}
    for key, value in data.items() if isinstance(data, dict) else ():
        try:
            until = datetime.fromisoformat(value["until"]) if value["until"] else None
            if until is not None and until.tzinfo is None:
                continue
            entry = Cooldown(int(value["failures"]), int(value["billings"]), until, firm=value["firm"] is True)
        except (KeyError, TypeError, ValueError):
            continue
        reason = value.get("reason")
        known = next((name for name in {*_BY_KIND.values(), *_BY_CODE.values()} if name == reason), None)
        found[str(key)] = replace(entry, reason=known)
    return found


def _remembered(known: Cooldown, now: datetime) -> Cooldown:
    """Failures long ago say nothing about today."""
    return Cooldown() if known.until is not None and now >= known.until + FORGET_AFTER else known


def _told(failed: Failed, now: datetime) -> datetime | None:
    """When the provider says it may be asked again: the later of its two ways to say so, if that lies ahead."""
    times = [failed.resets_at] if failed.resets_at else []
    if failed.retry_after_s is not None and failed.retry_after_s <= LONGEST_RESET.total_seconds():
        times.append(now + timedelta(seconds=failed.retry_after_s))
    return max((moment for moment in times if now < moment <= now + LONGEST_RESET), default=None)


def _guess_s(kind: FailureClass, failures: int, billings: int) -> float:
    if kind == "billing":
        return float(min(BILLING_S << min(billings - 1, 10), BILLING_MAX_S))
    if kind == "usage_limit":
        return USAGE_LIMIT_S
    return STEPS_S[min(failures, len(STEPS_S)) - 1]


def _skip(candidate: Candidate, known: Cooldown) -> Skipped:
    return Skipped(candidate, known.reason, known.until)


def _before(chosen: Candidate, left: Sequence[Candidate], skipped: Sequence[Skipped]) -> tuple[Skipped, ...]:
    earlier = set(left[: left.index(chosen)])
    return tuple(skip for skip in skipped if skip.candidate in earlier)
