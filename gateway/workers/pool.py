"""The worker pool: who has which worker, how many there may be, and what happens when one ends.

States of a worker::

    starting ──► busy ◄──► idle ──► stopping ──► gone
        └────────────┴───────┴── (it ended by itself) ──► gone

A worker starts idle; ``busy`` and ``idle`` are the tenant's word. The engine is the truth about what runs: nothing is
counted that was not looked up, and a new gateway adopts by label what the old one left.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import secrets
import shutil
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from gateway.workers.engine import Attachment, Container, Engine
from gateway.workers.policy import WorkerPolicy
from gateway.workers.reconcile import Checkpoint
from gateway.workers.spec import LABEL, PROTOCOL, WorkerFolders, build_spec, spec_hash
from gateway.workers.stream import WorkerStream
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.errors import Busy, ConfigError, Conflict, GatewayError, NotFound, Unavailable
from shared.gatewayclient.models import WorkerEvent, WorkerInfo, WorkerRequest
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

EndReason = Literal["", "stopped", "evicted", "idle", "oom", "crashed", "gateway"]
_State = Literal["starting", "busy", "idle", "stopping", "gone"]

_KEEP_GONE_S = 120.0
"""How long the end of a worker can still be read by a tenant that was away when it came."""
_SIGTERM_CODE = 143
_SIGKILL_CODE = 137
_TREE_LIMIT = 20_000
_READ_AHEAD_BYTES = 16 * 1024 * 1024


class WorkerEndpoints(Protocol):
    """Opens the model API socket of a worker; the socket is the worker's identity."""

    async def open(self, worker_id: str, tenant: str, group: str, session_id: str) -> None:
        """Listen for this worker, creating its socket folder."""
        ...

    async def close(self, worker_id: str) -> None:
        """Stop listening for it."""
        ...


@dataclass(slots=True, eq=False)
class _Worker:
    worker_id: str
    tenant: str
    group: str
    session_id: str
    spec: str
    name: str
    state: _State = "starting"
    run_id: str = ""
    container: str = ""
    stream: WorkerStream | None = None
    start_ms: float = 0.0
    started_at: str = ""
    used_at: float = 0.0
    lines_then: int = 0
    reason: EndReason = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def alive(self) -> bool:
        """It holds one of the places."""
        return self.state != "gone"

    def info(self, *, reused: bool = False) -> WorkerInfo:
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
        )


class WorkerPool:
    """Workers of all tenants on one engine.

    Args:
        endpoints: opens and closes each worker's socket.
        instance: this installation's id; containers of others are never touched.
        sandbox: permits the process engine, which contains nothing.
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
        self._workers: dict[str, _Worker] = {}
        self._group_locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._tasks = TaskPool("workers")
        self._image_id = ""
        self._adopted = False
        self._adopting = asyncio.Lock()

    # --- life ------------------------------------------------------------------
    async def start(self) -> None:
        """Adopt what an earlier gateway left and begin to watch. An engine that is down is reported, not fatal."""
        try:
            await self.adopt()
        except GatewayError as error:
            _log.warning("workers.engine_unavailable", reason=error.detail, code=error.code)
        self._tasks.start(self._watch_idle(), name="idle")
        self._tasks.start(self._warm(), name="warm")

    async def stop(self, *, end_workers: bool = False) -> None:
        """Let go of all workers; they go on and are adopted by the next gateway, unless told to end them."""
        if end_workers:
            await self.end_all(reason="gateway")
        else:
            for worker in self._workers.values():
                if worker.alive and worker.stream is not None:
                    self._note(worker)
        await self._tasks.close()
        for worker in self._workers.values():
            if worker.stream is not None:
                await worker.stream.close()  # no exit event: a reader comes back to the next gateway
        self._workers.clear()

    async def end_all(self, *, reason: EndReason = "stopped") -> int:
        """End every worker of this installation; returns how many there were."""
        live = [worker for worker in self._workers.values() if worker.alive]
        await asyncio.gather(*(self._end(worker, reason) for worker in live))
        return len(live)

    async def adopt(self) -> None:
        """Take over running containers that carry our labels; take away what cannot be taken over."""
        async with self._adopting:
            await self._adopt()
            self._adopted = True
            await asyncio.to_thread(self._tidy, frozenset(self._workers))

    async def _adopt(self) -> None:
        for container in await self._engine.find({f"{LABEL}instance": self._instance}):
            labels = container.labels
            worker_id = labels.get(f"{LABEL}worker", "")
            if worker_id in self._workers:
                continue
            if not worker_id or labels.get(f"{LABEL}protocol") != PROTOCOL or container.status == "created":
                _log.info("worker.removed", container=container.name, reason="cannot be adopted")
                await self._engine.remove(container.id)
                continue
            if container.paused:
                await self._engine.unpause(container.id)
            noted = self._read_note(worker_id)
            worker = _Worker(
                worker_id=worker_id,
                tenant=labels.get(f"{LABEL}tenant", ""),
                group=labels.get(f"{LABEL}group", ""),
                session_id=labels.get(f"{LABEL}session", ""),
                spec=labels.get(f"{LABEL}spec", ""),
                name=container.name,
                state="busy" if noted.run_id else "idle",
                run_id=noted.run_id,
                container=container.id,
                started_at=container.started_at,
                used_at=self._clock.monotonic(),
            )
            self._workers[worker_id] = worker
            await self._endpoints.open(worker_id, worker.tenant, worker.group, worker.session_id)
            self._follow(worker, None, noted)
            _log.info("worker.adopted", worker=worker_id, container=container.name, state=worker.state)

    async def rebuild_image(self) -> dict[str, Any]:
        """Build the worker image anew from our own files; idle workers of the old one end at their next lease."""
        from gateway.workers.docker_engine import DockerEngine
        from gateway.workers.image.build import ensure_image

        if not isinstance(self._engine, DockerEngine):
            raise ConfigError("the process engine has no image to build", code="engine.no_image")
        messages: builtins.list[str] = []
        built = await asyncio.to_thread(
            ensure_image, self._engine.address, progress=messages.append, image=self._policy.image, force=True
        )
        self._image_id = ""
        return {"image": self._policy.image, "id": built.image_id, "tag": built.tag, "log": messages}

    # --- leases ------------------------------------------------------------------
    async def lease(self, tenant: str, request: WorkerRequest, *, uid: int, gid: int, name_prefix: str) -> WorkerInfo:
        """The worker for a group's session: the one that runs, else a new one.

        Raises:
            Busy: every place is taken by a worker with a run.
            Conflict: the group's worker has a run of another session or with other settings.
            Unavailable: the engine is down or the image missing.
            Denied: a symbolic link leads a mount out of the tenant's state.
        """
        if not self._adopted:
            await self.adopt()  # the engine was down when we started
        lock = self._group_locks.setdefault((tenant, request.group), asyncio.Lock())
        async with lock:
            image_id = self._image_id or await self._engine.image_id(self._policy.image)
            self._image_id = image_id
            resident = self._resident(tenant, request.group)
            if resident is not None:
                wanted = spec_hash(request, self._policy, image_id)
                same_session = resident.session_id == request.session_id
                if same_session and (
                    resident.spec == wanted or resident.state == "busy"
                ):  # new settings wait for the run
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
            worker = await self._take_place(tenant, request, image_id)
            try:
                await self._launch(worker, request, image_id, uid=uid, gid=gid, name_prefix=name_prefix)
            except BaseException:
                await asyncio.shield(self._give_up(worker))
                raise
            return worker.info()

    def _resident(self, tenant: str, group: str) -> _Worker | None:
        live = (w for w in self._workers.values() if (w.tenant, w.group) == (tenant, group))
        return next((w for w in live if w.state in {"busy", "idle"}), None)

    async def _take_place(self, tenant: str, request: WorkerRequest, image_id: str) -> _Worker:
        """Reserve one of the places, ending the least recently used idle worker if all are taken."""
        while sum(worker.alive for worker in self._workers.values()) >= self._policy.max_workers:
            idle = [worker for worker in self._workers.values() if worker.state == "idle"]
            leaving = [worker for worker in self._workers.values() if worker.state == "stopping"]
            if idle:
                victim = min(idle, key=lambda worker: worker.used_at)
                _log.info("worker.evicted", worker=victim.worker_id, tenant=victim.tenant, group=victim.group)
                await self._end(victim, "evicted")
            elif leaving:
                await leaving[0].ended.wait()
            else:
                raise Busy(
                    f"all {self._policy.max_workers} workers have a run in progress",
                    retry_after_s=5.0,
                    code="worker.full",
                )
        worker = _Worker(
            worker_id=secrets.token_hex(8),
            tenant=tenant,
            group=request.group,
            session_id=request.session_id,
            spec=spec_hash(request, self._policy, image_id),
            name="",
            used_at=self._clock.monotonic(),
        )
        self._workers[worker.worker_id] = worker  # the place is taken from here on
        return worker

    async def _launch(
        self, worker: _Worker, request: WorkerRequest, image_id: str, *, uid: int, gid: int, name_prefix: str
    ) -> None:
        began = self._clock.monotonic()
        user = uid if uid > 0 else self._policy.uid_when_root
        group = gid if gid > 0 else self._policy.uid_when_root
        await self._endpoints.open(worker.worker_id, worker.tenant, worker.group, worker.session_id)
        folders = await asyncio.to_thread(self._prepare, worker, user, group)
        spec = build_spec(
            request,
            self._policy,
            tenant=worker.tenant,
            worker_id=worker.worker_id,
            instance=self._instance,
            name_prefix=name_prefix,
            folders=folders,
            uid=user,
            gid=group,
            image_id=image_id,
        )
        worker.name = spec.name
        try:
            container, attachment = await self._engine.start(spec, deadline_s=self._policy.start_deadline_s)
        except Unavailable as error:
            if error.code == "engine.image_missing":
                self._image_id = ""
            raise
        worker.container = container.id
        worker.start_ms = round((self._clock.monotonic() - began) * 1000, 1)
        worker.started_at = self._clock.now().isoformat()
        worker.state = "idle"
        worker.used_at = self._clock.monotonic()
        self._follow(worker, attachment, None)
        _log.info(
            "worker.started",
            worker=worker.worker_id,
            container=worker.name,
            tenant=worker.tenant,
            group=worker.group,
            start_ms=worker.start_ms,
        )

    async def _give_up(self, worker: _Worker) -> None:
        """Undo a start that failed half-way."""
        self._workers.pop(worker.worker_id, None)
        worker.state = "gone"
        worker.ended.set()
        with suppress(GatewayError):
            for container in await self._engine.find({f"{LABEL}worker": worker.worker_id}):
                await self._engine.remove(container.id)
        await self._endpoints.close(worker.worker_id)

    def _prepare(self, worker: _Worker, uid: int, gid: int) -> WorkerFolders:
        """Make the group's folders and give them to the worker's user, which needs no open mode anywhere."""
        folders = WorkerFolders(
            group=self._paths.group(worker.tenant, worker.group),
            session=self._paths.group_session(worker.tenant, worker.group),
            socket=self._paths.worker_dir(worker.worker_id),
        )
        for folder in (folders.group, folders.session):
            folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        checked = folders.checked(self._paths.tenant(worker.tenant), self._paths.worker_dir("x").parent)
        if os.geteuid() == 0:
            for folder in (checked.group, checked.session):
                _hand_over(folder, uid, gid)
        elif uid != os.geteuid():
            raise ConfigError(
                f"the worker's user {uid} is not ours ({os.geteuid()}) and only root may hand folders over: "
                "run gateway and tenants as one user, or start `clawgate up` as root",
                code="worker.user",
            )
        return checked

    # --- what tenants say ------------------------------------------------------------
    async def mark_busy(self, tenant: str, worker_id: str, run_id: str) -> None:
        """A run begins; the worker is neither evicted nor ended for idleness while it lasts.

        Raises:
            NotFound: the tenant has no such live worker.
        """
        worker = self._live(tenant, worker_id)
        worker.state, worker.run_id, worker.used_at = "busy", run_id, self._clock.monotonic()
        await asyncio.to_thread(self._note, worker)

    async def mark_idle(self, tenant: str, worker_id: str) -> None:
        """The run is over.

        Raises:
            NotFound: the tenant has no such live worker.
        """
        worker = self._live(tenant, worker_id)
        worker.state, worker.run_id, worker.used_at = "idle", "", self._clock.monotonic()
        await asyncio.to_thread(self._note, worker)

    async def end(self, tenant: str, worker_id: str, *, reason: EndReason = "stopped") -> None:
        """End a worker; one that is on its way out or gone is success.

        Raises:
            NotFound: the tenant never had it.
        """
        await self._end(self._mine(tenant, worker_id), reason)

    def list(self, tenant: str | None = None) -> list[WorkerInfo]:
        """Live workers, oldest first; of one tenant, or of all."""
        return [w.info() for w in self._workers.values() if w.alive and tenant in {None, w.tenant}]

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
        """Send whole lines to a worker's stdin.

        Raises:
            NotFound: the tenant has no such live worker.
            Unavailable: it is just ending.
        """
        worker = self._live(tenant, worker_id)
        if worker.stream is None:
            raise NotFound(f"worker {worker_id} is still starting", code="worker.starting", retryable=True)
        await worker.stream.write(data)

    def _mine(self, tenant: str, worker_id: str) -> _Worker:
        worker = self._workers.get(worker_id)
        if worker is None or worker.tenant != tenant:  # the same answer for both: ids of others are not confirmed
            raise NotFound(f"there is no worker {worker_id!r}", code="worker.not_found")
        return worker

    def _live(self, tenant: str, worker_id: str) -> _Worker:
        worker = self._mine(tenant, worker_id)
        if worker.state not in {"busy", "idle"}:
            raise NotFound(f"worker {worker_id!r} has ended", code="worker.not_found")
        return worker

    # --- the end ------------------------------------------------------------------
    def _follow(self, worker: _Worker, attachment: Attachment | None, noted: Checkpoint | None) -> None:
        worker.stream = WorkerStream(
            self._engine,
            worker.container,
            ring_bytes=int(self._policy.ring_mb * 1024 * 1024),
            on_progress=lambda _: self._tasks.start(asyncio.to_thread(self._note, worker), name="note"),
        )
        self._tasks.start(self._attend(worker, worker.stream, attachment, noted), name=worker.worker_id)

    async def _attend(
        self, worker: _Worker, stream: WorkerStream, attachment: Attachment | None, noted: Checkpoint | None
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
        worker.state = "gone"
        stream.finish(WorkerEvent(event="exit", code=code, reason=worker.reason, text=stream.stderr_tail[-2000:]))
        _log.info("worker.ended", worker=worker.worker_id, container=worker.name, code=code, reason=worker.reason)
        with suppress(GatewayError):
            await self._engine.remove(worker.container)
        await self._endpoints.close(worker.worker_id)
        await asyncio.to_thread(self._forget_note, worker)
        worker.ended.set()
        self._tasks.start(self._forget_later(worker), name="forget")

    async def _forget_later(self, worker: _Worker) -> None:
        await asyncio.sleep(_KEEP_GONE_S)
        self._workers.pop(worker.worker_id, None)

    async def _end(self, worker: _Worker, reason: EndReason) -> None:
        if worker.state in {"stopping", "gone"}:
            await worker.ended.wait()
            return
        before, worker.state, worker.reason = worker.state, "stopping", reason
        try:
            await self._engine.stop(worker.container, grace_s=self._policy.stop_grace_s)
        except GatewayError:
            if worker.state == "stopping":
                worker.state, worker.reason = before, ""
            raise
        with suppress(TimeoutError):
            async with asyncio.timeout(self._policy.stop_grace_s + 5):
                await worker.ended.wait()

    async def sweep(self) -> None:
        """End workers that have been without a run, or busy with nobody listening, for the idle time."""
        now = self._clock.monotonic()
        for worker in list(self._workers.values()):
            if worker.stream is None or worker.state not in {"busy", "idle"}:
                continue
            if worker.state == "busy" and (worker.stream.readers or worker.stream.lines != worker.lines_then):
                worker.lines_then = worker.stream.lines
                worker.used_at = now
            if now - worker.used_at >= self._policy.idle_timeout_s:
                try:
                    await self._end(worker, "idle")
                except GatewayError as error:
                    _log.warning("worker.end_failed", worker=worker.worker_id, reason=error.detail)

    async def _watch_idle(self) -> None:
        while True:
            await asyncio.sleep(min(15.0, max(0.1, self._policy.idle_timeout_s / 4)))
            await self.sweep()

    async def _warm(self) -> None:
        """Read the command line's file once: on a cold machine the first worker would wait five seconds for it."""
        with suppress(GatewayError, OSError):
            self._image_id = await self._engine.image_id(self._policy.image)
            if path := await self._engine.cli_file(self._policy.image):
                await asyncio.to_thread(_read_ahead, path)

    # --- notes for the next gateway ----------------------------------------------------
    def _note_file(self, worker_id: str) -> Path:
        return self._paths.worker_dir(worker_id).with_suffix(".note")

    def _note(self, worker: _Worker) -> None:
        """Write down how far a worker's output was read; lost notes cost exact numbering only after log turnover."""
        if worker.stream is None:
            return
        path = self._note_file(worker.worker_id)
        fresh = path.with_suffix(".new")
        try:
            fresh.write_text(worker.stream.checkpoint(run_id=worker.run_id).model_dump_json())
            fresh.replace(path)
        except OSError as error:
            _log.warning("worker.note_failed", worker=worker.worker_id, reason=str(error))

    def _read_note(self, worker_id: str) -> Checkpoint:
        try:
            return Checkpoint.model_validate_json(self._note_file(worker_id).read_text())
        except (OSError, ValueError):
            return Checkpoint()

    def _tidy(self, known: frozenset[str]) -> None:
        """Clear away socket folders and notes of workers that are no more."""
        folder = self._paths.worker_dir("x").parent
        for entry in folder.iterdir() if folder.is_dir() else ():
            if entry.stem in known:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def _forget_note(self, worker: _Worker) -> None:
        self._note_file(worker.worker_id).unlink(missing_ok=True)
        with suppress(OSError):
            self._paths.worker_dir(worker.worker_id).rmdir()


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


def _hand_over(folder: Path, uid: int, gid: int) -> None:
    """Give a folder to the worker's user, and what root left in it; links are not followed, modes not opened."""
    budget = _TREE_LIMIT
    for place, folders, files in os.walk(folder, followlinks=False):
        for name in ("", *folders, *files):
            path = Path(place, name) if name else Path(place)
            facts = path.lstat()
            if facts.st_uid == uid and facts.st_gid == gid:
                continue
            if (place == str(folder) and not name) or (
                facts.st_uid == 0 and (facts.st_nlink == 1 or stat.S_ISDIR(facts.st_mode))
            ):
                os.chown(path, uid, gid, follow_symlinks=False)
            budget -= 1
            if budget <= 0:
                return
