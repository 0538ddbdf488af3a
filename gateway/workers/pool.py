"""The worker pool: who has which worker, how many there may be, and what happens when one ends.

States of a worker::

    starting ──► idle ◄──► busy          (busy and idle are the tenant's word)
                  │ ▲        │
                  ▼ │        ▼
                paused ──► stopping ──► gone
                  └── any of them, when it ends by itself ──► gone

A worker starts idle. One that rests is paused after a while and goes on with its next run or its next input; one that
was started ahead (standby) is paused by its tenant once its agent is ready. The engine is the truth about what runs: a
new gateway adopts by label what the old one left.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from gateway.workers.engine import Attachment, Container, Engine
from gateway.workers.launch import Launcher, Owner, describe
from gateway.workers.mounted import confirm
from gateway.workers.notes import WorkerNotes
from gateway.workers.pausing import Freezer
from gateway.workers.places import Rest, decide_place, decide_rest
from gateway.workers.policy import WorkerPolicy
from gateway.workers.reconcile import Checkpoint
from gateway.workers.records import Records
from gateway.workers.room import MB, Rooms
from gateway.workers.spec import LABEL, PROTOCOL, spec_hash
from gateway.workers.stream import WorkerStream
from gateway.workers.worker import EndReason, Key, Worker
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.errors import Busy, ConfigError, Conflict, GatewayError, NotFound, Unavailable
from shared.gatewayclient.models import WorkerEvent, WorkerInfo, WorkerRequest
from shared.lifecycle.faultpoints import fault_point
from shared.lifecycle.halt import require_not_halted
from shared.lifecycle.inorder import InOrder
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

_KEEP_GONE_S = 120.0
"""How long the end of a worker can still be read by a tenant that was away when it came."""
_SIGTERM_CODE = 143
_SIGKILL_CODE = 137
_READ_AHEAD_BYTES = 16 * 1024 * 1024
_SWEEP_S = 15.0
_ROOMS_S = 2.0


class WorkerEndpoints(Protocol):
    """Opens the model API socket of a worker; the socket is the worker's identity."""

    async def open(self, worker_id: str, tenant: str, group: str, session_id: str) -> None:
        """Listen for this worker, creating its socket folder."""
        ...

    async def close(self, worker_id: str) -> None:
        """Stop listening for it."""
        ...


class WorkerPool:
    """Workers of all tenants on one engine.

    Args:
        endpoints: opens and closes each worker's socket.
        instance: this installation's id; containers of others are never touched.
        sandbox: permits the process engine, which contains nothing.
        launcher: prepares workers; one without extra mounts unless given.
        rooms: how much of the disk groups and tenants take; without tenants' budgets unless given.
    """

    def __init__(
        self,
        engine: Engine,
        policy: WorkerPolicy,
        paths: Paths,
        endpoints: WorkerEndpoints,
        *,
        instance: str,
        sandbox: bool = False,
        launcher: Launcher | None = None,
        rooms: Rooms | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if engine.kind == "process" and not sandbox:
            raise ConfigError(
                "the process engine contains nothing and is refused outside the sandbox", code="engine.process_refused"
            )
        self._engine = engine
        self._policy = policy
        self._paths = paths
        self._endpoints = endpoints
        self._instance = instance
        self._clock = clock
        self._launcher = launcher or Launcher(policy, paths, instance=instance, clock=clock)
        self.rooms = rooms or Rooms(paths, group_bytes=policy.group_disk_mb * MB, tenant_bytes={}, clock=clock)
        self._records = Records(WorkerNotes(paths), clock)
        self._freezer = Freezer(engine)
        self._workers: dict[str, Worker] = {}
        self._key_locks: dict[Key, asyncio.Lock] = {}
        self._tasks = TaskPool("workers")
        self._image_id = ""
        self._adopted = False
        self._adopting = asyncio.Lock()
        self._changed = asyncio.Event()

    # --- life ------------------------------------------------------------------
    async def start(self) -> None:
        """Adopt what an earlier gateway left and begin to watch. An engine that is down is reported, not fatal."""
        try:
            await self.adopt()
        except GatewayError as error:
            _log.warning("workers.engine_unavailable", reason=error.detail, code=error.code)
        self._tasks.start(self._watch(), name="watch")
        self._tasks.start(self._warm(), name="warm")
        self._tasks.start(self._watch_rooms(), name="rooms")

    async def stop(self, *, end_workers: bool = False) -> None:
        """Let go of all workers; they go on and are adopted by the next gateway, unless told to end them."""
        if end_workers:
            await self.end_all(reason="gateway")
        for worker in self._workers.values():
            if worker.is_alive:
                self._records.note(worker)
        for worker in self._workers.values():
            await worker.desk.drain()
        await self._tasks.close()
        for worker in self._workers.values():
            if worker.stream is not None:
                await worker.stream.close()  # no exit event: a reader comes back to the next gateway
        self._workers.clear()

    async def end_all(self, *, tenant: str = "", reason: EndReason = "stopped") -> int:
        """End every worker of this installation, or of one tenant; returns how many there were."""
        live = [w for w in self._workers.values() if w.is_alive and tenant in {"", w.tenant}]
        await asyncio.gather(*(self._end(worker, reason) for worker in live))
        return len(live)

    async def use_image(self, image_id: str) -> int:
        """From now on there is another image: resting workers of the old one end; returns how many did."""
        self._image_id = image_id
        stale = [w for w in self._workers.values() if w.state in {"idle", "paused"} and w.image_id != image_id]
        await asyncio.gather(*(self._end(worker, "stopped") for worker in stale))
        return len(stale)

    async def adopt(self) -> None:
        """Take over running containers that carry our labels; take away what cannot be taken over."""
        async with self._adopting:
            for container in await self._engine.find({f"{LABEL}instance": self._instance}):
                worker_id = container.labels.get(f"{LABEL}worker", "")
                if worker_id not in self._workers:
                    await self._adopt(worker_id, container)
            self._adopted = True
            await asyncio.to_thread(self._records.tidy, frozenset(self._workers))

    async def _adopt(self, worker_id: str, container: Container) -> None:
        labels = container.labels
        if not worker_id or labels.get(f"{LABEL}protocol") != PROTOCOL or container.status == "created":
            _log.info("worker.removed", container=container.name, reason="cannot be adopted")
            await self._engine.remove(container.id)
            return
        if container.paused:
            await self._engine.unpause(container.id)  # a paused one cannot be attached to
        noted = await asyncio.to_thread(self._records.read, worker_id)
        now = self._clock.monotonic()
        worker = Worker(
            worker_id=worker_id,
            tenant=labels.get(f"{LABEL}tenant", ""),
            group=labels.get(f"{LABEL}group", ""),
            session_id=labels.get(f"{LABEL}session", ""),
            spec=labels.get(f"{LABEL}spec", ""),
            name=container.name,
            desk=InOrder(self._tasks, worker_id),
            state="busy" if noted.run_id else "idle",
            is_standby=noted.standby,
            is_ready=not noted.standby or container.paused,
            is_isolated=bool(labels.get(f"{LABEL}isolated")),
            image_id=labels.get(f"{LABEL}image", ""),
            run_id=noted.run_id,
            container=container.id,
            started_at=container.started_at,
            used_at=now,
            began=now,
            run_began=now,
        )
        if name := labels.get(f"{LABEL}log"):
            worker.log = self._launcher.log_of(worker, name)
        self._workers[worker_id] = worker
        await self._endpoints.open(worker_id, worker.tenant, worker.group, worker.session_id)
        stream = self._follow(worker, None, noted)
        if container.paused and not noted.run_id:
            self._tasks.start(self._pause_again(worker, stream), name=f"{worker_id}.pause")
        _log.info("worker.adopted", worker=worker_id, container=container.name, state=worker.state)

    async def _pause_again(self, worker: Worker, stream: WorkerStream) -> None:
        await stream.joined()
        await self._freezer.pause(worker)

    # --- leases ------------------------------------------------------------------
    async def lease(self, tenant: str, request: WorkerRequest, *, uid: int, gid: int, name_prefix: str) -> WorkerInfo:
        """The worker for a group's session: the one that runs, else a new one.

        Raises:
            Busy: every place is taken by a worker with a run (``worker.full``), or there is no place or memory for a
                standby worker (``worker.no_room``).
            Conflict: the group's worker has a run of another session or with other settings.
            Unavailable: the engine is down or the image missing.
            Denied: a symbolic link leads a mount out of the tenant's state, the operator stopped everything, or the
                group or its tenant takes more of the disk than it may (``worker.disk``).
        """
        require_not_halted(self._paths)
        if not self._adopted:
            await self.adopt()  # the engine was down when we started
        key = (tenant, request.group, request.isolated)
        async with self._key_locks.setdefault(key, asyncio.Lock()):
            image_id = self._image_id or await self._engine.image_id(self._policy.image)
            self._image_id = image_id
            wanted = spec_hash(request, self._policy, image_id)
            resident = next((w for w in self._workers.values() if w.key == key and w.is_usable), None)
            if resident is not None:
                is_same = resident.session_id == request.session_id and (
                    resident.spec == wanted or resident.state == "busy"  # new settings wait for the run
                )
                if is_same or request.standby:
                    resident.used_at = self._clock.monotonic()
                    return resident.info(reused=True)
                if resident.state == "busy":
                    raise Conflict(
                        f"the worker of group {request.group!r} is busy with run {resident.run_id or '(unknown)'}: "
                        "end that run first",
                        code="worker.busy_elsewhere",
                        retryable=True,
                    )
                await self._end(resident, "stopped")
            await self.rooms.require_room(tenant, request.group, standby=request.standby)
            await self._find_place(standby=request.standby)
            worker = Worker(
                worker_id=(worker_id := secrets.token_hex(8)),
                tenant=tenant,
                group=request.group,
                session_id=request.session_id,
                spec=wanted,
                name="",
                desk=InOrder(self._tasks, worker_id),
                is_standby=request.standby,
                is_isolated=request.isolated,
                image_id=image_id,
                used_at=self._clock.monotonic(),
            )
            self._workers[worker_id] = worker  # the place is taken from here on
            try:
                await self._launch(worker, request, Owner(uid, gid, name_prefix))
            except BaseException:
                await asyncio.shield(self._give_up(worker))
                raise
            return worker.info()

    async def _find_place(self, *, standby: bool) -> None:
        """Return, without a pause after the last look, as soon as one of the places is free."""
        while True:
            seats = [worker.seat() for worker in self._workers.values() if worker.is_alive]
            decision = decide_place(seats, self._policy, standby=standby)
            if decision.kind == "take":
                return
            if decision.kind == "refuse":
                code = "worker.no_room" if standby else "worker.full"
                raise Busy(decision.reason, retry_after_s=60.0 if standby else 5.0, code=code)
            if decision.kind == "wait":
                await self._changed.wait()
                continue
            victim = self._workers[decision.worker_id]
            _log.info("worker.evicted", worker=victim.worker_id, tenant=victim.tenant, reason=decision.reason)
            await self._end(victim, "evicted")

    async def _launch(self, worker: Worker, request: WorkerRequest, owner: Owner) -> None:
        began = self._clock.monotonic()
        await self._endpoints.open(worker.worker_id, worker.tenant, worker.group, worker.session_id)
        others = [other for other in self._workers.values() if other is not worker]
        spec = await self._launcher.prepare(worker, request, owner, others)
        try:
            container, attachment = await self._engine.start(spec, deadline_s=self._policy.start_deadline_s)
        except Unavailable as error:
            if error.code == "engine.image_missing":
                self._image_id = ""
            raise
        fault_point("worker.started")
        if container.pid:
            try:
                await asyncio.to_thread(confirm, container.id, container.pid, worker.looked_at)
            except BaseException:
                await attachment.close()
                raise
        now = self._clock.monotonic()
        worker.container = container.id
        worker.start_ms = round((now - began) * 1000, 1)
        worker.started_at = self._clock.now().isoformat()
        worker.state, worker.used_at, worker.began = "idle", now, now
        self._follow(worker, attachment, None)
        self._announce()
        self._records.started(worker, describe(worker, spec, request, self._clock.now()))
        _log.info(
            "worker.started",
            worker=worker.worker_id,
            container=worker.name,
            tenant=worker.tenant,
            group=worker.group,
            standby=worker.is_standby,
            start_ms=worker.start_ms,
        )

    async def _give_up(self, worker: Worker) -> None:
        """Undo a start that failed half-way."""
        self._workers.pop(worker.worker_id, None)
        worker.state = "gone"
        worker.ended.set()
        self._announce()
        with suppress(GatewayError):
            for container in await self._engine.find({f"{LABEL}worker": worker.worker_id}):
                await self._engine.remove(container.id)
        await self._endpoints.close(worker.worker_id)

    def _announce(self) -> None:
        """Wake whoever waits for a place."""
        self._changed.set()
        self._changed = asyncio.Event()

    # --- what tenants say ------------------------------------------------------------
    async def mark_busy(self, tenant: str, worker_id: str, run_id: str) -> None:
        """A run begins; the worker goes on if it was paused, and is neither evicted nor ended while the run lasts.

        Raises:
            NotFound: the tenant has no such live worker.
            Unavailable: it is paused and the engine does not answer.
        """
        worker = self._live(tenant, worker_id)
        async with worker.freezing:
            self._live(tenant, worker_id)  # it may have begun to end while we waited
            await self._freezer.unpause(worker)
            now = self._clock.monotonic()
            run_id = "".join(filter(str.isprintable, run_id))  # it stands in logs
            worker.state, worker.run_id, worker.used_at, worker.run_began = "busy", run_id, now, now
            worker.is_standby, worker.is_ready = False, True
            worker.runs += 1
        self._records.run_began(worker)

    async def mark_idle(self, tenant: str, worker_id: str) -> None:
        """The run is over.

        Raises:
            NotFound: the tenant has no such live worker.
        """
        worker = self._live(tenant, worker_id)
        self._records.run_ended(worker)
        if worker.state == "busy":
            worker.state = "idle"
        worker.run_id, worker.used_at = "", self._clock.monotonic()
        self._records.note(worker)
        self._announce()
        self._tasks.start(self.rooms.measure(tenant, worker.group, anew=False), name=f"{worker_id}.room")

    async def pause(self, tenant: str, worker_id: str) -> None:
        """Freeze a worker that has no run; one that is frozen already is success.

        Raises:
            NotFound: the tenant has no such live worker.
            Conflict: it has a run.
        """
        worker = self._live(tenant, worker_id)
        if worker.state == "busy":
            raise Conflict(f"worker {worker_id} has a run and is not paused", code="worker.busy")
        await self._freezer.pause(worker)

    async def unpause(self, tenant: str, worker_id: str) -> None:
        """Let a worker go on, since a run is about to begin; one that is not frozen is left as it is.

        Raises:
            NotFound: the tenant has no such live worker.
            Unavailable: the engine does not answer.
        """
        await self._go_on(self._live(tenant, worker_id))

    async def _go_on(self, worker: Worker) -> None:
        worker.spoken_at = self._clock.monotonic()  # else the next look might freeze it again
        if worker.state == "paused" or worker.freezing.locked():
            async with worker.freezing:
                await self._freezer.unpause(worker)

    async def end(self, tenant: str, worker_id: str, *, reason: EndReason = "stopped") -> None:
        """End a worker; one that is on its way out or gone is success.

        Raises:
            NotFound: the tenant never had it.
        """
        await self._end(self._mine(tenant, worker_id), reason)

    def list(self, tenant: str | None = None) -> list[WorkerInfo]:
        """Live workers, oldest first; of one tenant, or of all."""
        return [w.info() for w in self._workers.values() if w.is_alive and tenant in {None, w.tenant}]

    async def stream(self, tenant: str, worker_id: str, after: int) -> AsyncIterator[tuple[int, bytes] | WorkerEvent]:
        """Output lines after number `after`, then all that comes, to the exit event.

        Raises:
            NotFound: the tenant has no such worker.
        """
        worker = self._mine(tenant, worker_id)
        if worker.stream is None:
            raise NotFound(f"worker {worker_id} is still starting", code="worker.starting", retryable=True)
        async for item in worker.stream.follow(after):
            yield item

    async def write(self, tenant: str, worker_id: str, data: bytes) -> None:
        """Send whole lines to a worker's stdin; a paused one goes on first, or nobody would read them.

        Raises:
            NotFound: the tenant has no such live worker.
            Unavailable: it is just ending.
        """
        worker = self._live(tenant, worker_id)
        if worker.stream is None:
            raise NotFound(f"worker {worker_id} is still starting", code="worker.starting", retryable=True)
        fault_point("worker.input_received")
        await self._go_on(worker)
        await worker.stream.write(data)
        fault_point("worker.input_written")

    def _mine(self, tenant: str, worker_id: str) -> Worker:
        worker = self._workers.get(worker_id)
        if worker is None or worker.tenant != tenant:  # the same answer for both: ids of others are not confirmed
            raise NotFound(f"there is no worker {worker_id!r}", code="worker.not_found")
        return worker

    def _live(self, tenant: str, worker_id: str) -> Worker:
        worker = self._mine(tenant, worker_id)
        if not worker.is_usable:
            raise NotFound(f"worker {worker_id!r} has ended", code="worker.not_found")
        return worker

    # --- the end ------------------------------------------------------------------
    def _follow(self, worker: Worker, attachment: Attachment | None, noted: Checkpoint | None) -> WorkerStream:
        stream = worker.stream = WorkerStream(
            self._engine,
            worker.container,
            ring_bytes=int(self._policy.ring_mb * 1024 * 1024),
            on_progress=lambda _: self._records.note(worker),
        )
        self._tasks.start(self._attend(worker, stream, attachment, noted), name=worker.worker_id)
        return stream

    async def _attend(
        self, worker: Worker, stream: WorkerStream, attachment: Attachment | None, noted: Checkpoint | None
    ) -> None:
        """Read a worker to its end, tell its readers, and clear away."""
        container = None
        try:
            container = await stream.run(attachment, noted)
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody reads this worker any more: end it, tell all
            _log.error("worker.stream_failed", worker=worker.worker_id, reason=str(error), exc_info=error)
            with suppress(GatewayError):
                await self._engine.kill(worker.container)
                container = await self._engine.inspect(worker.container)
        code = container.exit_code if container else -1
        worker.reason = worker.reason or _why(container)
        self._records.run_ended(worker)
        worker.state = "gone"
        stream.finish(WorkerEvent(event="exit", code=code, reason=worker.reason, text=stream.stderr_tail[-2000:]))
        _log.info("worker.ended", worker=worker.worker_id, container=worker.name, code=code, reason=worker.reason)
        self._records.ended(worker, code, stream.stderr_tail)
        with suppress(GatewayError):
            await self._engine.remove(worker.container)
        await self._endpoints.close(worker.worker_id)
        self._records.forget(worker)
        worker.ended.set()
        self._announce()
        self._tasks.start(self._forget_later(worker), name="forget")

    async def _forget_later(self, worker: Worker) -> None:
        await asyncio.sleep(_KEEP_GONE_S)
        self._workers.pop(worker.worker_id, None)

    async def _end(self, worker: Worker, reason: EndReason) -> None:
        if not worker.is_usable:
            await worker.ended.wait()
            return
        was_resting = worker.state != "busy"
        async with worker.freezing:
            if was_resting and worker.state == "busy" and reason in {"evicted", "idle"}:
                return  # a run has begun while we waited: it goes first
            if worker.is_usable:
                await self._begin_end(worker, reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._policy.stop_grace_s + 5):
                await worker.ended.wait()

    async def _begin_end(self, worker: Worker, reason: EndReason) -> None:
        before, worker.state, worker.reason = worker.state, "stopping", reason
        try:
            if before == "paused":
                with suppress(NotFound):
                    await self._engine.unpause(worker.container)  # some engines cannot stop what is frozen
                before = "idle"
            await self._engine.stop(worker.container, grace_s=self._policy.stop_grace_s)
        except GatewayError:
            if worker.state == "stopping":
                worker.state, worker.reason = before, ""
            raise

    # --- watching -------------------------------------------------------------------
    async def sweep(self) -> None:
        """Pause workers that rest, end those that rest too long, or are busy with nobody listening."""
        for worker in list(self._workers.values()):
            stream = worker.stream
            if stream is None or not worker.is_usable:
                continue
            now = self._clock.monotonic()
            quiet = stream.lines == worker.lines_then
            worker.lines_then = stream.lines
            if worker.state == "busy" and (stream.readers or not quiet):
                worker.used_at = now
            rest = Rest(
                state=worker.state,
                unused_s=now - worker.used_at,
                silent_s=now - worker.spoken_at,
                is_quiet=quiet,
                is_ready=worker.is_ready,
            )
            decision = decide_rest(rest, self._policy, can_pause=self._freezer.can_pause)
            try:
                if decision == "end":
                    await self._end(worker, "idle")
                elif decision == "pause":
                    await self._freezer.pause(worker)
            except GatewayError as error:
                _log.warning("worker.end_failed", worker=worker.worker_id, reason=error.detail)

    async def _watch(self) -> None:
        waits = [_SWEEP_S, self._policy.idle_timeout_s / 4]
        if self._policy.pause_after_s:
            waits.append(self._policy.pause_after_s / 4)
        while True:
            await asyncio.sleep(max(0.1, min(waits)))
            await self.sweep()

    async def end_overrun(self) -> None:
        """End the agents that work and whose group takes far more of the disk than it may."""
        working = [worker for worker in self._workers.values() if worker.is_usable and worker.state != "paused"]
        for use in await self.rooms.overrun((worker.tenant, worker.group) for worker in working):
            for worker in working:
                if (worker.tenant, worker.group) == (use.tenant, use.group):
                    _log.error("worker.disk", worker=worker.worker_id, run_id=worker.run_id, reason=use.in_words())
                    await self._end(worker, "disk")

    async def _watch_rooms(self) -> None:
        while True:
            await asyncio.sleep(_ROOMS_S)
            try:
                await self.end_overrun()
            except (GatewayError, OSError) as error:
                _log.warning("rooms.failed", reason=str(error))

    async def _warm(self) -> None:
        """Read the command line's file once: on a cold machine the first worker would wait five seconds for it."""
        with suppress(GatewayError, OSError):
            self._image_id = await self._engine.image_id(self._policy.image)
            if path := await self._engine.cli_file(self._policy.image):
                await asyncio.to_thread(_read_ahead, path)


def _why(container: Container | None) -> EndReason:
    """The reason for an end that we did not ask for."""
    if container is None or container.exit_code == _SIGTERM_CODE:
        return "stopped"  # somebody used `docker stop` or `docker rm`
    if container.oom_killed and container.exit_code in {_SIGKILL_CODE, 1}:
        return "oom"
    return "crashed" if container.exit_code else ""


def _read_ahead(path: Path) -> None:
    """Have the kernel read a file into its cache, in the background."""
    with path.open("rb") as file:
        for offset in range(0, path.stat().st_size, _READ_AHEAD_BYTES):
            os.posix_fadvise(file.fileno(), offset, _READ_AHEAD_BYTES, os.POSIX_FADV_WILLNEED)
