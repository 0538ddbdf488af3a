"""A worker's standard input and output, as the agent's side needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

from shared.gatewayclient import WorkerEvent


class ByteLines(Protocol):
    """Numbered stdout lines and events in, bytes out; `shared.gatewayclient.WorkerStream` is one."""

    def __aiter__(self) -> AsyncIterator[tuple[int, bytes] | WorkerEvent]: ...

    async def write(self, data: bytes) -> None:
        """Send whole lines to stdin."""
        ...

    async def close(self) -> None:
        """Detach."""
        ...
