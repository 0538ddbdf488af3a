"""How much of the gateway's memory callers may hold at once: calls under way, and bytes of their requests.

A request is kept as long as its call lasts, since it may have to be sent again. Nobody waits here: who has too much
under way is told so and comes back, which the command line does by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from gateway.modelproxy.identity import ModelIdentity
from shared.errors import RateLimited

_RETRY_AFTER_S: Final = 2.0
_CODE: Final = "model.in_flight"


@dataclass(frozen=True, slots=True)
class InFlightLimits:
    """What may be under way at once. The unit's memory limit is 1 GiB, and a request is held up to three times.

    Attributes:
        worker_calls: of one worker.
        calls: of one tenant's own socket, or of port 4141.
        bytes: of the requests of one of them; the largest request fits.
        total_bytes: of all requests of everybody.
    """

    worker_calls: int = 32
    calls: int = 256
    bytes: int = 48 << 20
    total_bytes: int = 160 << 20


class InFlight:
    """Counts what is under way.

    Args:
        limits: how much may be.
    """

    def __init__(self, limits: InFlightLimits | None = None) -> None:
        self._limits = limits or InFlightLimits()
        self._calls: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    @contextmanager
    def call(self, identity: ModelIdentity) -> Iterator[CallRoom]:
        """Count a call while it lasts.

        Raises:
            RateLimited: its caller has as many under way as it may.
        """
        caller = f"{identity.tenant}/{identity.worker_id}"
        if self._calls[caller] >= (self._limits.worker_calls if identity.worker_id else self._limits.calls):
            raise RateLimited(
                f"{self._calls[caller]} model calls of this caller are under way, which is as many as may be",
                retry_after_s=_RETRY_AFTER_S,
                code=_CODE,
            )
        self._calls[caller] += 1
        room = CallRoom(self._limits, self._bytes, caller)
        try:
            yield room
        finally:
            self._calls[caller] -= 1
            self._bytes[caller] -= room.taken
            if not self._calls[caller]:
                del self._calls[caller], self._bytes[caller]


class CallRoom:
    """What one call's request takes.

    Attributes:
        taken: bytes.
    """

    def __init__(self, limits: InFlightLimits, held: Counter[str], caller: str) -> None:
        self._limits = limits
        self._held = held
        self._caller = caller
        self.taken = 0

    def take(self, count: int) -> None:
        """Count further bytes of the request, which have just come.

        Raises:
            RateLimited: there is no room for them.
        """
        self.taken += count
        self._held[self._caller] += count
        if self._held[self._caller] > self._limits.bytes or self._held.total() > self._limits.total_bytes:
            raise RateLimited(
                f"the requests under way hold {self._held[self._caller] >> 20} MiB of this caller and "
                f"{self._held.total() >> 20} MiB of all, and more may not be held; try again when one has ended",
                retry_after_s=_RETRY_AFTER_S,
                code=_CODE,
            )
