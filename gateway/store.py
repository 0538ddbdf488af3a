"""The gateway's durable facts: tenant keys, the ledger, and how far budgets are used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Result, Row, bindparam, case, delete, func, select

from gateway.schema import budget_counter, budget_reservation, model_request, tenant_key
from shared.clock import SYSTEM_CLOCK, Clock
from shared.storage import Batches, Database, insert_new, upsert

_PATIENCE_S = 0.02
"""How long a finished call may wait to be written together with others; a call that begins takes it along."""


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


@dataclass(frozen=True, slots=True)
class _Taking:
    """Room to be set aside for a call."""

    reservation: str
    demands: Sequence[Demand]
    now: datetime


@dataclass(frozen=True, slots=True)
class _Settling:
    """A finished call: what was set aside is replaced by its cost, and it becomes a row."""

    reservation: str = ""
    charges: Mapping[tuple[str, str], int] = field(default_factory=dict)
    entry: LedgerEntry | None = None


class GatewayStore:
    """Reads and writes of the gateway's database."""

    def __init__(self, database: Database, clock: Clock = SYSTEM_CLOCK) -> None:
        self._database = database
        self._clock = clock
        # Money is counted twice for each call, so calls share transactions, and none waits for the disk: what a power
        # cut may cost is the count of the last second.
        self._money: Batches[_Taking | _Settling, Counter | None] = Batches(database, _count_money, sync=False)

    async def put_key(self, key: TenantKey) -> None:
        """Replace a tenant's key; the one of its last start is worthless from now on."""
        values = {"tenant": key.tenant, "sha256": key.sha256, "uid": key.uid, "created_at": self._clock.now()}
        await self._database.write(lambda connection: upsert(connection, tenant_key, values, key=["tenant"]))

    async def drop_key(self, tenant: str) -> None:
        """Forget a tenant's key: nobody comes in with it again."""
        await self._database.write(
            lambda connection: connection.execute(delete(tenant_key).where(tenant_key.c.tenant == tenant))
        )

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
        await self._money.add(_Settling(entry=entry), patience_s=_PATIENCE_S)

    async def forget_calls(self, before: datetime, *, but_of: Sequence[str]) -> int:
        """Drop model calls before a moment from the ledger; says how many.

        Args:
            before: aware.
            but_of: buckets whose calls stay.
        """
        old = (model_request.c.at < before) & model_request.c.bucket.not_in(list(but_of))
        return await self._database.write(
            lambda connection: connection.execute(model_request.delete().where(old)).rowcount
        )

    async def reserve(self, reservation: str, demands: Sequence[Demand]) -> Counter | None:
        """Set aside what a call may cost, in all its budgets or in none.

        Returns:
            The counter of the budget that has no room for it; None when all is set aside.
        """
        return await self._money.add(_Taking(reservation, demands, self._clock.now()))

    async def settle(self, reservation: str, charges: Mapping[tuple[str, str], int], entry: LedgerEntry | None) -> None:
        """Replace what was set aside by what it cost, and write the call into the ledger, in one transaction.

        Args:
            reservation: the name given to `reserve`; settled ones are not charged again.
            charges: cost by ``(name, scope)``; a budget that is not named is charged nothing.
            entry: the call; None when it was never made.
        """
        await self._money.add(_Settling(reservation, charges, entry), patience_s=_PATIENCE_S)

    async def charge_abandoned(self) -> int:
        """At start: calls a dead process had under way are charged in full, since nobody knows what they cost."""

        def work(connection: Connection) -> int:
            held_rows = _take_held(connection)
            _charge(connection, ((held, held.amount) for held in held_rows))
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


def _count_money(connection: Connection, items: Sequence[_Taking | _Settling]) -> list[Counter | None]:
    """Settle what is finished, which makes room; then let calls through in the order in which they came."""
    _settle(connection, [item for item in items if isinstance(item, _Settling)])
    takings = [item for item in items if isinstance(item, _Taking)]
    windows: dict[tuple[str, str], Counter] = {}
    for taking in takings:
        for demand in taking.demands:
            if (demand.name, demand.scope) not in windows:
                windows[demand.name, demand.scope] = _window(connection, demand, taking.now)
    before = dict(windows)
    refused = {taking.reservation: _take(windows, taking) for taking in takings}
    for key, counter in windows.items():
        if counter != before[key]:
            values = {name: getattr(counter, name) for name in ("used", "reserved", "started_at", "ends_at")}
            connection.execute(_SET_COUNTER, {"of_name": counter.name, "of_scope": counter.scope, **values})
    held = [
        {"reservation": taking.reservation, "name": demand.name, "scope": demand.scope, "amount": demand.amount}
        | {"at": taking.now}
        for taking in takings
        if refused[taking.reservation] is None
        for demand in taking.demands
    ]
    if held:
        connection.execute(budget_reservation.insert(), held)
    return [refused[item.reservation] if isinstance(item, _Taking) else None for item in items]


_HERE = (budget_counter.c.name == bindparam("of_name")) & (budget_counter.c.scope == bindparam("of_scope"))
_SET_COUNTER = budget_counter.update().where(_HERE)
# Where several writers share a server, the row is locked until we are done; SQLite has but one writer.
_GET_COUNTER = select(budget_counter).where(_HERE).with_for_update()
_ADD_TO_COUNTER = _SET_COUNTER.values(
    reserved=budget_counter.c.reserved - bindparam("held"), used=budget_counter.c.used + bindparam("cost")
)


def _window(connection: Connection, demand: Demand, now: datetime) -> Counter:
    """The counter that a demand is about; one that is not there yet begins now."""
    here = {"of_name": demand.name, "of_scope": demand.scope}
    row = connection.execute(_GET_COUNTER, here).one_or_none()
    if row is None:
        values = {"name": demand.name, "scope": demand.scope, "used": 0, "reserved": 0}
        insert_new(connection, budget_counter, {**values, "started_at": now, "ends_at": demand.ends_at})
        row = connection.execute(_GET_COUNTER, here).one()
    return _counter(row)


def _take(windows: dict[tuple[str, str], Counter], taking: _Taking) -> Counter | None:
    """Set aside all that a call demands; or nothing, and say which counter has no room."""
    taken: dict[tuple[str, str], Counter] = {}
    for demand in taking.demands:
        key = (demand.name, demand.scope)
        counter = _at(windows[key], demand, taking.now)
        if counter.used + counter.reserved + demand.amount > demand.limit:
            return counter
        taken[key] = replace(counter, reserved=counter.reserved + demand.amount)
    windows |= taken
    return None


def _at(counter: Counter, demand: Demand, now: datetime) -> Counter:
    """A counter as of now: begun anew when its window has ended; what is set aside goes along."""
    if counter.ends_at is not None and counter.ends_at <= now:
        return replace(counter, used=0, started_at=now, ends_at=demand.ends_at)
    # An operator may have changed the rule in the middle of a window; what is used stays used.
    if demand.ends_at is None or counter.ends_at is None or counter.ends_at > demand.ends_at:
        return replace(counter, ends_at=demand.ends_at)
    return counter


def _settle(connection: Connection, settlings: Sequence[_Settling]) -> None:
    charges = {item.reservation: item.charges for item in settlings if item.reservation}
    if charges:
        held_rows = _take_held(connection, list(charges))
        _charge(connection, ((held, charges[held.reservation].get((held.name, held.scope), 0)) for held in held_rows))
    entries = [{name: getattr(item.entry, name) for name in LedgerEntry.__slots__} for item in settlings if item.entry]
    if entries:
        connection.execute(model_request.insert(), entries)


@dataclass(frozen=True, slots=True)
class _Held:
    reservation: str
    name: str
    scope: str
    amount: int


_held = budget_reservation.c
_TAKE_ALL_HELD = budget_reservation.delete().returning(_held.reservation, _held.name, _held.scope, _held.amount)
_TAKE_THESE_HELD = _TAKE_ALL_HELD.where(_held.reservation.in_(bindparam("these", expanding=True)))


def _take_held(connection: Connection, these: Sequence[str] | None = None) -> list[_Held]:
    """Remove what is set aside for these reservations, or for all, and say what it was."""
    if these is None:
        rows = connection.execute(_TAKE_ALL_HELD)
    else:
        rows = connection.execute(_TAKE_THESE_HELD, {"these": these})
    return [_Held(row.reservation, row.name, row.scope, row.amount) for row in rows]


def _charge(connection: Connection, costs: Iterable[tuple[_Held, int]]) -> None:
    """Give back what was set aside and charge what it cost, each counter once."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for held, cost in costs:
        amount, spent = sums.get((held.name, held.scope), (0, 0))
        sums[held.name, held.scope] = amount + held.amount, spent + cost
    for (name, scope), (amount, spent) in sums.items():
        connection.execute(_ADD_TO_COUNTER, {"of_name": name, "of_scope": scope, "held": amount, "cost": spent})


def _counter(row: Row[Any]) -> Counter:
    return Counter(row.name, row.scope, row.used, row.reserved, row.started_at, row.ends_at)
