"""The model API's own TCP port, which an operator closes and opens while everything else goes on.

The unit ``copilot-api.service`` does that by these operations: it stands for this port and not for a process, since the
calls' credentials, budgets and ledger are the gateway's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from gateway.modelproxy.public import AsgiApp
from gateway.settings import ModelApi
from shared.errors import Denied
from shared.http.unixserver import AsgiListeners
from shared.lifecycle.control import Operation
from shared.obs.log import get_logger

_log = get_logger(__name__)
_DRAIN_S = 1.0


class ModelApiListener:
    """Open or closed.

    Args:
        policy: where it listens, and whether it may at all.
        build: makes the application; called at each opening, so that a changed file of keys counts from then on.

    Attributes:
        port: where it listens; 0 while it is closed.
    """

    def __init__(self, policy: ModelApi, build: Callable[[], AsgiApp]) -> None:
        self._policy = policy
        self._build = build
        self._changing = asyncio.Lock()
        self._open: AsgiListeners | None = None
        self.port = 0

    async def open(self) -> int:
        """Listen; when it does already, nothing happens. Returns the port.

        Raises:
            Denied: policy has it switched off.
            Occupied: another program has the port.
            ConfigError: the keys file is unusable.
        """
        if not self._policy.enabled:
            raise Denied("model_api.enabled is false in policies/gateway.toml", code="model_api.off")
        async with self._changing:
            if self._open is None:
                listeners = AsgiListeners(self._build())
                self.port = await listeners.add_tcp(self._policy.host, self._policy.port, state={})
                self._open = listeners
                _log.info("model_api.opened", port=self.port)
        return self.port

    async def close(self) -> None:
        """Listen no longer; calls that run get a second to end."""
        async with self._changing:
            if (listeners := self._open) is not None:
                self._open, self.port = None, 0
                await listeners.close(_DRAIN_S)
                _log.info("model_api.closed")

    def operations(self) -> Mapping[str, Operation]:
        """For the gateway's control socket."""

        async def opened(_params: dict[str, Any]) -> dict[str, int]:
            return {"port": await self.open()}

        async def closed(_params: dict[str, Any]) -> dict[str, int]:
            await self.close()
            return {"port": self.port}

        return {"model_api_open": opened, "model_api_close": closed}
