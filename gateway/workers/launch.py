"""From a request to a container's spec: the folders, the extra mounts, the log, and who the agent runs as."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.workers.folders import prepare_folders
from gateway.workers.lifelog import LifeLog, log_name
from gateway.workers.mounted import identities
from gateway.workers.mounts import Allowlist, Granted, MountsPolicy, MountWish, grant, unreadable_notes
from gateway.workers.policy import WorkerPolicy
from gateway.workers.spec import EXTRA_DIR, MAIN_GROUP, ContainerSpec, Mount, WorkerFolders, build_spec
from gateway.workers.worker import Worker
from shared.audit.reporting import Note, unnoted
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.gatewayclient.models import WorkerRequest
from shared.obs.log import get_logger

_log = get_logger(__name__)
NO_EXTRA_MOUNTS = Allowlist.resolve(MountsPolicy())


@dataclass(frozen=True, slots=True)
class Owner:
    """For whom a worker is started.

    Attributes:
        uid: the tenant's user; 0 becomes the policy's ordinary one.
        gid: the tenant's group; likewise.
        name_prefix: first part of the container's name.
    """

    uid: int
    gid: int
    name_prefix: str

    def agent_user(self, policy: WorkerPolicy) -> tuple[int, int]:
        """User and group the agent runs as; never 0."""
        return (
            self.uid if self.uid > 0 else policy.uid_when_root,
            self.gid if self.gid > 0 else policy.uid_when_root,
        )


class Launcher:
    """Prepares workers of one installation.

    Args:
        policy: the limits.
        paths: where its files are.
        instance: this installation's id.
        allowlist: of the extra mounts.
        development: mounts from a checkout over files of the image (`DEV_MOUNT`).
    """

    def __init__(
        self,
        policy: WorkerPolicy,
        paths: Paths,
        *,
        instance: str,
        allowlist: Allowlist = NO_EXTRA_MOUNTS,
        development: tuple[Mount, ...] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._policy = policy
        self._paths = paths
        self._instance = instance
        self._allowlist = allowlist
        self._development = development
        self._clock = clock
        self.note: Note = unnoted

    async def prepare(
        self, worker: Worker, request: WorkerRequest, owner: Owner, others: Sequence[Worker]
    ) -> ContainerSpec:
        """Make a worker's folders, decide its mounts and write its spec.

        Args:
            worker: gets its name, mounts, notes and log.
            request: what the tenant asked for.
            owner: who the tenant is.
            others: all other workers; what they may write to decides about mounts too. Asked as late as possible.

        Raises:
            Denied: a symbolic link stands where a folder of ours should be.
            ConfigError: the agent's user cannot be given its folders.
            Invalid: the request does not fit on a command line, or its group's name is reserved.
        """
        uid, gid = owner.agent_user(self._policy)
        folders, wishes = await asyncio.to_thread(self._look, worker, request, uid, gid)
        self._grant(worker, wishes, others)
        if worker.mounts:
            worker.notes += await asyncio.to_thread(unreadable_notes, worker.mounts, uid, gid)
        for note in worker.notes:
            _log.warning("worker.mount_refused", tenant=worker.tenant, group=worker.group, reason=note)
        name = log_name(self._clock.now(), self._policy.timezone)
        worker.log = self.log_of(worker, name)
        spec = build_spec(
            request,
            self._policy,
            tenant=worker.tenant,
            worker_id=worker.worker_id,
            instance=self._instance,
            name_prefix=owner.name_prefix,
            folders=folders,
            uid=uid,
            gid=gid,
            image_id=worker.image_id,
            extra=(*worker.mounts, *self._development),
            log_name=name,
        )
        worker.name = spec.name
        worker.looked_at = await asyncio.to_thread(identities, self._paths.state.resolve(), spec.mounts)
        if worker.mounts:
            shown = "; ".join(f"{m.source} {'read-only' if m.read_only else 'writable'}" for m in worker.mounts)
            await self.note("worker.mounts", actor=worker.tenant, subject=f"{worker.group} {worker.name}", detail=shown)
        return spec

    def log_of(self, worker: Worker, name: str) -> LifeLog:
        """The log of a worker, by file name."""
        group = self._paths.group(worker.tenant, worker.group)
        return LifeLog(group, name, zone_name=self._policy.timezone)

    def _look(
        self, worker: Worker, request: WorkerRequest, uid: int, gid: int
    ) -> tuple[WorkerFolders, list[MountWish]]:
        folders = prepare_folders(
            self._paths, tenant=worker.tenant, group=worker.group, worker_id=worker.worker_id, uid=uid, gid=gid
        )
        return folders, [MountWish.look(worker.tenant, worker.group, mount) for mount in request.mounts]

    def _grant(self, worker: Worker, wishes: Sequence[MountWish], others: Sequence[Worker]) -> None:
        """Decide and remember in one step, so that two workers that start at once see each other's mounts."""
        given: Granted = grant(
            wishes,
            self._allowlist,
            is_main=worker.group == MAIN_GROUP,
            running=[mount for other in others if other.state not in {"starting", "gone"} for mount in other.mounts],
            starting=[mount for other in others if other.state == "starting" for mount in other.mounts],
        )
        worker.mounts, worker.notes = given.mounts, given.notes


def describe(worker: Worker, spec: ContainerSpec, request: WorkerRequest, moment: datetime) -> str:
    """The head of a worker's log: what it is and what it sees. Host paths of extra mounts only."""
    kind = "standby" if request.standby else "isolated" if request.isolated else "resident"
    mounts = []
    for mount in spec.mounts:
        source = f" <- {mount.source}" if mount.target.startswith(f"{EXTRA_DIR}/") else ""
        mounts.append(f"{mount.target} {'ro' if mount.read_only else 'rw'}{source}")
    pairs = (
        ("time", worker.log.stamp(moment) if worker.log else ""),
        ("group", worker.group),
        ("main", "yes" if worker.group == MAIN_GROUP else "no"),
        ("container", worker.name),
        ("worker", worker.worker_id),
        ("session", f"{worker.session_id} ({'resumed' if request.resume else 'new'})"),
        ("kind", kind),
        ("model", request.model or "default"),
        ("prompt bytes", str(len(request.system_prompt.encode()))),
        ("image", worker.image_id[:19]),
        ("user", f"{spec.uid}:{spec.gid}"),
        ("start ms", f"{worker.start_ms:.0f}"),
    )
    return LifeLog.facts(pairs, mounts, worker.notes)
