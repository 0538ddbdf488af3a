"""What the emulated worlds have in common: one loopback port, a log of requests, a fault plan, a start and a stop."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self

from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.models.wire import Emulator, EmulatorApp, LoggedRequest
from shared.clock import Clock
from shared.errors import Internal
from shared.http.unixserver import AsgiListeners
from shared.secrets.files import write_private

_HOST = "127.0.0.1"


class Issuer(Protocol):
    """What a world has handed out."""

    def dump(self) -> list[dict[str, Any]]:
        """As JSON."""
        ...

    def restore(self, rows: list[dict[str, Any]]) -> None:
        """The reverse."""
        ...


class LoopbackWorld:
    """Emulators behind one loopback port; each world says which.

    Args:
        faults: what goes wrong.
        port: loopback port; 0 takes a free one.
        clock: for ages and expiry.
        memory: where tokens outlive the world; None forgets them.
    """

    def __init__(self, *, faults: FaultPlan | None, port: int, clock: Clock, memory: Path | None = None) -> None:
        self._memory = memory
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
        if self._memory is not None and self._memory.exists():
            self._issued().restore(json.loads(self._memory.read_text("utf-8")))
        app.serve(self._emulators())

    async def stop(self) -> None:
        """Stop listening; requests under way are cut."""
        if self._listeners is not None:
            await self._listeners.close(0.0)
            self._listeners = None
            if self._memory is not None:
                write_private(self._memory, json.dumps(self._issued().dump()))

    def of(self, upstream: str, op: str = "") -> list[LoggedRequest]:
        """The log's requests of an upstream (and operation)."""
        return [entry for entry in self.requests if entry.upstream == upstream and op in {"", entry.op}]

    def _emulators(self) -> Mapping[str, Emulator]:
        """The emulators by the first part of their path; the port is known by now."""
        raise NotImplementedError

    def _issued(self) -> Issuer:
        """What was handed out."""
        raise NotImplementedError

    def _revoke(self, upstream: str, token: str) -> None:
        """A ``token_revoked`` fault struck a request with this token."""
        raise NotImplementedError

    def _base(self, name: str) -> str:
        if not self._port:
            raise Internal("the emulators have no address before start()")
        return f"http://{_HOST}:{self._port}/{name}"
