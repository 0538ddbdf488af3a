"""The Threads token is looked at before a worker of its group starts (policy N12), besides the refresher's timer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.credentials.refresher import Refresher
from shared.errors import ConfigError, GatewayError, NotFound
from shared.obs.log import get_logger

_log = get_logger(__name__)

_DEADLINE_S = 2.0


class ThreadsBeforeStart:
    """Called before a worker is leased; it never fails the start, and never holds it up for longer than its deadline.

    A refresh that takes longer goes on behind the start.

    Args:
        refresher: keeps the tokens.
        groups: the group of each tenant whose agents post to Threads; may change.
        deadline_s: how long a start may wait, in seconds.
    """

    def __init__(self, refresher: Refresher, groups: Mapping[str, str], *, deadline_s: float = _DEADLINE_S) -> None:
        self._refresher = refresher
        self._groups = groups
        self._deadline_s = deadline_s

    async def __call__(self, tenant: str, group: str) -> None:
        """Refresh the tenant's token if it is due and the group is the one that uses it."""
        if not group or self._groups.get(tenant) != group:
            return
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._refresher.keeper("threads", tenant).ensure_fresh(deadline_s=self._deadline_s)
        except (NotFound, ConfigError):
            return  # this tenant has no Threads app
        except (GatewayError, TimeoutError) as error:
            code = error.code if isinstance(error, GatewayError) else "auth.slow"
            _log.warning("credentials.not_fresh_before_start", provider="threads", tenant=tenant, code=code)
        except Exception as error:  # noqa: BLE001 - a defect here must not keep a worker from starting
            # No text: a foreign exception's may hold a token.
            _log.error("credentials.before_start_failed", tenant=tenant, reason=type(error).__name__)
