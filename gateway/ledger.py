"""The ledger: what was asked of which model by whom, and what it cost; written behind the answer, never in its way."""

from __future__ import annotations

import math
import tomllib
from datetime import datetime
from importlib.resources import files
from typing import Any

from gateway.budget.models import Reservation
from gateway.budget.policy import SCALE, BucketPolicy, BudgetsPolicy, LimitPolicy, load_budgets
from gateway.budget.service import Budget
from gateway.modelproxy.counts import ModelCalls
from gateway.modelproxy.identity import RequestRecord
from gateway.reading import existing_database
from gateway.store import Counter, GatewayStore
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)
_DRAIN_S = 5.0


class Ledger:
    """Takes a record from the model proxy and makes it durable.

    Args:
        store: where rows go.
        clock: for their time.
        budget: settles reservations; one by the shipped policy, without limits of its own, when left out.
        calls: counts them for the figures.
    """

    def __init__(
        self,
        store: GatewayStore,
        clock: Clock = SYSTEM_CLOCK,
        *,
        budget: Budget | None = None,
        calls: ModelCalls | None = None,
    ) -> None:
        self._store = store
        self._calls = calls
        self._budget = budget or Budget(store, _shipped_policy(), clock=clock)
        self._tasks = TaskPool("ledger")

    def note(self, record: RequestRecord, reservation: Reservation | None = None) -> None:
        """Write one model call; the room that was reserved for it, if any, is settled in the same transaction."""
        run_id = reservation.run_id if reservation else self._budget.run_named(record.worker_id, record.run_id)
        _log.info(
            "model.called",
            run_id=run_id,
            tenant=record.tenant,
            group=record.group,
            model=record.model,
            status=record.status,
            outcome=record.outcome,
            first_byte_ms=round(record.first_byte_ms, 1),
            total_ms=round(record.total_ms, 1),
        )
        if self._calls is not None:
            self._calls.count(record, self._budget.tariff.of_record(record).usd / SCALE["usd"])
        if reservation is None:
            spent = self._budget.tariff.of_record(record)
            self._tasks.start(self._store.record(self._budget.entry(record, spent, run_id=run_id)), name="write")
        else:
            self._tasks.start(self._budget.settle(reservation, record), name="settle")

    async def close(self) -> None:
        """Finish the writes under way."""
        if not await self._tasks.drain(_DRAIN_S):
            _log.warning("ledger.not_finished", writes=len(self._tasks))
        await self._tasks.close()
        await self._budget.close()


async def usage_report(
    store: GatewayStore, policy: BudgetsPolicy, now: datetime, *, since: datetime | None = None, tenant: str = ""
) -> dict[str, Any]:
    """What `clawgate usage` shows: calls, buckets in their present window, and the budgets' own counters.

    Args:
        store: the gateway's database.
        policy: buckets and budgets.
        now: aware UTC.
        since: calls from then on; None for all. Buckets and budgets have windows of their own.
        tenant: only its calls and budgets.
    """
    buckets = [await _bucket_row(store, name, bucket, now) for name, bucket in policy.buckets.items() if bucket.enabled]
    budgets = await budget_rows(store, policy, now, tenant=tenant)
    calls = await store.usage(since=since, tenant=tenant)
    return {
        "now": now.isoformat(),
        "since": since.isoformat() if since else None,
        "calls": calls,
        "buckets": buckets,
        "budgets": budgets,
    }


async def budget_rows(
    store: GatewayStore, policy: BudgetsPolicy, now: datetime, *, tenant: str = ""
) -> list[dict[str, Any]]:
    """Every budget's counters: how much is used, set aside and left.

    Args:
        store: the gateway's database.
        policy: the budgets.
        now: aware UTC.
        tenant: only its budgets.
    """
    counters = {(counter.name, counter.scope): counter for counter in await store.counters()}
    budgets = []
    for name, limit in policy.budgets.items():
        mine = [counter for (of, _), counter in counters.items() if of == name and _concerns(counter.scope, tenant)]
        budgets += [_budget_row(name, limit, counter, now) for counter in mine]
        if not mine and (not limit.tenant or tenant in {"", limit.tenant}):
            budgets.append(_budget_row(name, limit, None, now, tenant=tenant))
    return budgets


async def read_usage(paths: Paths, now: datetime, *, since: datetime | None = None, tenant: str = "") -> dict[str, Any]:
    """The report from the gateway's database; works whether or not the gateway runs.

    Raises:
        ConfigError: a policy file is wrong, or the database cannot be opened.
    """
    policy = load_budgets(paths)
    async with existing_database(paths) as database:
        if database is not None:
            return await usage_report(GatewayStore(database), policy, now, since=since, tenant=tenant)
    # Nothing was ever asked.
    unused = [
        _budget_row(name, limit, None, now, tenant=tenant)
        for name, limit in policy.budgets.items()
        if not tenant or limit.tenant in {"", tenant}
    ]
    return {"now": now.isoformat(), "since": None, "calls": [], "buckets": [], "budgets": unused}


async def _bucket_row(store: GatewayStore, name: str, bucket: BucketPolicy, now: datetime) -> dict[str, Any]:
    start = bucket.reset.start_of(now)
    totals = await store.bucket_usage(name, start)
    used = {
        "usd": totals["cost_micros"],
        "tokens": int(totals["input_tokens"]) + int(totals["output_tokens"]),
        "requests": totals["requests"],
        "premium_requests": totals["premium_micros"],
    }[bucket.unit]
    end = None if bucket.reset.every == "hours" else bucket.reset.end_of(now)
    return {
        "name": name,
        "kind": bucket.kind,
        "provider": bucket.provider,
        "unit": bucket.unit,
        "used": int(used) / SCALE[bucket.unit],
        "allowance": bucket.allowance or None,
        "window": bucket.reset.every if bucket.reset.every != "hours" else f"{bucket.reset.hours:g} h",
        "window_start": start.isoformat() if start else None,
        "resets_at": end.isoformat() if end else None,
        "requests": totals["requests"],
        "cost_usd": int(totals["cost_micros"]) / SCALE["usd"],
    }


def _budget_row(
    name: str, limit: LimitPolicy, counter: Counter | None, now: datetime, *, tenant: str = ""
) -> dict[str, Any]:
    """One counter, or a budget that nobody has used yet: its scope is empty when each tenant has it for itself."""
    scale = SCALE[limit.unit]
    allowed = math.floor(limit.limit * scale)
    ended = counter is not None and counter.ends_at is not None and counter.ends_at <= now
    used = 0 if counter is None or ended else counter.used
    reserved = counter.reserved if counter else 0
    resets_at = counter.ends_at if counter and not ended else None
    return {
        "name": name,
        "scope": counter.scope if counter else limit.tenant or tenant,
        "unit": limit.unit,
        "limit": limit.limit,
        "used": used / scale,
        "reserved": reserved / scale,
        "left": max(0, allowed - used - reserved) / scale,
        "resets_at": resets_at.isoformat() if resets_at else None,
    }


def _concerns(scope: str, tenant: str) -> bool:
    return not tenant or scope.partition("/")[0] == tenant


def _shipped_policy() -> BudgetsPolicy:
    text = (files("policies") / "budgets.toml").read_text(encoding="utf-8")
    return BudgetsPolicy.model_validate(tomllib.loads(text))
