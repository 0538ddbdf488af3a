"""What the agent's part of NanoClaw asks of others, and the values it hands around."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Protocol

from nanoclaw.agent.stdio import ByteLines
from shared.gatewayclient import WorkerInfo, WorkerMount, WorkerRequest


class WorkerGateway(Protocol):
    """What we ask of the gateway about workers; `GatewayClient` is one."""

    async def lease_worker(self, request: WorkerRequest) -> WorkerInfo:
        """Get the worker of a group."""
        ...

    async def workers(self) -> list[WorkerInfo]:
        """This tenant's workers."""
        ...

    async def mark_busy(self, worker_id: str, run_id: str) -> None:
        """A run begins."""
        ...

    async def mark_idle(self, worker_id: str) -> None:
        """The run is over."""
        ...

    async def pause_worker(self, worker_id: str) -> None:
        """Freeze it until the next run."""
        ...

    async def unpause_worker(self, worker_id: str) -> None:
        """Let it go on: a run is about to begin."""
        ...

    async def end_worker(self, worker_id: str) -> None:
        """Stop it."""
        ...

    def attach(self, worker_id: str, after: int = 0) -> ByteLines:
        """Its stdio."""
        ...


class Conversations(Protocol):
    """Where the id of a group's conversation is kept."""

    async def session_of(self, folder: str) -> str:
        """The conversation to continue; empty when there is none."""
        ...

    async def keep_session(self, folder: str, session_id: str) -> None:
        """Remember the conversation to continue next time."""
        ...

    async def forget_session(self, folder: str) -> None:
        """Begin anew next time."""
        ...

    async def worker_spec_of(self, folder: str) -> str:
        """Fingerprint of what the group's last worker was started with; empty when there was none."""
        ...

    async def keep_worker_spec(self, folder: str, fingerprint: str) -> None:
        """Remember what the group's worker is started with."""
        ...


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What a group's worker is started with; while it stays the same, the worker can be kept.

    Attributes:
        tools: built-in tools of the command line.
        offer: changes when our own tools for the group do; the worker hears of them only once.
        mounts: host folders it asks for.
    """

    system_prompt: str
    model: str
    tools: tuple[str, ...]
    offer: str = ""
    mounts: tuple[WorkerMount, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Tells two specs apart."""
        mounts = [mount.model_dump() for mount in self.mounts]
        facts = json.dumps([self.system_prompt, self.model, self.tools, self.offer, mounts])
        return hashlib.sha256(facts.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker we hold.

    Attributes:
        is_busy: it has a run.
        is_standby: started ahead, and no run has used it.
    """

    folder: str
    is_busy: bool = False
    is_standby: bool = False
    is_isolated: bool = False
