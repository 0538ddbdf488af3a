"""The workers we hold: one conversation per group, kept while its worker lives."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from nanoclaw.agent.errors import SessionMissing, WorkerLost
from nanoclaw.agent.host import AgentHost
from nanoclaw.agent.stdio import ByteLines
from nanoclaw.groups import Group
from shared.errors import GatewayError, NotFound, Unavailable
from shared.gatewayclient import WorkerInfo, WorkerRequest
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

if TYPE_CHECKING:
    from nanoclaw.agent.session import AgentSession

_log = get_logger(__name__)
_GATEWAY_RESTART_S = 20.0
_ADOPTION_S = 5.0

T = TypeVar("T")


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
    """

    system_prompt: str
    model: str
    tools: tuple[str, ...]
    offer: str = ""

    @property
    def fingerprint(self) -> str:
        """Tells two specs apart."""
        facts = json.dumps([self.system_prompt, self.model, self.tools, self.offer])
        return hashlib.sha256(facts.encode()).hexdigest()[:32]


class Residents:
    """Gives a run its group's agent: the live one, or a new worker that continues the conversation."""

    def __init__(
        self,
        gateway: WorkerGateway,
        conversations: Conversations,
        *,
        spec_of: Callable[[Group], WorkerSpec],
        host_of: Callable[[Group], AgentHost],
    ) -> None:
        self._gateway = gateway
        self._conversations = conversations
        self._spec_of = spec_of
        self._host_of = host_of
        self._live: dict[str, AgentSession] = {}
        self._specs: dict[str, str] = {}
        self._isolated: dict[str, AgentSession] = {}
        self._spent_usd: dict[str, float | None] = {}
        self._tasks = TaskPool("nanoclaw.residents")

    def warm(self) -> None:
        """Load in the background what the first worker will need; for a tenant that has groups to answer."""
        self._tasks.start(asyncio.to_thread(_load_session), name="warm")

    async def acquire(self, group: Group, run_id: str, *, isolated: bool = False) -> AgentSession:
        """The agent of a group, marked busy with this run.

        Args:
            group: whose.
            run_id: of the run.
            isolated: a worker of its own with a fresh conversation, which ends at `release`; the group's live one and
                its conversation stay as they are.

        Raises:
            Busy: all workers are taken by other runs.
            Unavailable: no worker can be had (engine down, image missing, or it ended at once).
        """
        if isolated:
            return await self._start(group, run_id, str(uuid.uuid4()), resume=False, isolated=True)
        session = self._live.get(group.folder)
        fingerprint = self._spec_of(group).fingerprint
        if session is not None and self._specs.get(group.folder) != fingerprint:
            # The prompt, the memory of all groups or the tools changed: the conversation goes on in a new worker.
            _log.info("worker.outdated", group=group.folder, worker=session.worker_id)
            await self.drop(group.folder, end=True)
        elif session is not None and session.is_alive:
            try:
                await _patiently(partial(self._gateway.mark_busy, session.worker_id, run_id))
            except NotFound:
                _log.info("worker.missed", group=group.folder, worker=session.worker_id)
            else:
                return session
        await self.drop(group.folder)
        return await self._begin(group, run_id)

    async def release(self, group: Group) -> None:
        """The run is over; the worker stays for the next message, until the gateway needs its place.

        The worker of an isolated run ends with it.
        """
        if group.folder in self._isolated:
            await self.drop(group.folder, end=True)
            return
        session = self._live.get(group.folder)
        if session is None:
            return
        try:
            await _patiently(partial(self._gateway.mark_idle, session.worker_id))
        except GatewayError as error:
            _log.info("worker.release_failed", group=group.folder, reason=error.detail)
            await self.drop(group.folder)

    async def drop(self, folder: str, *, end: bool = False) -> None:
        """Let go of a group's agent, of the isolated one while there is one; with `end` its worker is stopped too."""
        isolated = self._isolated.pop(folder, None)
        session = isolated or self._live.pop(folder, None)
        if session is None:
            return
        if isolated is None:
            self._spent_usd[folder] = session.spent_usd
        await session.close()
        if end:
            await self._end(session.worker_id)

    async def close(self) -> None:
        """Let go of all; their workers live on."""
        for folder in [*self._isolated, *self._live]:
            await self.drop(folder)
        await self._tasks.close()

    async def adopt(self, groups: Iterable[Group]) -> tuple[int, int]:
        """Take over workers an earlier process of ours left behind; returns how many were kept and how many ended.

        An idle worker that holds the group's conversation is kept. The others are ended and their conversations go
        on in new workers: we cannot step into a turn whose questions and answers we did not hear.
        """
        by_folder = {group.folder: group for group in groups}
        kept = ended = 0
        for worker in await self._gateway.workers():
            group = by_folder.get(worker.group)
            if group is not None and await self._adopt(group, worker):
                kept += 1
            else:
                ended += 1
                await self._end(worker.worker_id)
        return kept, ended

    async def _adopt(self, group: Group, worker: WorkerInfo) -> bool:
        known = await self._conversations.session_of(group.folder)
        if worker.state != "idle" or group.folder in self._live or not known or known != worker.session_id:
            return False
        fingerprint = self._spec_of(group).fingerprint
        if await self._conversations.worker_spec_of(group.folder) != fingerprint:
            return False
        stream = self._gateway.attach(worker.worker_id, worker.lines)
        make_session = await asyncio.to_thread(_load_session)
        session = make_session(worker.worker_id, stream, self._host_of(group), is_adopted=True, spent_usd=None)
        try:
            async with asyncio.timeout(_ADOPTION_S):
                await session.open()
        except (GatewayError, TimeoutError) as error:
            _log.info("worker.not_adopted", group=group.folder, worker=worker.worker_id, reason=str(error))
            await session.close()
            return False
        self._live[group.folder] = session
        self._specs[group.folder] = fingerprint
        _log.info("worker.adopted", group=group.folder, worker=worker.worker_id)
        return True

    async def _begin(self, group: Group, run_id: str) -> AgentSession:
        known = await self._conversations.session_of(group.folder)
        if known:
            try:
                return await self._start(group, run_id, known, resume=True)
            except SessionMissing:
                _log.warning("session.forgotten", group=group.folder, session=known)
                await self._conversations.forget_session(group.folder)
        try:
            return await self._start(group, run_id, str(uuid.uuid4()), resume=False)
        except SessionMissing as error:
            raise WorkerLost("the agent refused to begin a conversation", group=group.folder) from error

    async def _start(
        self, group: Group, run_id: str, session_id: str, *, resume: bool, isolated: bool = False
    ) -> AgentSession:
        spec, host = self._spec_of(group), self._host_of(group)
        request = WorkerRequest(
            group=group.folder,
            session_id=session_id,
            resume=resume,
            model=group.model or spec.model,
            system_prompt=spec.system_prompt,
            tools=spec.tools,
            host_tools=(host.server_name,),
            isolated=isolated,
        )
        if not isolated:
            await self._conversations.keep_worker_spec(group.folder, spec.fingerprint)
        loading = self._tasks.start(asyncio.to_thread(_load_session), name="load")
        info = await _patiently(partial(self._gateway.lease_worker, request))
        if info.reused:
            # Started for us in an earlier life: we do not know what it has been asked since.
            await self._end(info.worker_id)
            info = await self._gateway.lease_worker(request)
        stream = self._gateway.attach(info.worker_id, info.lines)
        spent_usd = self._spent_usd.get(group.folder) if resume else 0.0
        make_session = await loading
        session = make_session(info.worker_id, stream, host, spent_usd=spent_usd)
        try:
            await self._gateway.mark_busy(info.worker_id, run_id)
            await session.open()
        except BaseException:
            await session.close()
            await self._end(info.worker_id)
            raise
        if isolated:
            self._isolated[group.folder] = session
        else:
            self._live[group.folder] = session
            self._specs[group.folder] = spec.fingerprint
        _log.info("worker.leased", group=group.folder, worker=info.worker_id, resume=resume, start_ms=info.start_ms)
        return session

    async def _end(self, worker_id: str) -> None:
        try:
            await self._gateway.end_worker(worker_id)
        except GatewayError as error:
            _log.warning("worker.end_failed", worker=worker_id, reason=error.detail)


def _load_session() -> type[AgentSession]:
    """Import the Agent SDK: half a second and 18 MB, so not before a worker is wanted, and beside its start."""
    from nanoclaw.agent.session import AgentSession

    return AgentSession


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call while the gateway restarts: live workers outlast that, and so does a run."""
    backoff = Backoff(base_s=0.1, ceiling_s=2.0)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _GATEWAY_RESTART_S
    while True:
        try:
            return await call()
        except Unavailable as error:
            if error.code != "gateway.down" or loop.time() >= deadline:
                raise
        await asyncio.sleep(backoff.next_delay_s())
