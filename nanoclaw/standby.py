"""Standby: agents of groups likely to speak next are started ahead and frozen, so that nobody waits for a container.

The gateway has the last word: a standby worker takes no place from anybody and is the first to go when one is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from nanoclaw.agent.base import LiveWorker
from nanoclaw.agent.errors import WorkerLost
from nanoclaw.agent.residents import Residents
from nanoclaw.config import StandbyPolicy
from nanoclaw.groups import Group
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Busy, GatewayError, Unavailable
from shared.obs.log import get_logger

_log = get_logger(__name__)
_RETRY_S = 60.0
"""After a refusal: places and memory that other tenants give back are not announced to us."""

_FREED_BY_THE_GATEWAY = frozenset({"idle", "evicted"})
"""Ends after which a group may be made ready again. One that a person stopped stays stopped until somebody speaks."""


@dataclass(frozen=True, slots=True)
class StandbyLimits:
    """How many workers there may be.

    Attributes:
        standby: started ahead.
        places: of any kind; one of them is left free, so that an unexpected group need not wait for an eviction.
        recent: a group active within so long is likely to speak.
    """

    standby: int
    places: int
    recent: timedelta


def decide_standby(
    groups: Iterable[Group],
    last_active: Mapping[str, datetime],
    live: Sequence[LiveWorker],
    limits: StandbyLimits,
    now: datetime,
) -> list[str]:
    """Folders of the groups to start ahead, the likeliest first.

    Args:
        groups: all that are registered.
        last_active: when a group's agent was last asked, by folder.
        live: workers we hold.
        limits: how many there may be.
        now: wall time.
    """
    room = min(
        limits.standby - sum(worker.is_standby for worker in live),
        limits.places - 1 - len(live),
    )
    if room <= 0:
        return []
    ready = {worker.folder for worker in live if not worker.is_isolated}
    never = datetime.min.replace(tzinfo=now.tzinfo)
    likely = []
    for group in groups:
        if group.folder in ready or group.route == "light":  # such a group never asks an agent
            continue
        active_at = last_active.get(group.folder, never)
        is_recent = active_at != never and now - active_at <= limits.recent
        if is_recent or group.is_main:
            likely.append((is_recent, active_at, group.folder))
    likely.sort(reverse=True)
    return [folder for _, _, folder in likely[:room]]


class Standby:
    """Keeps workers ready: after the start, after a worker ended or was evicted, and after activity.

    While an agent is answering nothing is started: the processors belong to the person who waits.

    Args:
        residents: holds the workers and starts them.
        groups: all that are registered, asked anew each time.
        last_active: from the store, read once.
        places: workers this tenant can have at once.
    """

    def __init__(
        self,
        residents: Residents,
        groups: Callable[[], Iterable[Group]],
        policy: StandbyPolicy,
        *,
        last_active: Callable[[], Awaitable[Mapping[str, datetime]]],
        places: int,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._residents = residents
        self._groups = groups
        self._policy = policy
        self._load = last_active
        self._limits = StandbyLimits(policy.workers, places, timedelta(seconds=policy.recent_s))
        self._clock = clock
        self._last_active: dict[str, datetime] = {}
        self._failed: set[str] = set()
        self._awake = asyncio.Event()

    def changed(self, folder: str, reason: str) -> None:
        """A group's worker was given back (no reason), or ended for a reason of `WorkerEvent`."""
        if not reason:
            self._last_active[folder] = self._clock.now()
            self._failed.discard(folder)
        if not reason or reason in _FREED_BY_THE_GATEWAY:
            self._awake.set()

    async def run(self) -> None:
        """Keep going until cancelled; returns at once when policy says no."""
        if not self._policy.enabled or self._policy.workers == 0:
            return
        stored = await self._load()
        self._last_active = dict(stored) | self._last_active
        self._awake.set()
        retry_s: float | None = None
        while True:
            try:
                async with asyncio.timeout(retry_s):
                    await self._awake.wait()
            except TimeoutError:
                pass
            self._awake.clear()
            retry_s = None if await self._fill() else _RETRY_S

    async def _fill(self) -> bool:
        """Start what is missing, one after another; false when it should be tried again without being asked."""
        await self._residents.end_outdated(self._groups())
        while True:
            live = self._residents.live()
            if any(worker.is_busy for worker in live):
                return True  # the end of that run wakes us
            groups = {group.folder: group for group in self._groups() if group.folder not in self._failed}
            wanted = decide_standby(groups.values(), self._last_active, live, self._limits, self._clock.now())
            if not wanted:
                return True
            folder = wanted[0]
            try:
                await self._residents.prepare(groups[folder])
            except GatewayError as error:
                if isinstance(error, Busy | Unavailable) and not isinstance(error, WorkerLost):
                    _log.info("standby.refused", group=folder, reason=error.detail, code=error.code)
                    return False
                self._failed.add(folder)  # until its next message, whose failure somebody will see
                _log.warning("standby.failed", group=folder, reason=error.detail, code=error.code)
            else:
                _log.info("standby.ready", group=folder)
            await self._end_if_removed(folder)

    async def _end_if_removed(self, folder: str) -> None:
        if all(group.folder != folder for group in self._groups()):
            await self._residents.drop(folder, end=True)
