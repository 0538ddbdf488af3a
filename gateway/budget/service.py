"""Whether there is still room for a model call.

Room is taken before a call is sent and replaced by the real cost after it, both in the database's one write thread:
however many calls run at once, what is used and set aside together never passes the limit when a call is let through.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.budget.models import BudgetExhaustedError, Estimate, Exhaustion, Reservation, Spent
from gateway.budget.policy import SCALE, BudgetsPolicy, LimitPolicy, load_budgets, shown
from gateway.budget.tariff import Tariff, estimate_of
from gateway.modelproxy.identity import ModelIdentity, RequestRecord
from gateway.store import Counter, Demand, GatewayStore, LedgerEntry
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.ids import new_id
from shared.lifecycle.tasks import TaskPool
from shared.providers.catalog import Catalog, load_catalog

_RUN_KEPT: Final = timedelta(days=7)
_NO_RESET_S = 24 * 3600.0
_DRAIN_S = 5.0
_RUN_ID_CHARS = 64


class Budget:
    """Lets calls through while there is room.

    Args:
        store: where counters are kept.
        policy: buckets, budgets and prices.
        catalog: for premium requests; the shipped one when left out.
        run_of: the run a worker is busy with, by its id; empty when idle.
        on_exhausted: told of every call there was no room for; must not block.
    """

    def __init__(
        self,
        store: GatewayStore,
        policy: BudgetsPolicy,
        *,
        catalog: Catalog | None = None,
        run_of: Callable[[str], str] | None = None,
        on_exhausted: Callable[[Exhaustion], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.policy = policy
        self.tariff = Tariff(policy, catalog)
        self._store = store
        self._run_of = run_of
        self._on_exhausted = on_exhausted
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

        Raises:
            BudgetExhaustedError: no room.
        """
        run_id = self.run_named(identity.worker_id, run_id)
        estimate = self.estimate(body, request_bytes)
        return await self.reserve(identity, provider, model, estimate, run_id=run_id, auth=auth)

    def run_named(self, worker_id: str, named: str) -> str:
        """The run a call belongs to; empty when nobody knows.

        A worker is not asked which run it works for, since an agent that could name its run could name a new one
        for every call.

        Args:
            worker_id: who calls; empty for a tenant itself.
            named: the run as the caller names it.
        """
        if not worker_id:
            return named
        return self._run_of(worker_id) if self._run_of else ""

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
        if not self.policy.budgets:
            return reservation
        spent = self.tariff.of_estimate(provider, model, estimate)
        bucket = self.tariff.bucket_of(provider, auth, model)
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
            error = self._exhausted(refused, amount, now)
            if self._on_exhausted is not None:
                self._on_exhausted(_exhaustion(refused, self.policy.budgets[refused.name], error.detail, now))
            raise error
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
            bucket=self.tariff.bucket_of(record.provider, record.auth, record.model) if record.auth else "",
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


def load_budget(
    store: GatewayStore,
    paths: Paths,
    *,
    run_of: Callable[[str], str] | None = None,
    on_exhausted: Callable[[Exhaustion], None] | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Budget:
    """A budget by the policy files in force; see `Budget` for the rest.

    Raises:
        ConfigError: each problem with file, line and key.
    """
    catalog = load_catalog(paths)
    return Budget(store, load_budgets(paths), catalog=catalog, run_of=run_of, on_exhausted=on_exhausted, clock=clock)


def _exhaustion(counter: Counter, limit: LimitPolicy, detail: str, now: datetime) -> Exhaustion:
    per_run = limit.per == "run"
    window = f"{now:%Y-%m-%d}" if per_run else counter.ends_at.isoformat() if counter.ends_at else "never"
    scope = counter.scope.partition("/")[0] if per_run else counter.scope
    return Exhaustion(counter.name, scope, f"{window}/{limit.limit:g}", detail)


def _scope(limit: LimitPolicy, identity: ModelIdentity, run_id: str) -> str:
    if limit.per == "tenant":
        return identity.tenant
    # A call that names no run still has to count somewhere, or leaving the name out would be a way around the limit.
    return f"{identity.tenant}/{(run_id or identity.worker_id or 'no-run')[:_RUN_ID_CHARS]}"


def _end(limit: LimitPolicy, now: datetime) -> datetime | None:
    return now + _RUN_KEPT if limit.per == "run" else limit.reset.end_of(now)
