"""The workers we hold: one conversation per group, kept while its worker lives."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from nanoclaw.agent.base import Conversations, LiveWorker, WorkerGateway, WorkerSpec
from nanoclaw.agent.errors import SessionMissing, WorkerLost
from nanoclaw.agent.host import AgentHost
from nanoclaw.groups import Group
from nanoclaw.models import Asking
from shared.errors import Conflict, GatewayError, NotFound, Unavailable
from shared.gatewayclient import WorkerInfo, WorkerRequest
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.faultpoints import fault_point
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

if TYPE_CHECKING:
    from nanoclaw.agent.session import AgentSession

_log = get_logger(__name__)
_GATEWAY_RESTART_S = 20.0
_ADOPTION_S = 5.0
_REPLAY_S = 20.0
_READY_S = 15.0
"""How long an agent that is started ahead may take; a message of its group would wait so long."""

T = TypeVar("T")


@dataclass(slots=True)
class _Held:
    session: AgentSession
    fingerprint: str
    is_busy: bool = False
    is_standby: bool = False


@dataclass(slots=True)
class Adopted:
    """What became of an earlier process's workers: groups whose run goes on, and how many were kept or ended."""

    in_run: set[str] = field(default_factory=set)
    resting: int = 0
    ended: int = 0


_Key = tuple[str, bool]
"""A group's folder, and whether it is an isolated run's worker."""


class Residents:
    """Gives a run its group's agent: the live one, or a new worker that continues the conversation.

    Args:
        spec_of: what a group's worker is started with.
        host_of: what is served to a group's agent.
        on_notes: told what a new worker does without, such as refused mounts.
        on_change: told a group's folder when its worker was given back or has ended, with the reason of the end.
    """

    def __init__(
        self,
        gateway: WorkerGateway,
        conversations: Conversations,
        *,
        spec_of: Callable[[Group], WorkerSpec],
        host_of: Callable[[Group], AgentHost],
        on_notes: Callable[[Group, tuple[str, ...]], Awaitable[None]] | None = None,
        on_change: Callable[[str, str], None] = lambda _folder, _reason: None,
    ) -> None:
        self._gateway = gateway
        self._conversations = conversations
        self._spec_of = spec_of
        self._host_of = host_of
        self._on_notes = on_notes
        self._on_change = on_change
        self._live: dict[_Key, _Held] = {}
        self._locks: dict[_Key, asyncio.Lock] = {}
        self._spent_usd: dict[str, float | None] = {}
        self._tasks = TaskPool("nanoclaw.residents")

    def warm(self) -> None:
        """Load in the background what the first worker will need; for a tenant that has groups to answer."""
        self._tasks.start(asyncio.to_thread(_load_session), name="warm")

    def live(self) -> list[LiveWorker]:
        """The workers we hold whose agents can be asked."""
        return [
            LiveWorker(folder, held.is_busy, held.is_standby, is_isolated)
            for (folder, is_isolated), held in self._live.items()
            if held.session.is_alive
        ]

    async def acquire(self, group: Group, run_id: str, *, isolated: bool = False) -> AgentSession:
        """The agent of a group, marked busy with this run.

        Args:
            group: whose agent.
            run_id: the run that will ask it.
            isolated: a worker of the run's own, with a new conversation; the group's resident worker and the
                conversation it continues are left as they are. It ends at `release`.

        Raises:
            Busy: all workers are taken by other runs.
            Conflict: another isolated run of this group is still in progress.
            Unavailable: no worker can be had (engine down, image missing, or it ended at once).
        """
        key = (group.folder, isolated)
        async with self._lock(key):
            held = self._live.get(key)
            goes_on = held is not None and held.session.is_in_turn  # a run of an earlier process
            if held is not None and not (isolated or goes_on) and held.fingerprint != self._spec_of(group).fingerprint:
                # The prompt, the memory of all groups or the tools changed: the conversation goes on in a new worker.
                _log.info("worker.outdated", group=group.folder, worker=held.session.worker_id)
                await self._let_go(key, end=True)
                held = None
            if held is not None and held.session.is_alive and (goes_on or not isolated):
                try:
                    await _patiently(partial(self._gateway.mark_busy, held.session.worker_id, run_id))
                except NotFound:
                    _log.info("worker.missed", group=group.folder, worker=held.session.worker_id)
                else:
                    held.is_busy, held.is_standby = True, False
                    return held.session
            if isolated and held is not None and held.is_busy and held.session.is_alive:
                raise Conflict(
                    f"another isolated run of group {group.folder!r} is in progress", code="worker.busy_elsewhere"
                )
            await self._let_go(key, end=isolated)
            if isolated:
                return await self._start(group, str(uuid.uuid4()), resume=False, run_id=run_id, isolated=True)
            return await self._begin(group, run_id=run_id)

    async def prepare(self, group: Group) -> bool:
        """Start a group's agent ahead of its next message and freeze it; false when it is up already.

        Raises:
            Busy: there is no room for it; nobody makes any.
            Unavailable: no worker can be had.
        """
        key = (group.folder, False)
        async with self._lock(key):
            held = self._live.get(key)
            if held is not None and held.session.is_alive:
                return False
            await self._let_go(key)
            session = await self._begin(group, run_id="")
        await session.warm_up()
        await self._freeze(session)
        return True

    async def end_outdated(self, groups: Iterable[Group]) -> None:
        """End resting workers that the next run could not use, since what they were started with has changed."""
        for group in groups:
            key = (group.folder, False)
            held = self._live.get(key)
            if held is None or held.is_busy or held.fingerprint == self._spec_of(group).fingerprint:
                continue
            async with self._lock(key):
                if self._live.get(key) is held and not held.is_busy:
                    _log.info("worker.outdated", group=group.folder, worker=held.session.worker_id)
                    await self._let_go(key, end=True)

    async def _freeze(self, session: AgentSession) -> None:
        """Pause a worker that nobody has asked anything; unfrozen it serves as well."""
        await session.settle()
        try:
            await self._gateway.pause_worker(session.worker_id)
        except Conflict:
            return  # a run has begun meanwhile
        except GatewayError as error:
            _log.info("worker.not_paused", worker=session.worker_id, reason=error.detail)

    def rouse(self, folder: str) -> None:
        """Let a worker that was started ahead go on, in the background: its group's run is about to begin.

        That takes as long as storing and claiming the message, and so nobody waits for it.
        """
        held = self._live.get((folder, False))
        if held is not None and held.is_standby and held.session.is_alive:
            self._tasks.start(self._unpause(held.session.worker_id), name="unpause")

    async def _unpause(self, worker_id: str) -> None:
        try:
            await self._gateway.unpause_worker(worker_id)
        except GatewayError as error:  # the run that begins will ask for it again
            _log.info("worker.not_unpaused", worker=worker_id, reason=error.detail)

    async def release(self, group: Group, *, isolated: bool = False) -> None:
        """The run is over; the worker stays for the next message, until the gateway needs its place.

        An isolated run's worker ends here.
        """
        key = (group.folder, isolated)
        held = self._live.get(key)
        if held is None:
            return
        if isolated:
            await self.drop(group.folder, end=True, isolated=True)
            self._on_change(group.folder, "idle")  # a place is free, and nobody has spoken
            return
        held.is_busy = False
        try:
            await _patiently(partial(self._gateway.mark_idle, held.session.worker_id))
        except GatewayError as error:
            _log.info("worker.release_failed", group=group.folder, reason=error.detail)
            await self.drop(group.folder)
        self._on_change(group.folder, "")

    async def drop(self, folder: str, *, end: bool = False, isolated: bool = False) -> None:
        """Let go of a group's agent; with `end` its worker is stopped too."""
        key = (folder, isolated)
        async with self._lock(key):
            await self._let_go(key, end=end)

    def _lock(self, key: _Key) -> asyncio.Lock:
        """Held while a worker is got or let go: a message waits for a worker that is being started ahead."""
        return self._locks.setdefault(key, asyncio.Lock())

    async def _let_go(self, key: _Key, *, end: bool = False) -> None:
        held = self._live.pop(key, None)
        if held is None:
            return
        folder, is_isolated = key
        if not is_isolated:
            self._spent_usd[folder] = held.session.spent_usd
        await held.session.close()
        if end:
            await self._end(held.session.worker_id)

    async def close(self) -> None:
        """Let go of all; their workers live on."""
        for folder, is_isolated in list(self._live):
            await self.drop(folder, isolated=is_isolated)
        await self._tasks.close()

    async def adopt(
        self, groups: Iterable[Group], open_runs: Iterable[Asking] = (), last: Iterable[Asking] = ()
    ) -> Adopted:
        """Take over workers an earlier process of ours left behind.

        A resting worker that holds the group's conversation is kept, and so is one in the middle of a run that can be
        heard out. The others are ended and their conversations go on in new workers.

        Args:
            groups: all there are.
            open_runs: what may be heard out.
            last: what each group was asked last, answered or not.
        """
        by_folder = {group.folder: group for group in groups}
        in_run = {asking.worker_id: asking for asking in open_runs}
        spoke_last = {asking.worker_id for asking in last if not asking.is_isolated}
        found = Adopted()
        for worker in await self._gateway.workers():
            group, asking = by_folder.get(worker.group), in_run.get(worker.worker_id)
            is_wanted = group is not None and (asking is not None or await self._is_ours(group, worker, spoke_last))
            is_fresh = asking is None and worker.worker_id not in spoke_last
            if group is None or not is_wanted or not await self._adopt(group, worker, asking, is_fresh=is_fresh):
                found.ended += 1
                await self._end(worker.worker_id)
            elif asking is not None:
                found.in_run.add(group.folder)
            else:
                found.resting += 1
        return found

    async def _is_ours(self, group: Group, worker: WorkerInfo, spoke_last: Collection[str]) -> bool:
        """A resting worker in the group's conversation, which may have a new id since the worker was started."""
        known = await self._conversations.session_of(group.folder)
        # One started ahead for a group without a conversation has an id that nobody noted, and nothing was said in it.
        is_in_it = known == worker.session_id or (bool(known) and worker.worker_id in spoke_last)
        if worker.isolated or not (is_in_it or (not known and worker.standby)):
            return False
        if worker.state not in {"idle", "paused"} or (group.folder, False) in self._live:
            return False
        return await self._conversations.worker_spec_of(group.folder) == self._spec_of(group).fingerprint

    async def _adopt(self, group: Group, worker: WorkerInfo, asking: Asking | None, *, is_fresh: bool) -> bool:
        # One that was never asked may still wait for an answer to its first words: it is heard from the beginning.
        line = asking.line if asking else 0 if is_fresh else worker.lines
        is_isolated = asking is not None and asking.is_isolated
        stream = self._gateway.attach(worker.worker_id, line)
        make_session = await asyncio.to_thread(_load_session)
        session = make_session(
            worker.worker_id,
            stream,
            self._host_of(group),
            is_adopted=True,
            is_fresh=is_fresh,
            in_turn=asking.prompt_id if asking else "",
            line=line,
            spent_usd=asking.spent_usd if asking else None,
            on_lost=(lambda _: None) if is_isolated else partial(self._on_change, group.folder),
        )
        try:
            async with asyncio.timeout(_ADOPTION_S if asking is None else _REPLAY_S):
                await session.open()
        except (GatewayError, TimeoutError) as error:
            _log.info("worker.not_adopted", group=group.folder, worker=worker.worker_id, reason=str(error))
            await session.close()
            return False
        self._live[group.folder, is_isolated] = _Held(
            session,
            await self._conversations.worker_spec_of(group.folder),
            is_busy=asking is not None,
            is_standby=worker.standby,
        )
        if worker.state == "paused":  # to be heard it was let go on
            self._tasks.start(self._freeze(session), name="freeze")
        _log.info(
            "worker.adopted",
            group=group.folder,
            worker=worker.worker_id,
            standby=worker.standby,
            in_run=asking is not None,
        )
        return True

    async def _begin(self, group: Group, *, run_id: str) -> AgentSession:
        """A worker that continues the group's conversation, or begins one; without a run it is started ahead."""
        known = await self._conversations.session_of(group.folder)
        if known:
            try:
                return await self._start(group, known, resume=True, run_id=run_id)
            except SessionMissing:
                _log.warning("session.forgotten", group=group.folder, session=known)
                await self._conversations.forget_session(group.folder)
        try:
            return await self._start(group, str(uuid.uuid4()), resume=False, run_id=run_id)
        except SessionMissing as error:
            raise WorkerLost("the agent refused to begin a conversation", group=group.folder) from error

    async def _start(
        self, group: Group, session_id: str, *, resume: bool, run_id: str, isolated: bool = False
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
            standby=not run_id,
            mounts=spec.mounts,
        )
        if not isolated:
            await self._conversations.keep_worker_spec(group.folder, spec.fingerprint)
        loading = self._tasks.start(asyncio.to_thread(_load_session), name="load")
        info = await _patiently(partial(self._gateway.lease_worker, request))
        if info.reused:
            # Started for us in an earlier life: we do not know what it has been asked since.
            await self._end(info.worker_id)
            info = await self._gateway.lease_worker(request)
        fault_point("worker.leased")
        stream = self._gateway.attach(info.worker_id, info.lines)
        spent_usd = self._spent_usd.get(group.folder) if resume else 0.0
        make_session = await loading
        session = make_session(
            info.worker_id,
            stream,
            host,
            line=info.lines,
            spent_usd=spent_usd,
            on_lost=(lambda _: None) if isolated else partial(self._on_change, group.folder),
        )
        try:
            if run_id:
                await self._gateway.mark_busy(info.worker_id, run_id)
            async with asyncio.timeout(None if run_id else _READY_S):
                await session.open()
        except TimeoutError:
            await session.close()
            await self._end(info.worker_id)
            raise WorkerLost("the agent was not ready in time", group=group.folder) from None
        except BaseException:
            await session.close()
            await self._end(info.worker_id)
            raise
        self._live[group.folder, isolated] = _Held(
            session, spec.fingerprint, is_busy=bool(run_id), is_standby=not run_id
        )
        _log.info(
            "worker.leased",
            group=group.folder,
            worker=info.worker_id,
            resume=resume,
            standby=not run_id,
            isolated=isolated,
            start_ms=info.start_ms,
        )
        if info.notes and self._on_notes is not None:
            await self._on_notes(group, info.notes)
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
