"""What the emulated worlds have in common: one loopback port, a log of requests, a fault plan, a start and a stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.models.wire import Emulator, EmulatorApp, LoggedRequest
from shared.clock import Clock
from shared.errors import Internal
from shared.http.unixserver import AsgiListeners

_HOST = "127.0.0.1"


class LoopbackWorld:
    """Emulators behind one loopback port; each world says which.

    Args:
        faults: what goes wrong.
        port: loopback port; 0 takes a free one.
        clock: for ages and expiry.
    """

    def __init__(self, *, faults: FaultPlan | None, port: int, clock: Clock) -> None:
        self.requests: list[LoggedRequest] = []
        self.faults = faults or FaultPlan()
        self._clock = clock
        self._port = port
        self._listeners: AsgiListeners | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen.

        Raises:
            Occupied: the port is taken.
        """
        app = EmulatorApp({}, faults=self.faults, clock=self._clock, requests=self.requests, revoke=self._revoke)
        listeners = AsgiListeners(app, with_reset=True)
        self._port = await listeners.add_tcp(_HOST, self._port, state={})
        self._listeners = listeners
        app.serve(self._emulators())

    async def stop(self) -> None:
        """Stop listening; requests under way are cut."""
        if self._listeners is not None:
            await self._listeners.close(0.0)
            self._listeners = None

    def of(self, upstream: str, op: str = "") -> list[LoggedRequest]:
        """The log's requests of an upstream (and operation)."""
        return [entry for entry in self.requests if entry.upstream == upstream and op in {"", entry.op}]

    def _emulators(self) -> Mapping[str, Emulator]:
        """The emulators by the first part of their path; the port is known by now."""
        raise NotImplementedError

    def _revoke(self, upstream: str, token: str) -> None:
        """A ``token_revoked`` fault struck a request with this token."""
        raise NotImplementedError

    def _base(self, name: str) -> str:
        if not self._port:
            raise Internal("the emulators have no address before start()")
        return f"http://{_HOST}:{self._port}/{name}"
