"""What a model call costs, what it is paid from, and whether there is still room for it.

Room is taken before a call is sent and replaced by the real cost after it, both in the database's one write thread:
however many calls run at once, what is used and set aside together never passes the limit when a call is let through.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from gateway.modelproxy.identity import ModelIdentity, RequestRecord
from gateway.store import Counter, Demand, GatewayStore, LedgerEntry
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.config.toml import load_policy
from shared.errors import RateLimited
from shared.gatewayclient.models import Slug
from shared.ids import new_id
from shared.lifecycle.tasks import TaskPool
from shared.providers.catalog import Catalog, load_catalog, shipped_catalog

Unit = Literal["usd", "tokens", "requests", "premium_requests"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,38}$")]

SCALE: Final[Mapping[Unit, int]] = {"usd": 1_000_000, "tokens": 1, "requests": 1, "premium_requests": 1_000_000}
"""Small units in one; counters hold whole small units."""

_RUN_KEPT: Final = timedelta(days=7)
_BYTES_PER_TOKEN = 3
_NO_RESET_S = 24 * 3600.0
_FIRST_ERROR = 400
_DRAIN_S = 5.0
_RUN_ID_CHARS = 64
_DECEMBER = 12


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ResetRule(_Table):
    """When a window begins anew; days, weeks (Monday) and months are those of UTC.

    Attributes:
        hours: for ``hours``: how long a window is; it begins with the first call after the last one ended.
        day: for ``month``: its first day.
    """

    every: Literal["never", "hours", "day", "week", "month"] = "never"
    hours: float = Field(default=5.0, gt=0, le=24 * 366)
    day: int = Field(default=1, ge=1, le=28)

    def end_of(self, now: datetime) -> datetime | None:
        """When a window that holds `now` ends; None for never."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        match self.every:
            case "never":
                return None
            case "hours":
                return now + timedelta(hours=self.hours)
            case "day":
                return midnight + timedelta(days=1)
            case "week":
                return midnight + timedelta(days=7 - now.weekday())
            case "month":
                this = midnight.replace(day=self.day)
                if now < this:
                    return this
                later = this.month == _DECEMBER
                return this.replace(year=this.year + later, month=1 if later else this.month + 1)

    def start_of(self, now: datetime) -> datetime | None:
        """When the window that holds `now` began, as far as the calendar knows; for ``hours`` that long ago."""
        end = self.end_of(now)
        if end is None:
            return None
        match self.every:
            case "hours":
                return now - timedelta(hours=self.hours)
            case "day":
                return end - timedelta(days=1)
            case "week":
                return end - timedelta(days=7)
            case _:
                first = end.month == 1
                return end.replace(year=end.year - first, month=_DECEMBER if first else end.month - 1)


class BucketPolicy(_Table):
    """What calls are paid from.

    Attributes:
        auth: kinds of credential; none named means any.
        models: patterns; none named means any.
        allowance: what a window gives, in `unit`; 0 when not known.
    """

    enabled: bool = True
    kind: Literal["plan_window", "agent_sdk_credit", "extra_usage", "prepaid_key", "included", "premium_requests"]
    provider: Literal["claude", "codex", "copilot"]
    auth: tuple[Literal["oauth", "api_key", "token"], ...] = ()
    models: tuple[str, ...] = ()
    unit: Unit = "tokens"
    allowance: float = Field(default=0, ge=0)
    reset: ResetRule = ResetRule()


class LimitPolicy(_Table):
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


class Price(_Table):
    """US dollars for a million tokens, which is also millionths of a dollar for one."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached: float = Field(ge=0)


class BudgetsPolicy(_Table):
    """``policies/budgets.toml``."""

    default_output_tokens: int = Field(default=4096, ge=0)
    buckets: dict[Name, BucketPolicy] = {}
    budgets: dict[Name, LimitPolicy] = {}
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


class Tariff:
    """What calls cost and what they are paid from, by policy and catalogue."""

    def __init__(self, policy: BudgetsPolicy, catalog: Catalog | None = None) -> None:
        self.policy = policy
        self._catalog = catalog or shipped_catalog()

    def cost(self, provider: str, model: str, *, fresh: int, cached: int, output: int) -> Spent:
        """The cost of a call that was sent; `fresh` input tokens are those not read from a cache."""
        price = self.policy.price_of(model)
        usd = math.ceil(fresh * price.input + cached * price.cached + output * price.output)
        # The list of models costs nothing, nor do embeddings.
        is_premium = provider == "copilot" and bool(model) and not model.startswith("text-embedding-")
        multiplier = self._catalog.find(f"copilot/{model}").multiplier if is_premium else 0.0
        scaled = round(multiplier * SCALE["premium_requests"])
        return Spent(usd=usd, tokens=fresh + cached + output, requests=1, premium_requests=scaled)

    def of_estimate(self, provider: str, model: str, estimate: Estimate) -> Spent:
        """What to set aside."""
        return self.cost(provider, model, fresh=estimate.input_tokens, cached=0, output=estimate.output_tokens)

    def of_record(self, record: RequestRecord, estimate: Estimate | None = None) -> Spent:
        """What a finished call cost.

        A call the provider never said the usage of (the caller left, the stream broke) is charged as estimated, since
        it was not free; one that we refused ourselves costs nothing.
        """
        if not record.auth or record.outcome == "refused":
            return Spent()
        provider, model = record.provider, record.model
        unmeasured = not record.input_tokens and not record.output_tokens
        if unmeasured and estimate and (record.status < _FIRST_ERROR or record.outcome in {"cut", "client_gone"}):
            return self.of_estimate(provider, model, estimate)
        cached = min(record.cached_tokens, record.input_tokens)
        fresh = record.input_tokens - cached
        spent = self.cost(provider, model, fresh=fresh, cached=cached, output=record.output_tokens)
        return spent if record.status < _FIRST_ERROR else Spent(spent.usd, spent.tokens, spent.requests)


class Budget:
    """Lets calls through while there is room.

    Args:
        store: where counters are kept.
        policy: buckets, budgets and prices.
        catalog: for premium requests; the shipped one when left out.
        run_of: the run a worker is busy with, by its id; empty when idle.
    """

    def __init__(
        self,
        store: GatewayStore,
        policy: BudgetsPolicy,
        *,
        catalog: Catalog | None = None,
        run_of: Callable[[str], str] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.policy = policy
        self.tariff = Tariff(policy, catalog)
        self._store = store
        self._run_of = run_of
        self._clock = clock
        self._tasks = TaskPool("budget")

    async def close(self) -> None:
        """Finish the writes under way."""
        await self._tasks.drain(_DRAIN_S)
        await self._tasks.close()

    async def recover(self) -> int:
        """At start: charge what a dead process had under way, and forget windows long ended; says how many calls."""
        await self._store.forget_counters(self._clock.now() - _RUN_KEPT)
        return await self._store.charge_abandoned()

    def estimate(self, body: Mapping[str, Any], request_bytes: int) -> Estimate:
        """What a request may cost at most; see `estimate_of`."""
        return estimate_of(body, request_bytes, self.policy)

    async def admit(
        self,
        identity: ModelIdentity,
        provider: str,
        model: str,
        body: Mapping[str, Any],
        request_bytes: int,
        *,
        run_id: str = "",
        auth: str = "",
    ) -> Reservation:
        """`reserve` for a request as the model proxy has it: its body says what it may cost.

        A worker is not asked which run it works for, since an agent that could name its run could name a new one
        for every call.

        Raises:
            BudgetExhaustedError: no room.
        """
        if identity.worker_id:
            run_id = self._run_of(identity.worker_id) if self._run_of else ""
        estimate = self.estimate(body, request_bytes)
        return await self.reserve(identity, provider, model, estimate, run_id=run_id, auth=auth)

    async def reserve(
        self,
        identity: ModelIdentity,
        provider: str,
        model: str,
        estimate: Estimate,
        *,
        run_id: str = "",
        auth: str = "",
    ) -> Reservation:
        """Take room for a call in every budget that applies to it, or in none.

        Args:
            identity: who calls.
            provider: ``claude``, ``codex`` or ``copilot``.
            model: as the request names it.
            estimate: what it may cost at most.
            run_id: the run it belongs to, as the tenant names it.
            auth: kind of credential it will be sent with; empty when not known yet.

        Raises:
            BudgetExhaustedError: no room; the detail quotes the counter and says when it resets.
        """
        reservation = Reservation(new_id("bud"), run_id, estimate)
        spent = self.tariff.of_estimate(provider, model, estimate)
        bucket = self.policy.bucket_of(provider, auth, model)
        now = self._clock.now()
        demands = []
        for name, limit in self.policy.budgets.items():
            amount = spent.of(limit.unit)
            applies = limit.tenant in {"", identity.tenant} and limit.provider in {"", provider}
            if not applies or limit.bucket not in {"", bucket} or not amount:
                continue
            allowed = math.floor(limit.limit * SCALE[limit.unit])
            demands.append(Demand(name, _scope(limit, identity, run_id), amount, allowed, _end(limit, now)))
        if not demands:
            return reservation
        refused = await self._take(reservation.id, demands)
        if refused is not None:
            amount = next(demand.amount for demand in demands if demand.name == refused.name)
            raise self._exhausted(refused, amount, now)
        reservation.demands = tuple(demands)
        reservation.units = {demand.name: self.policy.budgets[demand.name].unit for demand in demands}
        return reservation

    async def _take(self, reservation: str, demands: Sequence[Demand]) -> Counter | None:
        taking = self._tasks.start(self._store.reserve(reservation, demands), name="reserve", watched=True)
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            # The caller left while the write thread was at it: what was set aside must not stay so for ever.
            self._tasks.start(self._give_back(taking, reservation), name="give_back")
            raise

    async def _give_back(self, taking: asyncio.Task[Counter | None], reservation: str) -> None:
        await taking
        await self._store.settle(reservation, {}, None)

    async def settle(self, reservation: Reservation, record: RequestRecord | None) -> None:
        """Charge what a call cost, give back the rest, and write it into the ledger, all in one transaction.

        Args:
            reservation: what `reserve` gave.
            record: the finished call; None when it was never sent, which costs nothing and writes nothing.
        """
        if reservation.settled:
            return
        reservation.settled = True
        charges: dict[tuple[str, str], int] = {}
        entry = None
        if record is not None:
            spent = self.tariff.of_record(record, reservation.estimate)
            entry = self.entry(record, spent, run_id=reservation.run_id)
            charges = {(d.name, d.scope): spent.of(reservation.units[d.name]) for d in reservation.demands}
        if entry is not None or reservation.demands:
            await self._store.settle(reservation.id, charges, entry)

    def entry(self, record: RequestRecord, spent: Spent, *, run_id: str = "") -> LedgerEntry:
        """The ledger's row of a call."""
        return LedgerEntry(
            at=self._clock.now(),
            tenant=record.tenant,
            worker_id=record.worker_id,
            route=record.route,
            provider=record.provider,
            model=record.model,
            status=record.status,
            input_tokens=record.input_tokens,
            output_tokens=record.output_tokens,
            first_byte_ms=record.first_byte_ms,
            total_ms=record.total_ms,
            tenant_group=record.group,
            run_id=run_id[:_RUN_ID_CHARS],
            bucket=self.policy.bucket_of(record.provider, record.auth, record.model) if record.auth else "",
            auth=record.auth,
            outcome=record.outcome,
            cached_tokens=record.cached_tokens,
            cost_micros=spent.usd,
            premium_micros=spent.premium_requests,
            request_id=record.request_id[:80],
        )

    def _exhausted(self, counter: Counter, amount: int, now: datetime) -> BudgetExhaustedError:
        limit = self.policy.budgets[counter.name]
        unit = limit.unit
        resets = f"it resets at {counter.ends_at:%Y-%m-%d %H:%M} UTC" if counter.ends_at else "it does not reset"
        wait_s = max(1.0, (counter.ends_at - now).total_seconds()) if counter.ends_at else _NO_RESET_S
        taken = shown(counter.used + counter.reserved, unit)
        return BudgetExhaustedError(
            f"the budget {counter.name} of {counter.scope} has no room for this call: {taken} of "
            f"{shown(math.floor(limit.limit * SCALE[unit]), unit)} are used or set aside and it may cost "
            f"{shown(amount, unit)}; {resets}. See `clawgate usage`; the limit is [budgets.{counter.name}] in "
            "policies/budgets.toml",
            retry_after_s=wait_s,
        )


def estimate_of(body: Mapping[str, Any], request_bytes: int, policy: BudgetsPolicy) -> Estimate:
    """What a request may cost at most: a token for every three bytes of it, and the longest answer it allows."""
    asked = [body.get(name) for name in ("max_tokens", "max_completion_tokens", "max_output_tokens")]
    named = [value for value in asked if isinstance(value, int) and not isinstance(value, bool) and value >= 0]
    output = max(named, default=policy.default_output_tokens)
    return Estimate(math.ceil(request_bytes / _BYTES_PER_TOKEN), output)


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


def load_budget(
    store: GatewayStore, paths: Paths, *, run_of: Callable[[str], str] | None = None, clock: Clock = SYSTEM_CLOCK
) -> Budget:
    """A budget by the policy files in force; see `Budget` for the rest.

    Raises:
        ConfigError: each problem with file, line and key.
    """
    return Budget(store, load_budgets(paths), catalog=load_catalog(paths), run_of=run_of, clock=clock)


def _scope(limit: LimitPolicy, identity: ModelIdentity, run_id: str) -> str:
    if limit.per == "tenant":
        return identity.tenant
    # A call that names no run still has to count somewhere, or leaving the name out would be a way around the limit.
    return f"{identity.tenant}/{(run_id or identity.worker_id or 'no-run')[:_RUN_ID_CHARS]}"


def _end(limit: LimitPolicy, now: datetime) -> datetime | None:
    return now + _RUN_KEPT if limit.per == "run" else limit.reset.end_of(now)
