"""The log of web requests, which also is what a run's budget is counted in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select, update

from gateway.egress.schema import request_table
from shared.clock import SYSTEM_CLOCK, Clock
from shared.storage import Database

RequestKind = Literal["fetch", "redirect", "search", "webhook"]
RequestDecision = Literal["allowed", "denied", "failed"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """An address somebody wants: never more of it than the host.

    Attributes:
        host: empty when the address could not be read.
    """

    tenant: str
    group: str
    run_id: str
    kind: RequestKind
    host: str


class EgressStore:
    """The table `egress_request`."""

    def __init__(self, database: Database, clock: Clock = SYSTEM_CLOCK) -> None:
        self._database = database
        self._clock = clock
        self._table = request_table()
        self.decisions: Counter[str] = Counter()

    async def begin(self, wanted: Wanted, *, most_bytes: int, run_requests: int, run_bytes: int) -> int | None:
        """Note that a request begins, if its run's budget has room for it; returns its id, else None.

        Args:
            wanted: by whom, and what.
            most_bytes: set aside until it is settled.
            run_requests: allowed in the run.
            run_bytes: allowed in the run.
        """
        table = self._table
        values = self._values(wanted) | {"state": "open", "decision": "allowed", "reason": "", "bytes": most_bytes}
        mine = (
            (table.c.tenant == wanted.tenant)
            & (table.c.tenant_group == wanted.group)
            & (table.c.run_id == wanted.run_id)
        )

        def work(c: Connection) -> int | None:
            count, size = c.execute(select(func.count(), func.coalesce(func.sum(table.c.bytes), 0)).where(mine)).one()
            if count >= run_requests or int(size) + most_bytes > run_bytes:
                c.execute(
                    insert(table).values(
                        values
                        | {"state": "done", "decision": "denied", "reason": "the run's budget is used up", "bytes": 0}
                    )
                )
                return None
            return int(c.execute(insert(table).values(values).returning(table.c.id)).scalar_one())

        request_id = await self._database.write(work)
        if request_id is None:
            self.decisions["denied"] += 1
        return request_id

    async def settle(
        self, request_id: int, decision: RequestDecision, *, reason: str = "", status: int = 0, size_bytes: int = 0
    ) -> None:
        """Note how a request ended."""
        table = self._table
        values = {"state": "done", "decision": decision, "reason": reason, "status": status, "bytes": size_bytes}
        await self._database.write(lambda c: c.execute(update(table).where(table.c.id == request_id).values(values)))
        self.decisions[decision] += 1

    async def deny(self, wanted: Wanted, reason: str) -> None:
        """Note a request that was refused before anything was sent."""
        values = self._values(wanted) | {"state": "done", "decision": "denied", "reason": reason, "bytes": 0}
        await self._database.write(lambda c: c.execute(insert(self._table).values(values)))
        self.decisions["denied"] += 1

    async def recover(self, *, older_than: datetime) -> None:
        """At start: requests cut by the end of an earlier process keep their full price; old rows go."""
        table = self._table
        cut = {"state": "done", "decision": "failed", "reason": "the gateway ended meanwhile"}

        def work(c: Connection) -> None:
            c.execute(update(table).where(table.c.state == "open").values(cut))
            c.execute(delete(table).where(table.c.at < older_than))

        await self._database.write(work)

    async def forget(self, *, older_than: datetime) -> int:
        """Drop old requests; says how many."""
        table = self._table
        return await self._database.write(lambda c: c.execute(delete(table).where(table.c.at < older_than)).rowcount)

    async def recent(self, limit: int, *, tenant: str = "", group: str = "") -> list[dict[str, Any]]:
        """The newest requests, newest first."""
        table = self._table
        query = select(table).order_by(table.c.id.desc()).limit(limit)
        if tenant:
            query = query.where(table.c.tenant == tenant)
        if group:
            query = query.where(table.c.tenant_group == group)
        rows = await self._database.read(lambda c: c.execute(query).mappings().all())
        return [
            {
                "at": row["at"].isoformat(),
                "tenant": row["tenant"],
                "group": row["tenant_group"],
                "run_id": row["run_id"],
                "kind": row["kind"],
                "host": row["host"],
                "decision": row["decision"] if row["state"] == "done" else "open",
                "reason": row["reason"],
                "status": row["status"],
                "bytes": row["bytes"],
            }
            for row in rows
        ]

    def _values(self, wanted: Wanted) -> dict[str, Any]:
        return {
            "at": self._clock.now(),
            "tenant": wanted.tenant,
            "tenant_group": wanted.group,
            "run_id": wanted.run_id,
            "kind": wanted.kind,
            "host": wanted.host,
            "status": 0,
        }
