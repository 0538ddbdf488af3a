"""One call on its way through the proxy; turned into a record at its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.modelproxy.adapters import Adapter
from gateway.modelproxy.dialects import Dialect
from gateway.modelproxy.identity import ModelIdentity, Outcome, RequestRecord
from gateway.modelproxy.streams import UsageMeter


@dataclass(slots=True)
class Call:
    """What is known of a call so far; see `RequestRecord` for the fields both have.

    Attributes:
        started: on the monotonic clock, like `first_byte`, which is 0 before there was one.
        streams: the caller asked for an event stream.
        reservation: what was set aside for it.
    """

    identity: ModelIdentity
    route_name: str
    started: float
    dialect: Dialect = "openai"
    provider: str = ""
    model: str = ""
    status: int = 0
    outcome: Outcome = "refused"
    auth: str = ""
    first_byte: float = 0.0
    request_bytes: int = 0
    request_id: str = ""
    run_id: str = ""
    streams: bool = False
    said_bytes: int = 0
    usage: UsageMeter = field(default_factory=UsageMeter)
    adapter: Adapter = field(default_factory=Adapter)
    reservation: object = None

    @property
    def is_workers(self) -> bool:
        """Whether a worker calls, whose requests are looked at word for word."""
        return bool(self.identity.worker_id)

    def record(self, now: float) -> RequestRecord:
        """For the ledger.

        Args:
            now: when the call ended, on the monotonic clock.
        """
        return RequestRecord(
            tenant=self.identity.tenant,
            group=self.identity.group,
            worker_id=self.identity.worker_id,
            route=self.route_name,
            provider=self.provider,
            model=self.model,
            status=self.status,
            outcome=self.outcome,
            auth=self.auth,
            first_byte_ms=(self.first_byte - self.started) * 1000 if self.first_byte else 0.0,
            total_ms=(now - self.started) * 1000,
            input_tokens=self.usage.input_tokens,
            output_tokens=self.usage.output_tokens,
            cached_tokens=self.usage.cached_tokens,
            request_bytes=self.request_bytes,
            request_id=self.request_id,
            said_bytes=self.said_bytes,
            is_final=self.usage.is_final,
            run_id=self.run_id,
        )
