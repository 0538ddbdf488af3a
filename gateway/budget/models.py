"""Values of one call: what it may cost, what it cost, and the room taken for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.budget.policy import Unit
from gateway.store import Demand
from shared.errors import RateLimited


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a call may cost at most, as far as its request tells."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What a call cost, in the small unit of each kind."""

    usd: int = 0
    tokens: int = 0
    requests: int = 0
    premium_requests: int = 0

    def of(self, unit: Unit) -> int:
        """The amount in one unit."""
        amounts: Mapping[Unit, int] = {
            "usd": self.usd,
            "tokens": self.tokens,
            "requests": self.requests,
            "premium_requests": self.premium_requests,
        }
        return amounts[unit]


@dataclass(slots=True)
class Reservation:
    """Room taken for one call.

    Attributes:
        demands: what was set aside; none when no budget applies.
        settled: it was given back; a second time changes nothing.
    """

    id: str
    run_id: str
    estimate: Estimate
    demands: tuple[Demand, ...] = ()
    units: Mapping[str, Unit] = field(default_factory=dict)
    settled: bool = False


class BudgetExhaustedError(RateLimited):
    """There is no room in a budget. Trying again before it resets is of no use, so clients are told not to."""

    code = "budget.exhausted"
    retryable = False


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """A budget that had no room for a call.

    Attributes:
        scope: whose it is, as a counter names it; of a budget per run only the tenant.
        period: names the window: its end, or for a budget per run the day, and the limit that was reached.
        detail: for a person.
    """

    name: str
    scope: str
    period: str
    detail: str
