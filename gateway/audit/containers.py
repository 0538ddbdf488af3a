"""Containers as the audit sees them: what the engine says of the running ones, and how the next ones will be made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.settings import Settings
from gateway.workers.spec import LABEL, MAIN_GROUP, ContainerSpec, WorkerFolders, build_spec, docker_config
from shared.config.paths import Paths
from shared.gatewayclient.models import WorkerRequest

_SESSION = "00000000-0000-4000-8000-000000000000"
_SAMPLE = "audit-sample"


@dataclass(frozen=True, slots=True)
class Place:
    """A mount."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """One container.

    Attributes:
        config: the engine's ``Config``.
        host: the engine's ``HostConfig``.
        uids: of its processes, as the engine reports them; None when it did not say.
        execs: what was run in it from outside: user and whether privileged.
        image_created: when its image was built.
        is_plan: not running; how the gateway will make the next one.
    """

    name: str
    config: Mapping[str, Any]
    host: Mapping[str, Any]
    mounts: Sequence[Place]
    uids: Sequence[int] | None = None
    execs: Sequence[tuple[str, bool]] = ()
    image_id: str = ""
    image_created: datetime | None = None
    started_at: datetime | None = None
    is_plan: bool = False

    def label(self, name: str) -> str:
        """One of our labels."""
        return str((self.config.get("Labels") or {}).get(f"{LABEL}{name}", ""))

    @property
    def tenant(self) -> str:
        """Whose worker it is."""
        return self.label("tenant")

    @property
    def group(self) -> str:
        """Which group it serves."""
        return self.label("group")

    @property
    def variables(self) -> dict[str, str]:
        """Its environment."""
        return {name: value for name, _, value in (str(text).partition("=") for text in self.config.get("Env") or ())}


def from_engine(facts: Mapping[str, Any]) -> Seen:
    """A container as `gateway.workers.inspection` found it."""
    inspected = facts["inspect"]
    image = facts.get("image") or {}
    return Seen(
        name=str(inspected.get("Name", "")).lstrip("/"),
        config=inspected["Config"],
        host=inspected["HostConfig"],
        mounts=[
            Place(str(mount.get("Source", "")), str(mount.get("Destination", "")), read_only=not mount.get("RW", True))
            for mount in inspected.get("Mounts") or ()
        ],
        uids=facts.get("uids"),
        execs=[(str(user), bool(privileged)) for user, privileged in facts.get("execs") or ()],
        image_id=str(inspected.get("Image", "")),
        image_created=moment(image.get("Created")),
        started_at=moment((inspected.get("State") or {}).get("StartedAt")),
    )


def planned(settings: Settings, instance: str, image_id: str) -> Iterator[Seen]:
    """The next container of each NanoClaw tenant's main group and of another group, from the code that makes them."""
    for tenant in settings.tenants_of("nanoclaw"):
        user = settings.user_of(tenant)
        for group in (MAIN_GROUP, _SAMPLE):
            spec = build_spec(
                WorkerRequest(group=group, session_id=_SESSION),
                settings.policy.workers,
                tenant=tenant,
                worker_id="0" * 16,
                instance=instance,
                name_prefix=tenant,
                folders=declared_folders(settings.paths, tenant, group, "0" * 16),
                uid=user.uid if user else 0,
                gid=user.gid if user else 0,
                image_id=image_id,
            )
            yield as_seen(spec)


def as_seen(spec: ContainerSpec) -> Seen:
    """A container that is not there yet."""
    request = docker_config(spec)
    return Seen(
        name=f"the next worker of {spec.labels[f'{LABEL}tenant']}/{spec.labels[f'{LABEL}group']}",
        config={key: value for key, value in request.items() if key != "HostConfig"},
        host=request["HostConfig"],
        mounts=[Place(str(mount.source), mount.target, read_only=mount.read_only) for mount in spec.mounts],
        uids=(spec.uid,),
        image_id=spec.labels[f"{LABEL}image"],
        is_plan=True,
    )


def declared_folders(paths: Paths, tenant: str, group: str, worker_id: str) -> WorkerFolders:
    """Where the mounts of a group's worker come from, links resolved as the gateway does."""
    return WorkerFolders(
        group=paths.group(tenant, group).resolve(),
        logs=paths.group_logs(tenant, group).resolve(),
        shared=paths.group(tenant, "global").resolve(),
        session=paths.group_session(tenant, group).resolve(),
        socket=paths.worker_dir(worker_id).resolve(),
    )


def is_below(path: str, folder: Path) -> bool:
    """Whether a host path is a folder or lies in it."""
    return Path(path).is_relative_to(folder)


def moment(text: object) -> datetime | None:
    """A time as the engine writes it; None for its year 1, which means never."""
    if not isinstance(text, str) or text.startswith("0001"):
        return None
    whole = text.partition(".")[0].rstrip("Z")  # the engine writes nanoseconds, which Python does not read
    return datetime.fromisoformat(whole).replace(tzinfo=UTC)
