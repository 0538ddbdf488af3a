"""The Threads token is looked at before every worker starts (policy N12), besides the refresher's timer."""

from __future__ import annotations

import asyncio

from gateway.credentials.refresher import Refresher
from shared.errors import ConfigError, GatewayError, NotFound
from shared.obs.log import get_logger

_log = get_logger(__name__)

_DEADLINE_S = 2.0


class ThreadsBeforeStart:
    """Called before a worker is leased; it never fails the start, and rarely holds it up.

    What is known in memory decides. While the token counts a due refresh goes on behind the start; only one that has
    ended is waited for, until the deadline.

    Args:
        refresher: keeps the tokens.
        deadline_s: how long a start may wait, in seconds.
    """

    def __init__(self, refresher: Refresher, *, deadline_s: float = _DEADLINE_S) -> None:
        self._refresher = refresher
        self._deadline_s = deadline_s

    async def __call__(self, tenant: str) -> None:
        """Refresh the tenant's token if it is due."""
        try:
            keeper = self._refresher.keeper("threads", tenant)
            async with asyncio.timeout(self._deadline_s):
                if await keeper.peek() is not None:
                    await keeper.token(deadline_s=self._deadline_s)
        except (NotFound, ConfigError):
            return  # this tenant has no Threads app
        except (GatewayError, TimeoutError) as error:
            code = error.code if isinstance(error, GatewayError) else "auth.slow"
            _log.warning("credentials.not_fresh_before_start", provider="threads", tenant=tenant, code=code)
        except Exception as error:  # noqa: BLE001 - a defect here must not keep a worker from starting
            # No text: a foreign exception's may hold a token.
            _log.error("credentials.before_start_failed", tenant=tenant, reason=type(error).__name__)
