"""Writes of one step of a job, all under the account's lease."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gateway.social.models import Job, Lease, State
from gateway.social.store import SocialStore
from shared.clock import Clock
from shared.obs.log import get_logger
from shared.social.validate import PostCode

_log = get_logger(__name__)

TRIES = 6
"""Failures in a row of a step that may be repeated freely."""
RETRY_S = 5.0
_RETRY_MOST_S = 300.0


class Step:
    """Changes jobs as the holder of a lease.

    Args:
        store: keeps them.
        lease: checked in every write.
        clock: tells when.
    """

    def __init__(self, store: SocialStore, lease: Lease, clock: Clock) -> None:
        self._store = store
        self._lease = lease
        self._clock = clock

    async def write(self, job: Job, *, unless_held: bool = False, **changes: Any) -> Job:  # noqa: ANN401 - columns
        """Change a job; raises as `SocialStore.update` does."""
        return await self._store.update(job, lease=self._lease, unless_held=unless_held, **changes)

    async def end(self, job: Job, state: State, code: PostCode, detail: str) -> Job:
        """A state in which nothing is left to do; a job in doubt keeps its intent, any other loses it."""
        _log.info("social.ended", job=job.id, state=state, code=code)
        intent_at = job.intent_at if state == "needs_attention" else None
        return await self.write(job, state=state, error_code=code, detail=detail, next_at=None, intent_at=intent_at)

    async def again(self, job: Job, code: PostCode, detail: str, **changes: Any) -> Job:  # noqa: ANN401 - columns
        """The same later, a limited number of times; only for what is certainly not online."""
        if job.tries + 1 >= TRIES:
            return await self.end(job, "failed", code, detail)
        later = self._clock.now() + timedelta(seconds=min(_RETRY_MOST_S, RETRY_S * 2**job.tries))
        return await self.write(job, **changes, tries=job.tries + 1, next_at=later, error_code=code, detail=detail)
