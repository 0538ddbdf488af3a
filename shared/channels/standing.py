"""How a channel is doing, and waiting for it to change."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from shared.channels.base import ChannelState, ChannelStatus
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError


class Standing:
    """A channel's status as others read it; it begins as ``connecting``."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._changed = asyncio.Event()
        self.status = ChannelStatus("connecting", since=clock.now())

    def set(
        self,
        state: ChannelState,
        reason: str = "",
        *,
        failure: GatewayError | None = None,
        user_id: str = "",
        user_name: str = "",
    ) -> bool:
        """Say how it is doing now; true when that is another state than before.

        Args:
            state: the new state; the time it is since moves only when it differs.
            reason: why, in words a person can act on.
            failure: when failed for good, the error that says so.
            user_id: who it is on the platform; left as it was when empty.
            user_name: likewise.
        """
        is_new = state != self.status.state
        self.status = ChannelStatus(
            state,
            reason,
            user_id=user_id or self.status.user_id,
            user_name=user_name or self.status.user_name,
            since=self._clock.now() if is_new else self.status.since,
            failure=failure,
        )
        if is_new:
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()
        return is_new

    async def wait_online(self, timeout_s: float) -> bool:
        """Wait until online; false when that did not happen in time or never will."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.status.state not in ("online", "failed"):
                    await self._changed.wait()
        return self.status.state == "online"
