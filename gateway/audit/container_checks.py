"""Checks of containers (AUD-CTR): of every running one, as the engine has it, and of how the next ones are made."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final

from gateway.audit.base import DockerCheck
from gateway.audit.containers import Seen, declared_folders, is_below
from gateway.audit.facts import Facts
from gateway.workers.instance import installation_id
from gateway.workers.mounts import Allowlist
from gateway.workers.spec import MAIN_GROUP
from shared.audit.models import Fix, Outcome, holds, unknown
from shared.config.paths import Paths

IMAGE_DAYS: Final = 90
PIDS: Final = 512
STANDBY: Final = 2
"""Workers beside those that run, paused and bounded by memory. Source: [standby] of nanoclaw.toml as shipped."""

_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")
_NEVER: Final = ("/etc", "/proc", "/sys", "/dev", "/boot", "/root", "/var/run", "/run/docker", "/run/containerd")
_SOCKETS: Final = ("docker.sock", "containerd.sock", "podman.sock", "crio.sock")


class ContainerCheck(DockerCheck):
    """Looks at each container."""

    subject = "nanoclaw"
    fix: ClassVar[Fix] = "auto"
    remediation = (
        "restart the gateway, then end the named workers with `nanoclaw workers stop --all`: new ones are right"
    )

    def look(self, facts: Facts) -> Outcome:
        """Every problem of every container."""
        seen = facts.containers.get()
        running = sum(not container.is_plan for container in seen)
        problems = [f"{container.name}: {problem}" for container in seen for problem in self.problems(container, facts)]
        return holds(problems, f"{running} running, {len(seen) - running} as the next ones will be")

    @abstractmethod
    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        """What is wrong with one."""


class Privileged(ContainerCheck):
    """The engine's word."""

    id = "AUD-CTR-001"
    severity = "critical"
    title = "No container is privileged"
    refs = ("CIS 5.5",)

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        if container.host.get("Privileged") is not False:
            yield "it is privileged"


class Forbidden(ContainerCheck):
    """Sources of all mounts."""

    id = "AUD-CTR-002"
    severity = "critical"
    title = "No container sees the engine's socket, the system, a home, the secrets, or another tenant"
    refs = ("CIS 5.6", "CIS 5.32")

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        paths = facts.paths
        others = [folder for name, folder in facts.tenant_folders.items() if name != container.tenant]
        closed = [paths.gateway, paths.policies, paths.control_socket("x").parent.parent, facts.home, *others]
        for place in container.mounts:
            source = Path(place.source)
            if source.name in _SOCKETS:
                yield f"{source} is the engine's socket"
            ours = is_below(place.source, paths.state.resolve()) or is_below(place.source, paths.runtime.resolve())
            if source == Path("/") or (not ours and any(is_below(place.source, Path(folder)) for folder in _NEVER)):
                yield f"{source} belongs to the system"
            for folder in closed:
                real = folder.resolve()
                contains = real.is_relative_to(source)
                lies_in = source.is_relative_to(real) and not _is_own(source, container, paths)
                if contains or lies_in:
                    yield f"{source} shows {folder}"


def _is_own(source: Path, container: Seen, paths: Paths) -> bool:
    """State may lie in a home; what is the worker's own, or a granted extra, is judged by AUD-CTR-008."""
    own = paths.tenant(container.tenant).resolve() if container.tenant else None
    return (own is not None and source.is_relative_to(own)) or source.is_relative_to(paths.worker_dir("x").parent)


class Namespaces(ContainerCheck):
    """Modes as the engine has them."""

    id = "AUD-CTR-003"
    severity = "critical"
    title = "No container shares the host's processes, network, memory, names or users"
    refs = ("CIS 5.10", "CIS 5.16", "CIS 5.17", "CIS 5.21", "CIS 5.31")

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        for key in ("PidMode", "IpcMode", "UTSMode", "NetworkMode", "UsernsMode", "CgroupnsMode"):
            mode = str(container.host.get(key) or "")
            if mode == "host" or mode.startswith("container:"):
                yield f"{key} is {mode}"


class Capabilities(ContainerCheck):
    """Dropped and added."""

    id = "AUD-CTR-004"
    severity = "high"
    title = "Containers have none of root's rights"
    refs = ("CIS 5.4",)

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        dropped = [str(name).upper() for name in container.host.get("CapDrop") or ()]
        if "ALL" not in dropped:
            yield "it keeps capabilities"
        if added := container.host.get("CapAdd"):
            yield f"it was given {', '.join(map(str, added))}"


class NoNewPrivileges(ContainerCheck):
    """The option, in either spelling."""

    id = "AUD-CTR-005"
    severity = "high"
    title = "Nothing in a container can gain rights"
    refs = ("CIS 5.26",)

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        options = {str(option).replace("=", ":") for option in container.host.get("SecurityOpt") or ()}
        if not options & {"no-new-privileges", "no-new-privileges:true"}:
            yield "no-new-privileges is off"


class Profiles(ContainerCheck):
    """Options that switch a profile off; the engine's default ones are on otherwise."""

    id = "AUD-CTR-006"
    severity = "high"
    title = "System calls are filtered, and nothing switched the engine's profiles off"
    refs = ("CIS 5.2", "CIS 5.22")

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        for option in container.host.get("SecurityOpt") or ():
            kind, _, value = str(option).replace("=", ":", 1).partition(":")
            if value in {"unconfined", "disable"}:
                yield f"{kind} is {value}"


class NotRoot(ContainerCheck):
    """The configured user, and the users of its processes."""

    id = "AUD-CTR-007"
    severity = "high"
    title = "No process in a container is root"
    refs = ("CIS 4.1",)

    def look(self, facts: Facts) -> Outcome:
        """As for all, but an engine that does not name the users proves nothing."""
        silent = [container.name for container in facts.containers.get() if container.uids is None]
        return unknown(f"the engine does not say who runs in {', '.join(silent)}") if silent else super().look(facts)

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        user = str(container.config.get("User") or "").partition(":")[0]
        if user in {"", "0", "root"}:
            yield f"its user is {user or 'not set'}"
        if 0 in (container.uids or ()):
            yield "a process of it is root"


class Mounts(ContainerCheck):
    """Each mount against what the group's worker has, and what policies/mounts.toml lets it have."""

    id = "AUD-CTR-008"
    severity = "high"
    title = "A worker sees exactly its group's declared folders, read-only where declared"
    refs = ("CIS 5.6",)

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        if not container.tenant:
            return
        worker = container.label("worker")
        folders = declared_folders(facts.paths, container.tenant, container.group, worker)
        declared = {
            mount.target: (str(mount.source), mount.read_only)
            for mount in folders.mounts(is_main=container.group == MAIN_GROUP)
        }
        roots = [real for real, _ in Allowlist.resolve(facts.settings.mounts).roots]
        for place in container.mounts:
            found = declared.pop(place.target, None)
            if found is None:
                if not any(Path(place.source).is_relative_to(root) for root in roots):
                    yield f"{place.target} shows {place.source}, which nothing declares"
            elif found[0] != place.source:
                yield f"{place.target} shows {place.source} instead of {found[0]}"
            elif found[1] and not place.read_only:
                yield f"{place.target} can be written"
        for target in declared:
            yield f"{target} is missing"


class ReadOnlyRoot(ContainerCheck):
    """The root file system and each in-memory folder (which agents may run programs from, as they write them)."""

    id = "AUD-CTR-009"
    severity = "medium"
    title = "Containers cannot change their image, and what they may write is bounded"
    refs = ("CIS 5.13",)

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        if not container.host.get("ReadonlyRootfs"):
            yield "its root file system can be written"
        for target, text in (container.host.get("Tmpfs") or {}).items():
            options = str(text).split(",")
            missing = {"nosuid", "nodev"} - set(options)
            if missing or not any(option.startswith("size=") for option in options):
                yield f"{target} is not bounded: {text}"


class Limits(ContainerCheck):
    """Every limit."""

    id = "AUD-CTR-010"
    severity = "medium"
    title = "Memory, processes, processors and open files are limited"
    refs = ("CIS 5.11", "CIS 5.12", "CIS 5.19", "CIS 5.29")
    remediation = "set [workers] in policies/gateway.toml back to its defaults, then end the named workers"

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        host = container.host
        if not host.get("Memory"):
            yield "memory is not limited"
        elif host.get("MemorySwap") != host["Memory"]:
            yield "it may swap beyond its memory"
        if not 0 < int(host.get("PidsLimit") or 0) <= PIDS:
            yield f"it may have {host.get('PidsLimit') or 'any number of'} processes"
        if not host.get("NanoCpus") and not host.get("CpuQuota"):
            yield "processors are not limited"
        if not any(limit.get("Name") == "nofile" for limit in host.get("Ulimits") or ()):
            yield "open files are not limited"


class NoNetwork(ContainerCheck):
    """The mode; a shared name space is AUD-CTR-003's."""

    id = "AUD-CTR-011"
    severity = "medium"
    title = "A worker has no network; its one way out is its own socket"
    refs = ("CIS 5.30",)

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        mode = str(container.host.get("NetworkMode") or "default")
        if mode != "none" and mode != "host" and not mode.startswith("container:"):
            yield f"it is on the network {mode}"


class Published(ContainerCheck):
    """Bindings as the engine has them."""

    id = "AUD-CTR-012"
    severity = "medium"
    title = "Published ports answer on this machine alone"
    refs = ("CIS 5.14",)

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        for port, bindings in (container.host.get("PortBindings") or {}).items():
            for binding in bindings or ():
                if binding.get("HostIp") not in {"127.0.0.1", "::1"}:
                    yield f"{port} is published on {binding.get('HostIp') or 'every address'}"
        if container.host.get("PublishAllPorts"):
            yield "all its ports are published"


class Images(ContainerCheck):
    """The recorded digest, and the image's age. No setuid program helps: no-new-privileges is AUD-CTR-005's."""

    id = "AUD-CTR-013"
    severity = "medium"
    title = "Workers run the image that the gateway recorded, built less than 90 days ago"
    remediation = "nanoclaw workers rebuild, then nanoclaw workers stop --all"
    fix = "guided"
    refs = ("CIS 4.8", "CIS 5.28")

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        recorded = container.label("image")
        if not _DIGEST.fullmatch(recorded):
            yield "no digest of its image was recorded"
        elif recorded != container.image_id:
            yield f"it runs {container.image_id[:19]}, and {recorded[:19]} was recorded"
        if container.image_created is None:
            yield "nobody knows how old its image is"
        elif facts.now - container.image_created > timedelta(days=IMAGE_DAYS):
            yield f"its image is {(facts.now - container.image_created).days} days old"


class Owned(ContainerCheck):
    """Labels of an owner that exists, and the number of workers."""

    id = "AUD-CTR-014"
    severity = "medium"
    title = "No more workers than allowed, each with a living owner, none left over"
    remediation = "nanoclaw workers stop --all; what stays, `docker rm -f` by name"

    def look(self, facts: Facts) -> Outcome:
        running = [container for container in facts.containers.get() if not container.is_plan]
        most = facts.settings.policy.workers.max_workers
        if len(running) > most + STANDBY:
            return holds([f"{len(running)} workers run, and {most} may"], "")
        return super().look(facts)

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        if container.label("instance") != installation_id(facts.paths):
            yield "it has no label of this installation"
        elif container.tenant not in facts.settings.enabled_tenants():
            yield f"its owner {container.tenant or '(nobody)'} is no tenant of ours"
        elif not container.is_plan and not facts.paths.worker_dir(container.label("worker")).exists():
            yield "the gateway does not know it"


class Housekeeping(ContainerCheck):
    """Three settings."""

    id = "AUD-CTR-015"
    severity = "low"
    title = "Workers have an init, a bounded log, and are never restarted by the engine"
    refs = ("CIS 5.15",)

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        host = container.host
        if not host.get("Init"):
            yield "it has no init"
        if not ((host.get("LogConfig") or {}).get("Config") or {}).get("max-size"):
            yield "its log has no bound"
        if (host.get("RestartPolicy") or {}).get("Name") not in {"", "no", "on-failure"}:
            yield "the engine restarts it"


class Execs(ContainerCheck):
    """What was started in it from outside and still runs."""

    id = "AUD-CTR-016"
    severity = "low"
    title = "Nobody is inside a container as root"
    fix = "manual"
    remediation = "end these sessions; `docker exec` without --user and --privileged is enough for looking"
    refs = ("CIS 5.23", "CIS 5.24")

    def problems(self, container: Seen, facts: Facts) -> Iterator[str]:
        for user, privileged in container.execs:
            if privileged or user.partition(":")[0] in {"0", "root"}:
                yield f"somebody runs a command in it as {'a privileged user' if privileged else user}"


CONTAINER_CHECKS: Final = (
    Privileged(),
    Forbidden(),
    Namespaces(),
    Capabilities(),
    NoNewPrivileges(),
    Profiles(),
    NotRoot(),
    Mounts(),
    ReadOnlyRoot(),
    Limits(),
    NoNetwork(),
    Published(),
    Images(),
    Owned(),
    Housekeeping(),
    Execs(),
)
