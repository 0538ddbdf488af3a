"""The gateway's durable facts: tenant keys and the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select

from gateway.schema import model_request, tenant_key
from shared.clock import SYSTEM_CLOCK, Clock
from shared.storage import Database, upsert


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
    """One model call."""

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
        values = {field: getattr(entry, field) for field in LedgerEntry.__slots__}
        await self._database.write(lambda connection: connection.execute(model_request.insert().values(values)))

    async def usage(self) -> list[dict[str, str | int]]:
        """Calls and tokens by tenant, provider and model."""
        key = (model_request.c.tenant, model_request.c.provider, model_request.c.model)
        totals = (
            func.count().label("requests"),
            func.sum(model_request.c.input_tokens).label("input_tokens"),
            func.sum(model_request.c.output_tokens).label("output_tokens"),
        )
        statement = select(*key, *totals).group_by(*key).order_by(*key)
        return await self._database.read(
            lambda connection: [dict(row) for row in connection.execute(statement).mappings()]
        )
