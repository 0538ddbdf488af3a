"""The ledger: what was asked of which model by whom; written behind the answer, never in its way."""

from __future__ import annotations

from gateway.modelproxy.identity import RequestRecord
from gateway.store import GatewayStore, LedgerEntry
from shared.clock import SYSTEM_CLOCK, Clock
from shared.lifecycle.tasks import TaskPool


class Ledger:
    """Takes a record from the model proxy and makes it durable."""

    def __init__(self, store: GatewayStore, clock: Clock = SYSTEM_CLOCK) -> None:
        self._store = store
        self._clock = clock
        self._tasks = TaskPool("ledger")

    def note(self, record: RequestRecord) -> None:
        """Write one model call."""
        entry = LedgerEntry(
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
        )
        self._tasks.start(self._store.record(entry), name="write")

    async def close(self) -> None:
        """Finish the writes under way."""
        await self._tasks.drain(5.0)
        await self._tasks.close()
