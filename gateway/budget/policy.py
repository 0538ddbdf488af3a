"""``policies/budgets.toml``: buckets, limits and prices, as an operator writes them."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from gateway.budget.windows import ResetRule
from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy
from shared.gatewayclient.models import Slug

Unit = Literal["usd", "tokens", "requests", "premium_requests"]
BucketKind = Literal[
    "plan_window", "agent_sdk_credit", "extra_usage", "prepaid_key", "included", "premium_requests", "ai_credits"
]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}$")]

SCALE: Final[Mapping[Unit, int]] = {"usd": 1_000_000, "tokens": 1, "requests": 1, "premium_requests": 1_000_000}
"""Small units in one; counters hold whole small units."""


class BucketPolicy(Strict):
    """What calls are paid from.

    Attributes:
        auth: kinds of credential; none named means any.
        models: patterns; none named means any.
        allowance: what a window gives, in `unit`; 0 when not known.
    """

    enabled: bool = True
    kind: BucketKind
    provider: Literal["claude", "codex", "copilot"]
    auth: tuple[Literal["oauth", "api_key", "token"], ...] = ()
    models: tuple[str, ...] = ()
    unit: Unit = "tokens"
    allowance: float = Field(default=0, ge=0)
    reset: ResetRule = ResetRule()


class LimitPolicy(Strict):
    """How much may be spent.

    Attributes:
        tenant: empty means every tenant, each for itself.
        per: ``run`` counts each run for itself.
        provider: empty means all.
        bucket: empty means all.
    """

    tenant: Slug | Literal[""] = ""
    per: Literal["tenant", "run"] = "tenant"
    provider: Literal["", "claude", "codex", "copilot"] = ""
    bucket: str = ""
    unit: Unit = "usd"
    limit: float = Field(ge=0, le=1e12)
    reset: ResetRule = ResetRule()


class Rates(Strict):
    """US dollars for a million tokens, which is also millionths of a dollar for one."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float = Field(ge=0)


class LongRates(Rates):
    """What every token of a call costs once its prompt is long.

    Attributes:
        above: prompts of more tokens than this are long; cached ones count.
    """

    above: int = Field(gt=0)


class Price(Rates):
    """A model's list price."""

    long: LongRates | None = None

    def rates_for(self, prompt_tokens: int) -> Rates:
        """What a call with such a prompt is charged at."""
        return self.long if self.long is not None and prompt_tokens > self.long.above else self


class BudgetsPolicy(Strict):
    """``policies/budgets.toml``."""

    default_output_tokens: int = Field(default=4096, ge=0)
    buckets: dict[Name, BucketPolicy] = Field(default_factory=dict)
    budgets: dict[Name, LimitPolicy] = Field(default_factory=dict)
    prices: dict[str, Price]

    @field_validator("prices")
    @classmethod
    def _something_for_all(cls, prices: dict[str, Price]) -> dict[str, Price]:
        if "*" not in prices:
            raise ValueError('the pattern "*" is missing: a model without a price must not be free')
        return prices

    @model_validator(mode="after")
    def _buckets_exist(self) -> BudgetsPolicy:
        for name, limit in self.budgets.items():
            if limit.bucket and limit.bucket not in self.buckets:
                raise ValueError(f"budgets.{name}: there is no bucket {limit.bucket!r}; there are {list(self.buckets)}")
        return self

    def bucket_of(self, provider: str, auth: str, model: str) -> str:
        """What a call is paid from; empty when no bucket fits."""
        for name, bucket in self.buckets.items():
            if (
                bucket.enabled
                and bucket.provider == provider
                and (not bucket.auth or not auth or auth in bucket.auth)
                and (not bucket.models or any(fnmatchcase(model, pattern) for pattern in bucket.models))
            ):
                return name
        return ""

    def price_of(self, model: str) -> Price:
        """A model's list price; the longest pattern that fits counts."""
        fitting = [pattern for pattern in self.prices if fnmatchcase(model, pattern)]
        return self.prices[max(fitting, key=len, default="*")]


def shown(amount: int, unit: Unit) -> str:
    """An amount for a person."""
    if unit == "usd":
        return f"${amount / SCALE[unit]:.4f}" if 0 < amount < SCALE[unit] // 100 else f"${amount / SCALE[unit]:.2f}"
    return f"{amount / SCALE[unit]:g} {unit.replace('_', ' ')}"


def load_budgets(paths: Paths) -> BudgetsPolicy:
    """The policy in force.

    Raises:
        ConfigError: each problem with file, line and key.
    """
    return load_policy("budgets", BudgetsPolicy, paths)
