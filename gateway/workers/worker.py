"""One worker as the pool keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gateway.workers.lifelog import LifeLog
from gateway.workers.places import Seat
from gateway.workers.spec import Mount
from gateway.workers.stream import WorkerStream
from shared.gatewayclient.models import WorkerInfo, WorkerState
from shared.lifecycle.inorder import InOrder

EndReason = Literal["", "stopped", "evicted", "idle", "oom", "disk", "crashed", "gateway"]

Key = tuple[str, str, bool]
"""Tenant, group, and whether it is an isolated worker: there is one live worker for each."""


@dataclass(slots=True, eq=False)
class Worker:
    """A container, who has it and what it does.

    Attributes:
        spec: hash of what it was started with; see `gateway.workers.spec.spec_hash`.
        image_id: of the image it runs; empty for one that was adopted from an older gateway.
        is_standby: started ahead; the first run makes it an ordinary one.
        mounts: the extra ones.
        looked_at: what its mounts were when they were looked at, by target.
        notes: what it does without, for people.
        used_at: monotonic seconds of its last use.
        spoken_at: monotonic seconds of the last input.
        is_ready: it had a run or its tenant had it frozen, so that its agent waits for nothing; under this gateway or,
            as far as is known, an earlier one.
        lines_then: lines it had written at the last look.
        run_began: monotonic seconds.
        freezing: held while it is paused or unpaused.
        desk: its writes to disk, which nobody waits for.
    """

    worker_id: str
    tenant: str
    group: str
    session_id: str
    spec: str
    name: str
    desk: InOrder
    state: WorkerState = "starting"
    is_standby: bool = False
    is_isolated: bool = False
    image_id: str = ""
    run_id: str = ""
    container: str = ""
    stream: WorkerStream | None = None
    log: LifeLog | None = None
    mounts: tuple[Mount, ...] = ()
    looked_at: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    start_ms: float = 0.0
    started_at: str = ""
    used_at: float = 0.0
    spoken_at: float = 0.0
    is_ready: bool = False
    began: float = 0.0
    run_began: float = 0.0
    runs: int = 0
    lines_then: int = 0
    memory_bytes: int = 0
    reason: EndReason = ""
    freezing: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> Key:
        """What it is looked up by."""
        return self.tenant, self.group, self.is_isolated

    @property
    def is_alive(self) -> bool:
        """It holds one of the places."""
        return self.state != "gone"

    @property
    def is_usable(self) -> bool:
        """It runs and nobody has begun to end it."""
        return self.state in {"busy", "idle", "paused"}

    def seat(self) -> Seat:
        """The facts for `gateway.workers.places`."""
        return Seat(self.worker_id, self.state, self.is_standby, self.used_at, self.memory_bytes)

    def info(self, *, reused: bool = False) -> WorkerInfo:
        """What its tenant is told."""
        return WorkerInfo(
            worker_id=self.worker_id,
            tenant=self.tenant,
            group=self.group,
            container=self.name,
            session_id=self.session_id,
            state=self.state,
            reused=reused,
            lines=self.stream.lines if self.stream else 0,
            start_ms=0.0 if reused else self.start_ms,
            started_at=self.started_at,
            run_id=self.run_id,
            isolated=self.is_isolated,
            standby=self.is_standby,
            notes=self.notes,
            memory_mb=round(self.memory_bytes / 1e6, 1),
        )
