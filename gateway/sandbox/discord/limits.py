"""Rate limits: per-route buckets, the global one, and the count of invalid requests."""

from __future__ import annotations

import hashlib
import math
from collections import deque
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from gateway.sandbox.discord.errors import ApiError
from shared.clock import Clock

INVALID_WINDOW_S = 600.0
_STALE_BUCKETS = 1_000


@dataclass(frozen=True, slots=True)
class Rule:
    """So many calls in so many seconds; `ops` may hold wildcards."""

    ops: str
    limit: int
    per_s: float


@dataclass(frozen=True, slots=True)
class LimitPolicy:
    """How strict the emulator is. The numbers are what others have seen of Discord, which documents none.

    Attributes:
        rules: the first that fits an operation is its bucket.
        per_second: calls a second of one bot over all routes; interaction answers are free.
        invalid_limit: 401, 403 and 429 answers in ten minutes before everything is refused at the edge.
        identify_limit: IDENTIFYs of one bot in 24 hours; one more resets its token.
        identify_interval_s: least time between two IDENTIFYs of one bot, 0 for any. Discord has 5.
        limit_people: whether people's tokens are limited too; a test harness stands for many people.
    """

    rules: tuple[Rule, ...] = (
        Rule("message.create", 5, 5.0),
        Rule("message.edit", 5, 5.0),
        Rule("message.delete", 5, 1.0),
        Rule("reaction.*", 1, 0.25),
        Rule("typing", 5, 5.0),
        Rule("dm.open", 10, 10.0),
        Rule("commands.*", 20, 20.0),
        Rule("interaction.followup", 5, 2.0),
        Rule("interaction.*", 30, 10.0),
        Rule("*", 50, 1.0),
    )
    per_second: int = 50
    invalid_limit: int = 10_000
    identify_limit: int = 1_000
    identify_interval_s: float = 0.0
    limit_people: bool = False

    def rule(self, op: str) -> Rule:
        """The bucket's rule for an operation."""
        return next(rule for rule in self.rules if fnmatchcase(op, rule.ops))


@dataclass(slots=True)
class _Bucket:
    rule: Rule
    name: str
    opened_at: float
    used: int = 0


@dataclass(slots=True)
class RateLimiter:
    """Counts calls and refuses those over the limit.

    Attributes:
        hits: how many calls were refused with 429, by operation.
        invalid: monotonic times of recent 401, 403 and 429 answers.
    """

    policy: LimitPolicy
    clock: Clock
    hits: dict[str, int] = field(default_factory=dict)
    invalid: deque[float] = field(default_factory=deque)
    _buckets: dict[tuple[int, str, str], _Bucket] = field(default_factory=dict)
    _global: dict[int, deque[float]] = field(default_factory=dict)

    def spend(self, caller_id: int, op: str, major: str) -> dict[str, str]:
        """Count a call in its bucket and return the rate-limit headers.

        Args:
            caller_id: whose bucket, 0 for calls without a token.
            op: the operation.
            major: the channel, guild or webhook the bucket belongs to.

        Raises:
            ApiError: 429 with the headers and the time to wait.
        """
        self._spend_global(caller_id, op)
        now = self.clock.monotonic()
        rule = self.policy.rule(op)
        name = hashlib.sha256(rule.ops.encode()).hexdigest()[:32]
        key = (caller_id, rule.ops, major)
        bucket = self._buckets.get(key)
        if bucket is None or now - bucket.opened_at >= rule.per_s:
            self._forget_stale(now)
            bucket = self._buckets[key] = _Bucket(rule, name, now)
        wait_s = bucket.opened_at + rule.per_s - now
        if bucket.used >= rule.limit:
            raise self._refuse(op, wait_s, self._headers(bucket, wait_s), scope="user")
        bucket.used += 1
        return self._headers(bucket, wait_s)

    def note_answer(self, status: int, *, shared: bool = False) -> None:
        """Count an answer toward the invalid-request limit."""
        if status in (401, 403) or (status == 429 and not shared):
            self.invalid.append(self.clock.monotonic())

    @property
    def is_banned(self) -> bool:
        """Whether so many invalid requests came that the edge refuses this address."""
        while self.invalid and self.clock.monotonic() - self.invalid[0] > INVALID_WINDOW_S:
            self.invalid.popleft()
        return len(self.invalid) > self.policy.invalid_limit

    def _spend_global(self, caller_id: int, op: str) -> None:
        if op.startswith("interaction."):
            return
        now = self.clock.monotonic()
        recent = self._global.setdefault(caller_id, deque())
        while recent and now - recent[0] >= 1.0:
            recent.popleft()
        if len(recent) >= self.policy.per_second:
            raise self._refuse(op, recent[0] + 1.0 - now, {"X-RateLimit-Global": "true"}, scope="global")
        recent.append(now)

    def _refuse(self, op: str, wait_s: float, headers: dict[str, str], *, scope: str) -> ApiError:
        self.hits[op] = self.hits.get(op, 0) + 1
        return rate_limited(wait_s, headers, scope=scope)

    def _headers(self, bucket: _Bucket, wait_s: float) -> dict[str, str]:
        reset_at = self.clock.now().timestamp() + wait_s
        return {
            "X-RateLimit-Limit": str(bucket.rule.limit),
            "X-RateLimit-Remaining": str(max(0, bucket.rule.limit - bucket.used)),
            "X-RateLimit-Reset": f"{reset_at:.3f}",
            "X-RateLimit-Reset-After": f"{max(wait_s, 0.001):.3f}",
            "X-RateLimit-Bucket": bucket.name,
        }

    def _forget_stale(self, now: float) -> None:
        if len(self._buckets) > _STALE_BUCKETS:
            self._buckets = {k: b for k, b in self._buckets.items() if now - b.opened_at < b.rule.per_s}


def rate_limited(wait_s: float, headers: dict[str, str], *, scope: str) -> ApiError:
    """The 429 answer. `scope` is ``user``, ``global`` or ``shared``."""
    told = round(max(wait_s, 0.001), 3)
    more = {"X-RateLimit-Scope": scope, "Retry-After": str(math.ceil(told)), **headers}
    extra = {"retry_after": told, "global": scope == "global"}
    return ApiError(429, 0, "You are being rate limited.", headers=more, extra=extra)
