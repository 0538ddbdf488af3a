"""The gateway's durable facts: tenant keys, the ledger, and how far budgets are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Result, Row, case, func, select, true

from gateway.schema import budget_counter, budget_reservation, model_request, tenant_key
from shared.clock import SYSTEM_CLOCK, Clock
from shared.storage import Database, insert_new, upsert


@dataclass(frozen=True, slots=True)
class TenantKey:
    """What the gateway keeps of a tenant's key.

    Attributes:
        sha256: hash of the key in hex.
        uid: user id the tenant runs as; a peer of any other user is refused.
    """

    tenant: str
    sha256: str
    uid: int


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One model call.

    Attributes:
        bucket: what it was paid from (``policies/budgets.toml``).
        cost_micros: at list prices, in millionths of a dollar.
        premium_micros: GitHub premium requests, in millionths.
    """

    at: datetime
    tenant: str
    worker_id: str
    route: str
    provider: str
    model: str
    status: int
    input_tokens: int
    output_tokens: int
    first_byte_ms: float
    total_ms: float
    tenant_group: str = ""
    run_id: str = ""
    bucket: str = ""
    auth: str = ""
    outcome: str = ""
    cached_tokens: int = 0
    cost_micros: int = 0
    premium_micros: int = 0
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Demand:
    """A part of a reservation: so much of one budget.

    Attributes:
        scope: whose budget it is.
        amount: set aside now.
        limit: what the budget allows in its window.
        ends_at: when a window that begins now would end; None when it never does.
    """

    name: str
    scope: str
    amount: int
    limit: int
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counter:
    """How far a budget is used; amounts in the budget's small unit."""

    name: str
    scope: str
    used: int
    reserved: int
    started_at: datetime
    ends_at: datetime | None


class _RefusedError(Exception):
    """Rolls a reservation back as a whole."""

    def __init__(self, counter: Counter) -> None:
        super().__init__(counter.name)
        self.counter = counter


class GatewayStore:
    """Reads and writes of the gateway's database."""

    def __init__(self, database: Database, clock: Clock = SYSTEM_CLOCK) -> None:
        self._database = database
        self._clock = clock

    async def put_key(self, key: TenantKey) -> None:
        """Replace a tenant's key; the one of its last start is worthless from now on."""
        values = {"tenant": key.tenant, "sha256": key.sha256, "uid": key.uid, "created_at": self._clock.now()}
        await self._database.write(lambda connection: upsert(connection, tenant_key, values, key=["tenant"]))

    async def keys(self) -> dict[str, TenantKey]:
        """All keys by tenant."""
        columns = (tenant_key.c.tenant, tenant_key.c.sha256, tenant_key.c.uid)

        def query(connection: Connection) -> dict[str, TenantKey]:
            return {
                row.tenant: TenantKey(row.tenant, row.sha256, row.uid) for row in connection.execute(select(*columns))
            }

        return await self._database.read(query)

    async def record(self, entry: LedgerEntry) -> None:
        """Write one model call into the ledger."""
        await self._database.write(lambda connection: _insert_entry(connection, entry))

    async def reserve(self, reservation: str, demands: Sequence[Demand]) -> Counter | None:
        """Set aside what a call may cost, in all its budgets or in none.

        Returns:
            The counter of the budget that has no room for it; None when all is set aside.
        """
        now = self._clock.now()

        def work(connection: Connection) -> None:
            for demand in demands:
                _open_window(connection, demand, now)
                counter = budget_counter
                here = (counter.c.name == demand.name) & (counter.c.scope == demand.scope)
                # One statement checks and takes, so that it also holds where several writers share a server.
                room = counter.c.used + counter.c.reserved + demand.amount <= demand.limit
                taken = connection.execute(
                    counter.update().where(here & room).values(reserved=counter.c.reserved + demand.amount)
                )
                if taken.rowcount != 1:
                    raise _RefusedError(_counter(connection.execute(select(counter).where(here)).one()))
                values = {"reservation": reservation, "name": demand.name, "scope": demand.scope}
                connection.execute(budget_reservation.insert().values(**values, amount=demand.amount, at=now))

        try:
            await self._database.write(work)
        except _RefusedError as refused:
            return refused.counter
        return None

    async def settle(self, reservation: str, charges: Mapping[tuple[str, str], int], entry: LedgerEntry | None) -> None:
        """Replace what was set aside by what it cost, and write the call into the ledger, in one transaction.

        Args:
            reservation: the name given to `reserve`; settled ones are not charged again.
            charges: cost by ``(name, scope)``; a budget that is not named is charged nothing.
            entry: the call; None when it was never made.
        """

        def work(connection: Connection) -> None:
            for held in _take_held(connection, budget_reservation.c.reservation == reservation):
                _charge(connection, held, charges.get((held.name, held.scope), 0))
            if entry is not None:
                _insert_entry(connection, entry)

        await self._database.write(work)

    async def charge_abandoned(self) -> int:
        """At start: calls a dead process had under way are charged in full, since nobody knows what they cost."""

        def work(connection: Connection) -> int:
            held_rows = _take_held(connection, true())
            for held in held_rows:
                _charge(connection, held, held.amount)
            return len({held.reservation for held in held_rows})

        return await self._database.write(work)

    async def forget_counters(self, before: datetime) -> int:
        """Drop counters whose window ended before a moment and that nothing is set aside in."""
        ended = (budget_counter.c.ends_at < before) & (budget_counter.c.reserved == 0)
        return await self._database.write(
            lambda connection: connection.execute(budget_counter.delete().where(ended)).rowcount
        )

    async def counters(self) -> list[Counter]:
        """All budget counters."""
        statement = select(budget_counter).order_by(budget_counter.c.name, budget_counter.c.scope)
        return await self._database.read(lambda connection: [_counter(row) for row in connection.execute(statement)])

    async def usage(self, *, since: datetime | None = None, tenant: str = "") -> list[dict[str, str | int]]:
        """Calls, tokens and costs by tenant, provider, bucket and model.

        Args:
            since: only calls from then on.
            tenant: only its calls.
        """
        calls = model_request.c
        key = (calls.tenant, calls.provider, calls.bucket, calls.model)
        totals = (
            func.count().label("requests"),
            func.sum(case((calls.status >= _FIRST_ERROR, 1), else_=0)).label("errors"),
            *(func.sum(column).label(column.name) for column in _summed()),
        )
        statement = select(*key, *totals).group_by(*key).order_by(*key)
        if since is not None:
            statement = statement.where(calls.at >= since)
        if tenant:
            statement = statement.where(calls.tenant == tenant)
        return await self._database.read(lambda connection: _plain_rows(connection.execute(statement)))

    async def bucket_usage(self, bucket: str, since: datetime | None) -> dict[str, str | int]:
        """What went through one bucket since a moment."""
        calls = model_request.c
        statement = select(func.count().label("requests"), *(func.sum(c).label(c.name) for c in _summed()))
        statement = statement.where(calls.bucket == bucket)
        if since is not None:
            statement = statement.where(calls.at >= since)
        return (await self._database.read(lambda connection: _plain_rows(connection.execute(statement))))[0]


_FIRST_ERROR = 400


def _summed() -> tuple[Column[Any], ...]:
    calls = model_request.c
    return (calls.input_tokens, calls.output_tokens, calls.cached_tokens, calls.cost_micros, calls.premium_micros)


def _plain_rows(result: Result[Any]) -> list[dict[str, str | int]]:
    # PostgreSQL sums whole numbers into decimals, and an empty sum is no number at all.
    return [
        {name: value if isinstance(value, str) else int(value or 0) for name, value in row.items()}
        for row in result.mappings()
    ]


def _insert_entry(connection: Connection, entry: LedgerEntry) -> None:
    values = {name: getattr(entry, name) for name in LedgerEntry.__slots__}
    connection.execute(model_request.insert().values(values))


def _open_window(connection: Connection, demand: Demand, now: datetime) -> None:
    """Make the counter, or begin it anew when its window has ended; what is set aside goes along."""
    values = {"name": demand.name, "scope": demand.scope, "used": 0, "started_at": now, "ends_at": demand.ends_at}
    if insert_new(connection, budget_counter, {**values, "reserved": 0}):
        return
    here = (budget_counter.c.name == demand.name) & (budget_counter.c.scope == demand.scope)
    ends_at = budget_counter.c.ends_at
    fresh = {"used": 0, "started_at": now, "ends_at": demand.ends_at}
    connection.execute(budget_counter.update().where(here & (ends_at <= now)).values(**fresh))
    # An operator may have changed the rule in the middle of a window; what is used stays used.
    changed = ends_at.is_not(None) if demand.ends_at is None else ends_at.is_(None) | (ends_at > demand.ends_at)
    connection.execute(budget_counter.update().where(here & changed).values(ends_at=demand.ends_at))


@dataclass(frozen=True, slots=True)
class _Held:
    reservation: str
    name: str
    scope: str
    amount: int


def _take_held(connection: Connection, which: ColumnElement[bool]) -> list[_Held]:
    rows = connection.execute(select(budget_reservation).where(which)).all()
    connection.execute(budget_reservation.delete().where(which))
    return [_Held(row.reservation, row.name, row.scope, row.amount) for row in rows]


def _charge(connection: Connection, held: _Held, cost: int) -> None:
    counter = budget_counter.c
    here = (counter.name == held.name) & (counter.scope == held.scope)
    values = {"reserved": counter.reserved - held.amount, "used": counter.used + cost}
    connection.execute(budget_counter.update().where(here).values(**values))


def _counter(row: Row[Any]) -> Counter:
    return Counter(row.name, row.scope, row.used, row.reserved, row.started_at, row.ends_at)
