"""Who gets one of the few places, and what becomes of a worker that rests: pure decisions.

Evicted first are workers started ahead, then paused ones, then idle ones; within each, the least recently used. A
worker with a run is never evicted, and a standby worker takes a place from nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gateway.workers.policy import WorkerPolicy
from shared.gatewayclient.models import WorkerState

STANDBY_ESTIMATE_BYTES = 160 * 1024 * 1024
"""Memory of an initialised agent: 125 MB were measured for a container, 160 MB for the process alone."""


@dataclass(frozen=True, slots=True)
class Seat:
    """What the decisions need to know about a worker.

    Attributes:
        used_at: monotonic seconds of its last use.
        memory_bytes: measured; 0 when it was not yet.
    """

    worker_id: str
    state: WorkerState
    is_standby: bool
    used_at: float
    memory_bytes: int = 0


@dataclass(frozen=True, slots=True)
class PlaceDecision:
    """``take`` a free place · ``evict`` the named worker, then ask again · ``wait`` for a change · ``refuse``."""

    kind: Literal["take", "evict", "wait", "refuse"]
    reason: str
    worker_id: str = ""


def decide_place(seats: Sequence[Seat], policy: WorkerPolicy, *, standby: bool) -> PlaceDecision:
    """Say where a new worker goes.

    Args:
        seats: all workers that hold a place.
        policy: how many there may be.
        standby: it is only started ahead.
    """
    is_full = len(seats) >= policy.max_workers
    if standby:
        return _place_for_standby(seats, policy, is_full=is_full)
    if not is_full:
        return PlaceDecision("take", "a place is free")
    resting = [seat for seat in seats if seat.state in {"idle", "paused"}]
    if resting:
        victim = min(resting, key=_eviction_order)
        kind = "standby" if victim.is_standby else victim.state
        return PlaceDecision("evict", f"the {kind} worker used longest ago makes room", victim.worker_id)
    if any(seat.state == "stopping" or (seat.state == "starting" and seat.is_standby) for seat in seats):
        return PlaceDecision("wait", "a place is about to become free")
    return PlaceDecision("refuse", f"all {policy.max_workers} workers have a run in progress")


def _eviction_order(seat: Seat) -> tuple[int, float]:
    if seat.is_standby:
        return 0, seat.used_at
    return (1 if seat.state == "paused" else 2), seat.used_at


def _place_for_standby(seats: Sequence[Seat], policy: WorkerPolicy, *, is_full: bool) -> PlaceDecision:
    if is_full:
        return PlaceDecision("refuse", f"all {policy.max_workers} places are taken")
    measured = [seat.memory_bytes for seat in seats if seat.memory_bytes]
    newcomer = max(measured, default=STANDBY_ESTIMATE_BYTES)
    held = sum(seat.memory_bytes or STANDBY_ESTIMATE_BYTES for seat in seats if seat.is_standby)
    budget = policy.standby_memory_mb * 1024 * 1024
    if held + newcomer > budget:
        return PlaceDecision(
            "refuse",
            f"standby workers hold {held >> 20} MB, and one more of about {newcomer >> 20} MB would pass the limit of "
            f"{policy.standby_memory_mb} MB (workers.standby_memory_mb)",
        )
    return PlaceDecision("take", "a place and memory are free")


RestDecision = Literal["keep", "pause", "end"]


@dataclass(frozen=True, slots=True)
class Rest:
    """What is known of a worker when it is looked at.

    Attributes:
        state: only resting and busy workers are judged; all others are kept.
        unused_s: seconds since its last run, or since its start; pausing does not begin them anew.
        silent_s: seconds since anything was said to it.
        is_quiet: it has written nothing since the last look.
        is_ready: one that is still being made ready is left to its tenant, which waits for its first answer.
    """

    state: WorkerState
    unused_s: float
    silent_s: float
    is_quiet: bool
    is_ready: bool


def decide_rest(rest: Rest, policy: WorkerPolicy, *, can_pause: bool) -> RestDecision:
    """Say what becomes of a worker now."""
    if rest.state not in {"busy", "idle", "paused"}:
        return "keep"
    if rest.unused_s >= policy.idle_timeout_s:
        return "end"
    if rest.state != "idle" or not (can_pause and rest.is_quiet and rest.is_ready) or policy.pause_after_s == 0:
        return "keep"
    return "pause" if min(rest.unused_s, rest.silent_s) >= policy.pause_after_s else "keep"
