"""The container of a worker as a frozen value, built by a pure function and written for the engine by another.

Nothing in a request or a policy can widen what is here: no network, no capability, no root, no engine socket, always
limits. A property test holds this for every request and policy there can be.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.workers.policy import WorkerPolicy
from shared.errors import Invalid
from shared.gatewayclient.models import WorkerRequest
from shared.gatewayclient.workspace import GLOBAL_DIR, GROUP_DIR

MAIN_GROUP = "main"
"""The operator's own group: the one whose agent may write the memory that all groups share."""
GLOBAL_GROUP = "global"
"""The folder of that memory, beside the groups' own."""

LOGS_DIR = f"{GROUP_DIR}/logs"
EXTRA_DIR = "/workspace/extra"
HOME_DIR = "/home/node"
CONFIG_DIR = f"{HOME_DIR}/.claude"
DEBUG_LOG = f"{CONFIG_DIR}/debug/latest"
MANAGED_DIR = "/etc/claude-code"
"""Where the command line looks for settings, memory and skills that stand above what a group may change."""
SOCKET_DIR = "/run/clawgate"
SOCKET_NAME = "api.sock"
CLI = "/usr/local/bin/claude"

LABEL = "clawgate."
PROTOCOL = "2"
"""Counts up when a running worker of the last version could no longer be driven by this one."""

_ARGUMENT_LIMIT_BYTES = 120_000  # Linux refuses one argument of 128 KiB or more
_OUTSIDE = ("WebFetch", "WebSearch")  # they would need a network; the host offers its own under the group's allowlist


@dataclass(frozen=True, slots=True)
class Mount:
    """A host folder inside the container.

    Attributes:
        source: absolute and already resolved: no symlink is left in it.
    """

    source: Path
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Everything the engine is told about one worker."""

    name: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    uid: int
    gid: int
    mounts: tuple[Mount, ...]
    labels: Mapping[str, str]
    memory_bytes: int
    nano_cpus: int
    pids: int
    scratch_bytes: int
    file_bytes: int
    stop_grace_s: int
    log_max_mb: int
    hostname: str = "worker"
    working_dir: str = GROUP_DIR
    tmpfs: tuple[str, ...] = field(default=("/tmp", HOME_DIR))  # noqa: S108 - inside the container


@dataclass(frozen=True, slots=True)
class WorkerFolders:
    """Where a worker's mounts come from, on the host; `gateway.workers.folders` makes and checks them.

    Attributes:
        group: the agent's working directory.
        logs: in it, the logs about the worker, which the agent can read but not forge.
        shared: the memory of all groups.
        session: Claude's configuration folder of the group.
        socket: holds the worker's only way out.
    """

    group: Path
    logs: Path
    shared: Path
    session: Path
    socket: Path

    def mounts(self, *, is_main: bool) -> tuple[Mount, ...]:
        """The mounts that every worker has."""
        return (
            Mount(self.group, GROUP_DIR),
            Mount(self.logs, LOGS_DIR, read_only=True),
            Mount(self.shared, GLOBAL_DIR, read_only=not is_main),
            Mount(self.session, CONFIG_DIR),
            Mount(self.socket, SOCKET_DIR, read_only=True),
        )


def build_command(request: WorkerRequest, *, debug_log: bool = False) -> tuple[str, ...]:
    """The command line of Claude Code for a request.

    Args:
        request: what the tenant asked for.
        debug_log: let it write its own log to `DEBUG_LOG`.

    Values that a tenant chose are bound to their option with ``=``, so that none can be read as an option itself.

    Raises:
        Invalid: the system prompt is longer than Linux passes in one argument.
    """
    if len(request.system_prompt.encode()) > _ARGUMENT_LIMIT_BYTES:
        raise Invalid(
            f"system_prompt is longer than {_ARGUMENT_LIMIT_BYTES} bytes: move part of it into the group's CLAUDE.md",
            code="worker.prompt_too_long",
        )
    tools = tuple(dict.fromkeys(tool for tool in request.tools if tool not in _OUTSIDE))
    command = [CLI, "-p", "--output-format", "stream-json", "--verbose", "--input-format", "stream-json"]
    command += ["--include-partial-messages"]  # so that an answer can be shown while it is written
    # It repeats what it took from its input: a tenant that comes back can tell what was asked and answered already.
    command += ["--replay-user-messages"]
    if request.model:
        command.append(f"--model={request.model}")
    command.append(f"--tools={','.join(tools)}")
    command.append(f"--disallowedTools={','.join(_OUTSIDE)}")
    command += ["--permission-mode", "bypassPermissions", "--setting-sources", "user,project", "--strict-mcp-config"]
    # Otherwise a conversation keeps the prompt it began with, and new instructions or global memory never reach it.
    command.append("--system-prompt-snapshot=off")
    if request.system_prompt:
        command.append(f"--append-system-prompt={request.system_prompt}")
    command.append(f"--{'resume' if request.resume else 'session-id'}={request.session_id}")
    if debug_log:
        command.append(f"--debug-file={DEBUG_LOG}")
    if request.host_tools:
        servers = {name: {"type": "sdk", "name": name} for name in request.host_tools}
        command.append(f"--mcp-config={json.dumps({'mcpServers': servers})}")
    return tuple(command)


def build_environment(policy: WorkerPolicy) -> dict[str, str]:
    """All variables of a worker. None is secret: the gateway replaces the placeholder token on its way out."""
    return {
        "HOME": HOME_DIR,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": policy.timezone,
        "ANTHROPIC_UNIX_SOCKET": f"{SOCKET_DIR}/{SOCKET_NAME}",
        "ANTHROPIC_BASE_URL": "http://localhost",
        "CLAUDE_CODE_OAUTH_TOKEN": "placeholder",
        "CLAUDE_CONFIG_DIR": CONFIG_DIR,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "CLAUDE_CODE_MAX_RETRIES": str(policy.max_retries),
        "DISABLE_AUTOUPDATER": "1",
        "DISABLE_TELEMETRY": "1",
        "DISABLE_ERROR_REPORTING": "1",
    }


_POLICY_OF_A_CONTAINER = {
    *("image", "stop_grace_s", "memory_mb", "cpus", "pids", "timezone", "scratch_mb", "log_max_mb", "uid_when_root"),
    *("max_retries", "debug_log", "group_disk_mb"),
}


def spec_hash(request: WorkerRequest, policy: WorkerPolicy, image_id: str) -> str:
    """What must be equal for a running worker to serve a request; the session is compared on its own."""
    facts = {
        "protocol": PROTOCOL,
        "image": image_id,
        "policy": policy.model_dump(mode="json", include=_POLICY_OF_A_CONTAINER),
        "request": request.model_dump(mode="json", exclude={"session_id", "resume", "standby"}),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def build_spec(
    request: WorkerRequest,
    policy: WorkerPolicy,
    *,
    tenant: str,
    worker_id: str,
    instance: str,
    name_prefix: str,
    folders: WorkerFolders,
    uid: int,
    gid: int,
    image_id: str = "",
    extra: tuple[Mount, ...] = (),
    log_name: str = "",
) -> ContainerSpec:
    """The worker for a request.

    Args:
        request: what the tenant asked for.
        policy: the limits.
        tenant: the asking tenant's name.
        worker_id: fresh id; also names the socket folder.
        instance: this installation's id; a gateway adopts only its own workers.
        name_prefix: first part of the container's name, such as ``nanoclaw``.
        folders: resolved host folders.
        uid: the tenant's user; 0 becomes the policy's ordinary user.
        gid: the tenant's group; 0 becomes the policy's ordinary user's number.
        image_id: content id of the image, part of the comparison with a running worker.
        extra: mounts decided by `gateway.workers.mounts`, and those of development mode.
        log_name: file name of the worker's log, so that a later gateway goes on with it.

    Raises:
        Invalid: the system prompt does not fit on a command line.
    """
    return ContainerSpec(
        name=f"{name_prefix}-{request.group}-{worker_id[:8]}",
        image=policy.image,
        command=build_command(request, debug_log=policy.debug_log),
        environment=build_environment(policy),
        uid=uid if uid > 0 else policy.uid_when_root,
        gid=gid if gid > 0 else policy.uid_when_root,
        mounts=(*folders.mounts(is_main=request.group == MAIN_GROUP), *extra),
        labels={
            f"{LABEL}instance": instance,
            f"{LABEL}tenant": tenant,
            f"{LABEL}group": request.group,
            f"{LABEL}worker": worker_id,
            f"{LABEL}session": request.session_id,
            f"{LABEL}spec": spec_hash(request, policy, image_id),
            f"{LABEL}protocol": PROTOCOL,
            f"{LABEL}image": image_id,
            f"{LABEL}isolated": "1" if request.isolated else "",
            f"{LABEL}log": log_name,
        },
        memory_bytes=policy.memory_mb * 1024 * 1024,
        nano_cpus=max(1_000_000, int(policy.cpus * 1_000_000_000)),
        pids=policy.pids,
        scratch_bytes=policy.scratch_mb * 1024 * 1024,
        file_bytes=policy.group_disk_mb * 1024 * 1024,
        stop_grace_s=policy.stop_grace_s,
        log_max_mb=policy.log_max_mb,
    )


def docker_config(spec: ContainerSpec) -> dict[str, Any]:
    """The engine's create request for a spec.

    ``StdinOnce`` is false on purpose: with the usual true a worker would read end-of-file and leave when the gateway
    restarts (measured).
    """
    scratch = f"rw,exec,nosuid,nodev,size={spec.scratch_bytes},mode=0700,uid={spec.uid},gid={spec.gid}"
    return {
        "Image": spec.image,
        "Entrypoint": [],
        "Cmd": list(spec.command),
        "Env": [f"{name}={value}" for name, value in spec.environment.items()],
        "User": f"{spec.uid}:{spec.gid}",
        "WorkingDir": spec.working_dir,
        "Hostname": spec.hostname,
        "Labels": dict(spec.labels),
        "Tty": False,
        "OpenStdin": True,
        "StdinOnce": False,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "NetworkDisabled": True,
        "StopSignal": "SIGTERM",
        "StopTimeout": spec.stop_grace_s,
        "HostConfig": {
            "NetworkMode": "none",
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "Privileged": False,
            "ReadonlyRootfs": True,
            "Init": True,
            "IpcMode": "private",
            "CgroupnsMode": "private",
            "Memory": spec.memory_bytes,
            "MemorySwap": spec.memory_bytes,
            "NanoCpus": spec.nano_cpus,
            "PidsLimit": spec.pids,
            "OomScoreAdj": 500,
            "ShmSize": 64 * 1024 * 1024,
            "Ulimits": [
                {"Name": "core", "Soft": 0, "Hard": 0},
                {"Name": "nofile", "Soft": 4096, "Hard": 8192},
                {"Name": "fsize", "Soft": spec.file_bytes, "Hard": spec.file_bytes},
            ],
            "Tmpfs": dict.fromkeys(spec.tmpfs, scratch),
            "Mounts": [_bind(mount) for mount in spec.mounts],
            "RestartPolicy": {"Name": "no"},
            "AutoRemove": False,
            "LogConfig": {"Type": "json-file", "Config": {"max-size": f"{spec.log_max_mb}m", "max-file": "2"}},
        },
    }


def _bind(mount: Mount) -> dict[str, Any]:
    return {"Type": "bind", "Source": str(mount.source), "Target": mount.target, "ReadOnly": mount.read_only}
