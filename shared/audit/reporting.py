"""A tenant's security-relevant events on their way to the gateway's chain: on the disk first, sent when it answers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Final, Protocol

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError
from shared.gatewayclient.events import AuditEvent, EventKind
from shared.ids import new_id
from shared.obs.log import get_logger
from shared.secrets.files import write_private

_log = get_logger(__name__)
_RETRY_S: Final = 60.0
_BATCH: Final = 100


class Note(Protocol):
    """Writes an event down; durable when it returns."""

    def __call__(self, kind: EventKind, *, actor: str = "", subject: str = "", detail: str = "") -> Awaitable[None]:
        """Write down what was just done."""
        ...


async def unnoted(kind: EventKind, *, actor: str = "", subject: str = "", detail: str = "") -> None:
    """Where nobody keeps events, as in tests of a single part."""


class EventGateway(Protocol):
    """What takes events."""

    async def report_events(self, events: Sequence[AuditEvent]) -> None:
        """Keep them; each is kept once, however often it is reported."""
        ...


class Reporter:
    """Keeps a tenant's events until the gateway has them.

    Args:
        spool: the file in between.
        gateway: takes them; None keeps them for a later start.
    """

    def __init__(self, spool: Path, gateway: EventGateway | None, clock: Clock = SYSTEM_CLOCK) -> None:
        self._spool = spool
        self._gateway = gateway
        self._clock = clock
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._wake.set()

    async def note(self, kind: EventKind, *, actor: str = "", subject: str = "", detail: str = "") -> None:
        """Write an event down. A disk that takes nothing is told in the log: what was done cannot be undone for it."""
        event = AuditEvent(
            id=new_id("event"),
            kind=kind,
            at=self._clock.now(),
            actor=actor[:200],
            subject=subject[:400],
            detail=detail[:2000],
        )
        async with self._lock:
            try:
                await asyncio.to_thread(_append, self._spool, event.model_dump_json())
            except OSError as error:
                _log.error("audit.event_not_kept", kind=kind, subject=subject, reason=error.strerror)
        self._wake.set()

    async def run(self) -> None:
        """Send what is there, now and whenever something is added; runs until cancelled."""
        while True:
            self._wake.clear()
            try:
                done = await self.send()
            except GatewayError as error:
                _log.debug("audit.events_wait", reason=error.detail)
                done = False
            if not done:
                try:
                    async with asyncio.timeout(_RETRY_S):
                        await self._wake.wait()
                except TimeoutError:
                    pass
            else:
                await self._wake.wait()

    async def send(self) -> bool:
        """Send everything once; True when nothing is left.

        Raises:
            GatewayError: the gateway did not take them; they stay.
        """
        if self._gateway is None:
            return False
        lines = await asyncio.to_thread(_lines, self._spool)
        events = [AuditEvent.model_validate_json(line) for line in lines]
        for start in range(0, len(events), _BATCH):
            await self._gateway.report_events(events[start : start + _BATCH])
        if events:
            async with self._lock:
                await asyncio.to_thread(_drop, self._spool, len(events))
        return True


def _append(spool: Path, line: str) -> None:
    spool.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(spool, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, line.encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _lines(spool: Path) -> list[str]:
    return spool.read_text(encoding="utf-8").splitlines() if spool.exists() else []


def _drop(spool: Path, count: int) -> None:
    write_private(spool, "".join(f"{line}\n" for line in _lines(spool)[count:]))
