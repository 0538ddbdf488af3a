"""Extra mounts: which host folders a group's agent may see (``policies/mounts.toml``).

The allowlist lies in the installation's policies, where no agent can write. Asking is not getting: `decide_mount` is
pure and judges the path with every symbolic link resolved; the container is given that resolved path. A link that is
put in the way afterwards could still lead the engine elsewhere, so a path is refused while a running agent can write
to a folder above it (`find_contested`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from gateway.workers.spec import EXTRA_DIR, Mount
from shared.config.strict import Strict
from shared.gatewayclient.models import Slug, WorkerMount

BLOCKED_NAMES = (
    *(".ssh", ".gnupg", ".gpg", ".aws", ".azure", ".gcloud", ".kube", ".docker"),
    *("credentials", "credentials.*", ".credentials", ".credentials.*"),
    *(".env", ".env.*", ".netrc", ".npmrc", ".pypirc", ".git-credentials"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*private_key*", ".secret", ".secrets"),
    *("docker.sock", "containerd.sock"),
)
"""Names no part of a path may have, whatever the allowlist says. Whole names, so `.envoy` is not `.env`."""

_SYSTEM = ("/proc", "/sys", "/dev", "/run/docker.sock", "/run/containerd", "/var/lib/docker", "/var/lib/containerd")


class MountRoot(Strict):
    """A host folder below which groups may be given mounts.

    Attributes:
        path: absolute; ``~`` is the gateway user's home.
        read_write: groups may be given write access here, if they ask for it.
        tenants: only these tenants; empty means all.
        groups: only these groups, by folder; empty means all.
        description: for people.
    """

    path: str = Field(min_length=1, max_length=1024)
    read_write: bool = False
    tenants: tuple[Slug, ...] = ()
    groups: tuple[Slug, ...] = ()
    description: str = ""

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: str) -> str:
        if not Path(path).expanduser().is_absolute():
            raise ValueError("must be an absolute path, or begin with ~")
        return path


class MountsPolicy(Strict):
    """Extra mounts that groups may ask for. Without a root, every one is refused.

    Attributes:
        blocked: further names no part of a path may have; ``*`` and ``?`` are wildcards, case does not count.
        non_main_read_only: only the main group is ever given write access.
        roots: what may be mounted; the innermost root that fits decides.
    """

    blocked: tuple[str, ...] = ()
    non_main_read_only: bool = True
    roots: tuple[MountRoot, ...] = ()


@dataclass(frozen=True, slots=True)
class Allowlist:
    """The policy with its paths resolved, and what is never mounted.

    Attributes:
        roots: each with its resolved path.
        protected: resolved; neither these, nor what is in them, nor a folder that holds one, is ever mounted.
    """

    policy: MountsPolicy
    roots: tuple[tuple[Path, MountRoot], ...]
    protected: tuple[Path, ...]

    @classmethod
    def resolve(cls, policy: MountsPolicy, *, protected: Iterable[Path | str] = ()) -> Allowlist:
        """Resolve symbolic links of roots and protected places; reads the file system."""
        return cls(
            policy=policy,
            roots=tuple((Path(root.path).expanduser().resolve(), root) for root in policy.roots),
            protected=tuple(Path(place).resolve() for place in (*_SYSTEM, *protected)),
        )


@dataclass(frozen=True, slots=True)
class MountWish:
    """Who asks for what, and what was found there.

    Attributes:
        asked: the path as it was written, ``~`` replaced.
        resolved: the same without any symbolic link.
    """

    tenant: str
    group: str
    mount: WorkerMount
    asked: Path
    resolved: Path
    kind: Literal["folder", "file", "missing", "other"]

    @classmethod
    def look(cls, tenant: str, group: str, mount: WorkerMount) -> MountWish:
        """Find out what lies at the asked path; reads the file system."""
        asked = Path(mount.host).expanduser()
        try:
            resolved = asked.resolve()
            kind: Literal["folder", "file", "missing", "other"] = "other"
            if not resolved.exists():
                kind = "missing"
            elif resolved.is_dir():
                kind = "folder"
            elif resolved.is_file():
                kind = "file"
        except (OSError, RuntimeError):  # unreadable, or links in a circle
            resolved, kind = asked, "missing"
        return cls(tenant, group, mount, asked, resolved, kind)


@dataclass(frozen=True, slots=True)
class MountDecision:
    """Whether and how a mount is given.

    Attributes:
        reason: for people; also set when write access was asked for and only reading is given.
    """

    allowed: bool
    read_only: bool
    reason: str = ""


def decide_mount(wish: MountWish, allowlist: Allowlist, *, is_main: bool) -> MountDecision:
    """Say whether a group gets a mount, and why not."""
    if refusal := _refusal(wish, allowlist):
        return MountDecision(allowed=False, read_only=True, reason=refusal)
    fitting = [
        (path, root)
        for path, root in allowlist.roots
        if wish.resolved.is_relative_to(path)
        and (not root.tenants or wish.tenant in root.tenants)
        and (not root.groups or wish.group in root.groups)
    ]
    if not fitting:
        return MountDecision(
            allowed=False,
            read_only=True,
            reason=f"{wish.resolved} is under no root of policies/mounts.toml that is open to this group",
        )
    path, root = max(fitting, key=lambda item: len(item[0].parts))
    if wish.mount.read_only:
        return MountDecision(allowed=True, read_only=True)
    if not root.read_write:
        return MountDecision(allowed=True, read_only=True, reason=f"read-only: the root {path} has read_write = false")
    if not is_main and allowlist.policy.non_main_read_only:
        return MountDecision(
            allowed=True, read_only=True, reason="read-only: only the main group may write (non_main_read_only)"
        )
    return MountDecision(allowed=True, read_only=False)


def _refusal(wish: MountWish, allowlist: Allowlist) -> str:
    if not wish.asked.is_absolute():
        return "the host path must be absolute"
    if ".." in wish.asked.parts:
        return "the host path must not contain '..'"
    if wish.kind == "missing":
        return "there is no such folder or file"
    if wish.kind == "other":
        return "it is neither a folder nor a file"
    if held := next((p for p in allowlist.protected if _touches(p, wish.resolved)), None):
        return f"{held} is never shown to an agent"
    patterns = [pattern.lower() for pattern in (*BLOCKED_NAMES, *allowlist.policy.blocked)]
    for part in dict.fromkeys((*wish.asked.parts, *wish.resolved.parts)):
        if name := next((pattern for pattern in patterns if fnmatchcase(part.lower(), pattern)), None):
            return f"the name {part!r} is blocked (pattern {name!r})"
    return ""


def _touches(protected: Path, path: Path) -> bool:
    return path.is_relative_to(protected) or protected.is_relative_to(path)


def find_contested(given: Mount, *, running: Sequence[Mount], starting: Sequence[Mount]) -> Mount | None:
    """A mount of another worker that makes this one unsafe now, or None.

    Whoever can write to a folder above a path can put a symbolic link in its place between our look and the engine's.

    Args:
        given: what was decided, with its resolved path.
        running: mounts of workers whose agents are alive.
        starting: mounts of workers that the engine has not started yet.
    """
    for other in (*running, *starting):
        if not other.read_only and other.source != given.source and given.source.is_relative_to(other.source):
            return other
    if not given.read_only:
        for other in starting:
            if other.source != given.source and other.source.is_relative_to(given.source):
                return other
    return None


@dataclass(frozen=True, slots=True)
class Granted:
    """The extra mounts a worker gets, and a sentence for each one that it does not get as asked."""

    mounts: tuple[Mount, ...] = ()
    notes: tuple[str, ...] = ()


def grant(
    wishes: Sequence[MountWish],
    allowlist: Allowlist,
    *,
    is_main: bool,
    running: Sequence[Mount] = (),
    starting: Sequence[Mount] = (),
) -> Granted:
    """Decide all mounts of one worker. What is refused is left out: the group is answered without it."""
    mounts: list[Mount] = []
    notes: list[str] = []
    for wish in wishes:
        name = wish.mount.name
        decision = decide_mount(wish, allowlist, is_main=is_main)
        if any(mount.target == f"{EXTRA_DIR}/{name}" for mount in mounts):
            decision = MountDecision(allowed=False, read_only=True, reason="another mount has the same name")
        given = Mount(wish.resolved, f"{EXTRA_DIR}/{name}", read_only=decision.read_only)
        if decision.allowed and (other := find_contested(given, running=running, starting=starting)):
            decision = MountDecision(
                allowed=False,
                read_only=True,
                reason=f"another running agent may write to {other.source}, which holds it or lies in it: try later",
            )
        if decision.allowed:
            mounts.append(given)
        if decision.reason:
            left_out = "" if decision.allowed else " was left out"
            notes.append(f"extra mount {name} ({wish.mount.host}){left_out}: {decision.reason}")
    return Granted(tuple(mounts), tuple(notes))


def socket_path(engine_address: str) -> list[str]:
    """The engine's own socket as a protected place; empty for an engine behind a port."""
    return [engine_address.removeprefix("unix://")] if engine_address.startswith("unix://") else []


def readable_by(path: Path, uid: int, gid: int) -> bool:
    """Whether a user could open a path by its own mode; says nothing about the folders above."""
    facts = path.stat()
    need = 0o5 if path.is_dir() else 0o4
    if facts.st_uid == uid:
        return facts.st_mode >> 6 & need == need
    if facts.st_gid == gid:
        return facts.st_mode >> 3 & need == need
    return facts.st_mode & need == need


def unreadable_notes(mounts: Sequence[Mount], uid: int, gid: int) -> tuple[str, ...]:
    """A sentence for each mount that the agent's user cannot open, with the fix; reads the file system."""
    notes = []
    for mount in mounts:
        try:
            readable = readable_by(mount.source, uid, gid)
        except OSError:
            readable = False
        if not readable:
            name = os.path.basename(mount.target)  # noqa: PTH119 - a path inside the container
            notes.append(
                f"extra mount {name} ({mount.source}): the agent's user {uid} may not open it; "
                f"fix: setfacl -R -m u:{uid}:rX {mount.source}, or change its owner"
            )
    return tuple(notes)
