"""Every path of the state and runtime directories is spelled here and nowhere else.

State outlives a restart (``CLAWGATE_STATE``); the runtime directory holds sockets and does not
(``CLAWGATE_RUNTIME``). Socket paths end at 107 bytes, so the runtime directory must be short.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigError

SERVICE_STATE = Path("/var/lib/clawgate")
"""Where a service keeps its state; its sockets are then in `SERVICE_RUNTIME`."""
SERVICE_RUNTIME = Path("/run/clawgate")
_SOCKET_PATH_LIMIT = 107
_LONGEST_SOCKET_NAME = len("/w/0123456789abcdef/api.sock")


def default_state_dir() -> Path:
    """``CLAWGATE_STATE``, else the service's directory for root, else the user's data directory."""
    if value := os.environ.get("CLAWGATE_STATE"):
        return Path(value).absolute()
    return usual_state_dir()


def usual_state_dir() -> Path:
    """Where a command looks that was told nothing: the service's directory for root, else the user's data directory."""
    if os.geteuid() == 0:
        return SERVICE_STATE
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local/share")
    return Path(base) / "clawgate"


def default_runtime_dir(state: Path) -> Path:
    """``CLAWGATE_RUNTIME``, else a short directory that belongs to this user and this state directory."""
    if value := os.environ.get("CLAWGATE_RUNTIME"):
        return Path(value).absolute()
    digest = hashlib.sha256(str(state.absolute()).encode()).hexdigest()[:8]
    # A tenant's own user finds the service's sockets too; only root can make a folder there.
    if state.absolute() == SERVICE_STATE and (os.geteuid() == 0 or SERVICE_RUNTIME.is_dir()):
        return SERVICE_RUNTIME
    base = Path("/run") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108 - 0700 and owner-checked on creation
    return base / f"clawgate-{digest}"


@dataclass(frozen=True, slots=True)
class Paths:
    """One installation's directories.

    Attributes:
        state: what must survive a restart.
        runtime: sockets; recreated at start.
    """

    state: Path
    runtime: Path

    @property
    def state_option(self) -> str:
        """What a person adds to a command so that it means this installation; empty in the usual place."""
        return "" if self.state == usual_state_dir() else f" --state {shlex.quote(str(self.state))}"

    @classmethod
    def resolve(cls, state: Path | None = None, runtime: Path | None = None) -> Paths:
        """Fill in defaults.

        Raises:
            ConfigError: the runtime directory is too long for a unix socket path.
        """
        state = (state or default_state_dir()).absolute()
        runtime = (runtime or default_runtime_dir(state)).absolute()
        if len(str(runtime)) + _LONGEST_SOCKET_NAME > _SOCKET_PATH_LIMIT:
            raise ConfigError(
                f"the runtime directory {runtime} is too long for a unix socket path ({_SOCKET_PATH_LIMIT} bytes): "
                "set CLAWGATE_RUNTIME to a shorter one",
                code="config.runtime_path",
            )
        return cls(state=state, runtime=runtime)

    # --- gateway -----------------------------------------------------------------
    @property
    def gateway(self) -> Path:
        """The gateway's own state."""
        return self.state / "gateway"

    @property
    def up_lock(self) -> Path:
        """The lock of whoever started everything: ``clawgate up`` or a sandbox."""
        return self.state / "up.pid"

    @property
    def gateway_lock(self) -> Path:
        """The gateway's single-instance lock."""
        return self.gateway / "gateway.pid"

    @property
    def env_file(self) -> Path:
        """Secrets a person types in; mode 600, read by the gateway alone."""
        return self.gateway / ".env"

    @property
    def gateway_db(self) -> Path:
        """The gateway's database."""
        return self.gateway / "gateway.db"

    @property
    def graph_keys(self) -> Path:
        """What the gateway shows contained commands in the Graph hosts' place."""
        return self.gateway / "graph-authority.json"

    @property
    def audit_chain(self) -> Path:
        """Security-relevant events, each sealed to the one before it; part of every backup of the gateway."""
        return self.gateway / "audit" / "chain.jsonl"

    @property
    def audit_runs(self) -> Path:
        """The newest runs of the security audit."""
        return self.gateway / "audit" / "runs.json"

    def audit_backup(self, stamp: str) -> Path:
        """What `clawgate audit --fix` changed, as it was before."""
        return self.gateway / "audit" / "fixes" / stamp

    @property
    def halt_marker(self) -> Path:
        """While it is there nothing that an agent wants is done; every process can see it."""
        return self.state / "halted"

    @property
    def social_media(self) -> Path:
        """Files that are served to social networks until their posts are over."""
        return self.gateway / "media"

    @property
    def policies(self) -> Path:
        """The operator's policy files, laid over the shipped ones."""
        return self.state / "policies"

    @property
    def backup_spool(self) -> Path:
        """Copies on their way into a backup; removed when it is made."""
        return self.gateway / "backups" / "spool"

    def before_upgrade(self, version: str) -> Path:
        """Copies of all databases as a version left them, for the way back to it."""
        return self.gateway / "upgrades" / version

    def backup_copy(self, tenant: str) -> Path:
        """Working copy of the git remote that a tenant is backed up to; everything in it is sealed."""
        return self.gateway / "backups" / tenant

    @property
    def sandbox_marker(self) -> Path:
        """Marks the state directory of a sandbox; a real installation never has it."""
        return self.state / "sandbox"

    # --- tenants -----------------------------------------------------------------
    def token_states(self, tenant: str) -> Path:
        """An OpenClaw's folder of what is known of its Threads and Instagram tokens; the gateway writes it."""
        return self.tenant(tenant) / "threads"

    def tenant(self, name: str) -> Path:
        """A tenant's own state; no other tenant may read it."""
        return self.state / name

    def tenant_db(self, name: str) -> Path:
        """A tenant's database."""
        return self.tenant(name) / f"{name}.db"

    def openclaw_config(self, tenant: str) -> Path:
        """An OpenClaw tenant's own ``openclaw.json``."""
        return self.tenant(tenant) / "openclaw.json"

    def audit_spool(self, tenant: str) -> Path:
        """Security-relevant events on their way to the gateway's chain."""
        return self.tenant(tenant) / "data" / "audit-spool.jsonl"

    def openclaw_script(self, tenant: str, name: str) -> Path:
        """Scripts that the owner's commands name in an original's place."""
        return self.tenant(tenant) / "skills" / "secureclaw" / "scripts" / name

    def tenant_env(self, tenant: str) -> Path:
        """Values for ``${NAME}`` in ``openclaw.json``; mode 600."""
        return self.tenant(tenant) / ".env"

    def pid_file(self, name: str) -> Path:
        """The single-instance lock; holds the process id and nothing else (policy N14)."""
        return self.tenant(name) / "data" / "host.pid"

    def process_log(self, name: str) -> Path:
        """A process's own log: ``gateway``, or a tenant's name."""
        return self.tenant(name) / "logs" / f"{name}.log"

    def outbox_spool(self, tenant: str) -> Path:
        """Copies of files on their way out, until the platform has them."""
        return self.tenant(tenant) / "data" / "outbox"

    def backup_snapshot(self, tenant: str) -> Path:
        """A tenant's copy of its own state, until the gateway has it."""
        return self.tenant(tenant) / "data" / "backup.tar"

    def session_workspace(self, tenant: str, session: str) -> Path:
        """Where the commands of one OpenClaw session run, and the only folder they may write in."""
        return self.tenant(tenant) / "workspaces" / session

    def empty_home(self, tenant: str) -> Path:
        """The home of contained commands: nothing is in it, and nothing can be written there."""
        return self.tenant(tenant) / "data" / "empty-home"

    def graph_authority(self, tenant: str) -> Path:
        """The certificate that the gateway shows for the Graph hosts."""
        return self.tenant(tenant) / "data" / "graph-authority.pem"

    def approval_files(self, tenant: str) -> Path:
        """Long commands on their way to an approver, until the outbox has copied them."""
        return self.tenant(tenant) / "data" / "approvals"

    def openclaw_transcripts(self, tenant: str) -> Path:
        """All conversations of OpenClaw's agent, archived ones too."""
        return self.tenant(tenant) / "agents" / "main" / "sessions"

    def memory_index(self, tenant: str) -> Path:
        """The full-text index over notes and conversations; made anew when it is gone."""
        return self.tenant(tenant) / "data" / "memory.db"

    def job_book(self, tenant: str) -> Path:
        """Commands of OpenClaw's agent that run in the background, for the next start to tell of."""
        return self.tenant(tenant) / "data" / "jobs.json"

    def mcp_folder(self, tenant: str, server: str) -> Path:
        """The only folder that an MCP server of OpenClaw's can write in."""
        return self.tenant(tenant) / "data" / "mcp" / server

    def group(self, tenant: str, folder: str) -> Path:
        """A NanoClaw group's folder: the agent's working directory."""
        return self.tenant(tenant) / "groups" / folder

    def group_session(self, tenant: str, folder: str) -> Path:
        """Claude's configuration folder of a group: settings, skills, transcripts."""
        return self.tenant(tenant) / "data" / "sessions" / folder / ".claude"

    def group_logs(self, tenant: str, folder: str) -> Path:
        """One log file for each life of the group's worker; the agent can read it and not write it."""
        return self.group(tenant, folder) / "logs"

    def group_debug_log(self, tenant: str, folder: str) -> Path:
        """The command line's own log; the agent can write here, so it is opened without following links."""
        return self.group_session(tenant, folder) / "debug" / "latest"

    def routing_metrics(self, tenant: str) -> Path:
        """One JSON line for each routed message batch (policy N11)."""
        return self.tenant(tenant) / "logs" / "routing-metrics.jsonl"

    # --- runtime -----------------------------------------------------------------
    def control_socket(self, process: str) -> Path:
        """The operator's socket of a running process, mode 0600, in a folder that belongs to the process's user."""
        return self.runtime / "c" / process / "ctl"

    def tenant_socket_dir(self, tenant: str) -> Path:
        """The folder that guards a tenant's gateway socket, 0750 with the tenant's group."""
        return self.runtime / "t" / tenant

    def tenant_socket(self, tenant: str) -> Path:
        """Where the gateway serves one tenant."""
        return self.tenant_socket_dir(tenant) / "gateway.sock"

    def key_socket(self, tenant: str) -> Path:
        """Where whoever starts a tenant gets a fresh key for it."""
        return self.tenant_socket_dir(tenant) / "key.sock"

    def tenant_graph_socket(self, tenant: str) -> Path:
        """Where a tenant's commands reach the Graph hosts."""
        return self.tenant_socket_dir(tenant) / "graph.sock"

    def worker_dir(self, worker_id: str) -> Path:
        """The folder mounted into one worker; the socket in it is that worker's identity."""
        return self.runtime / "w" / worker_id

    def worker_note(self, worker_id: str) -> Path:
        """What a gateway noted about a worker for the next one."""
        return self.worker_dir(worker_id).with_suffix(".note")

    def worker_socket(self, worker_id: str) -> Path:
        """A worker's only way out."""
        return self.worker_dir(worker_id) / "api.sock"
