"""Works off what is due: one account at a time by one process, jobs in doubt before new ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta

from gateway.social.machine import Machine
from gateway.social.models import ACTIVE, Job
from gateway.social.store import LeaseLost, SocialStore
from shared.clock import Clock
from shared.errors import Conflict
from shared.ids import new_id
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.social.graph import CALL_LIMIT_S

_log = get_logger(__name__)

LEASE = timedelta(seconds=180)
"""Longer than any call: when another process takes over, ours has certainly ended."""
assert LEASE.total_seconds() > 2 * CALL_LIMIT_S  # noqa: S101 - a relation between two constants

_IDLE_S = 60.0
_COOL_OFF_S = 60.0


class Runner:
    """Steps jobs when they are due.

    Args:
        store: keeps them.
        machine: does a step.
        clock: tells when.
        after_step: told of every job that was moved on.
    """

    def __init__(
        self,
        store: SocialStore,
        machine: Machine,
        clock: Clock,
        *,
        after_step: Callable[[Job], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._machine = machine
        self._clock = clock
        self._after_step = after_step
        self._holder = new_id("poster")
        self._wake = asyncio.Event()
        self._tasks = TaskPool("social")
        self._busy: set[str] = set()
        self._cooling: dict[str, float] = {}

    def wake(self) -> None:
        """Something may be due now."""
        self._wake.set()

    def start(self) -> None:
        """Work until stopped; what a dead process left is due at once."""
        self._tasks.start(self._run(), name="run")

    async def stop(self) -> None:
        """End; a publish call that is cut short is looked into at the next start."""
        await self._tasks.close()
        await self._store.release(self._holder)

    async def run_due(self) -> None:
        """Work off everything that is due by now."""
        accounts, _ = await self._store.due(self._clock.now())
        for account in accounts:
            await self.work(account)

    async def work(self, account: str) -> None:
        """Work off what is due for an account, if nobody else does."""
        while True:
            lease = await self._store.acquire(account, self._holder, LEASE)
            if lease is None:
                return
            job = _next_job(await self._store.agenda(account))
            if job is None or job.next_at is None or job.next_at > self._clock.now():
                return
            try:
                self._after_step(await self._machine.step(job, lease))
            except LeaseLost as error:
                _log.warning("social.lease_lost", account=account, job=job.id, reason=error.detail)
                return
            except Conflict as error:
                _log.info("social.changed", job=job.id, reason=error.detail)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            accounts, later = await self._store.due(self._clock.now())
            for account in accounts:
                if account not in self._busy and self._clock.monotonic() >= self._cooling.get(account, 0.0):
                    self._busy.add(account)
                    self._tasks.start(self._work_guarded(account), name=account)
            wait = _IDLE_S if later is None else (later - self._clock.now()).total_seconds()
            # An account whose lease is another's, or that cools off, stays due: look again, but not all the time.
            wait = min(max(wait, 0.05), 5.0 if accounts else _IDLE_S)
            with contextlib.suppress(TimeoutError):
                # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _work_guarded(self, account: str) -> None:
        try:
            await self.work(account)
        except Exception as error:
            self._cooling[account] = self._clock.monotonic() + _COOL_OFF_S
            _log.error("social.step_failed", account=account, reason=type(error).__name__)
            raise
        finally:
            self._busy.discard(account)


def _next_job(agenda: list[Job]) -> Job | None:
    """One post of an account is made at a time; while its outcome is open, no other one begins."""
    active = next((job for job in agenda if job.state in ACTIVE), None)
    others = [job for job in agenda if job.state not in ACTIVE]
    if active is None:
        return others[0] if others else None
    # What does not publish anything need not wait for it.
    quiet = next((job for job in others if job.state in {"awaiting_approval", "published", "deleting"}), None)
    if quiet is not None and quiet.next_at is not None and active.next_at is not None:
        return quiet if quiet.next_at < active.next_at else active
    return active
