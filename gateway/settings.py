"""What the gateway was told: policy, secrets and process options, read once and passed down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from gateway.credentials.environment import load_env, prefix_of
from gateway.egress.policy import SEARCH_KEY, EgressPolicy, load_egress
from gateway.notices.policy import NoticesPolicy
from gateway.tenants.names import TenantKind, decide_name
from gateway.users import ServiceUser, service_user
from gateway.workers.development import NAME as DEV_MOUNT
from gateway.workers.development import checkout_of
from gateway.workers.mounts import MountsPolicy
from gateway.workers.policy import WorkerPolicy
from gateway.workers.settings import CONTAINER_SETTINGS, with_settings
from shared.config.envfile import refuse_forbidden
from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy
from shared.config.upstreams import Upstreams
from shared.gatewayclient.models import Slug
from shared.metrics.policy import MetricsPolicy

ModelRouteName = Literal["messages", "chat/completions", "responses", "copilot/responses", "copilot/messages"]

_TENANT_SETTINGS = ("ASSISTANT_NAME", "TRIGGER_PATTERN", "COPILOT_API_URL", "COPILOT_MODEL")
_TENANT_CONTAINER_SETTINGS = ("TZ", "MAX_CONCURRENT_CONTAINERS", "CONTAINER_TIMEOUT")
_TENANT_SECRETS = ("DISCORD_BOT_TOKEN", "SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "GATEWAY_TOKEN")

TENANT_NAMES = frozenset((*_TENANT_SETTINGS, "TZ", *_TENANT_SECRETS))
"""Names that a tenant gets at its start; all others are the gateway's own."""


class TenantPolicy(Strict):
    """One tenant: which product it runs, and which model routes it may use.

    Attributes:
        kind: the product.
        user: user of the machine it runs as when started by root, by name or as ``UID:GID``; empty means
            ``clawgate-<tenant>`` if there is such a user, else root's own.
        enabled: start it; false keeps its state and stops it from being started.
        routes: model routes it may call on its own socket; all others are refused.
        disk_mb: what all its state may take on disk. Above it no worker is started for any of its groups, and the owner
            is told.
    """

    kind: TenantKind
    user: str = Field(default="", pattern=r"^([a-z_][a-z0-9_-]{0,30}|[1-9][0-9]{0,9}:[1-9][0-9]{0,9})?$")
    enabled: bool = True
    routes: tuple[ModelRouteName, ...] = ()
    disk_mb: int = Field(default=8192, ge=64, le=1 << 22)


class CredentialFiles(Strict):
    """Where the operator's own tools keep their logins; ``~`` is the gateway user's home.

    Attributes:
        claude_file: login of the Claude command line.
        codex_file: login of the Codex command line.
        copilot_file: GitHub token that copilot-api stored.
    """

    claude_file: str = "~/.claude/.credentials.json"
    codex_file: str = "~/.codex/auth.json"
    copilot_file: str = "~/.local/share/copilot-api/github_token"


class ModelApi(Strict):
    """The OpenAI-compatible listener (policy G1).

    Attributes:
        enabled: listen at all.
        host: loopback only.
        port: 0 takes any free one.
        rate_limit_s: seconds between two model calls of this listener and of NanoClaw's LIGHT route together.
        wait: whether a call waits for its turn; otherwise it is refused with ``Retry-After``.
        queue_max: calls that may wait at once; one more is refused.
        require_key: callers need a key from `keys_file`; without it every program of this machine may call.
        keys_file: one key a line, a name before it if you like; mode 600.
    """

    enabled: bool = True
    host: Literal["127.0.0.1", "::1"] = "127.0.0.1"
    port: int = Field(default=4141, ge=0, le=65535)
    rate_limit_s: float = Field(default=10.0, ge=0, le=3600)
    wait: bool = True
    queue_max: int = Field(default=32, ge=1, le=1000)
    require_key: bool = False
    keys_file: str = "~/.config/clawgate/model-api-keys"


class EngineSettings(Strict):
    """Which container engine runs workers.

    Attributes:
        host: the engine's address; empty means ``DOCKER_HOST``, else the system's socket.
        kind: ``process`` contains nothing; it is the sandbox's fallback and refused elsewhere.
    """

    host: str = ""
    kind: Literal["docker", "process"] = "docker"


class GatewayPolicy(Strict):
    """The gateway's reviewed ceiling.

    Attributes:
        metrics: the gateway's figures (docs/metrics.md).
        sandbox: set by the sandbox alone; permits the process engine.
    """

    tenants: dict[Slug, TenantPolicy]
    credentials: CredentialFiles = CredentialFiles()
    model_api: ModelApi = ModelApi()
    engine: EngineSettings = EngineSettings()
    workers: WorkerPolicy = WorkerPolicy()
    notices: NoticesPolicy = NoticesPolicy()
    metrics: MetricsPolicy = MetricsPolicy()
    sandbox: bool = False

    def enabled(self) -> dict[str, TenantPolicy]:
        """Tenants to run, by name."""
        return {name: tenant for name, tenant in self.tenants.items() if tenant.enabled}

    @field_validator("tenants")
    @classmethod
    def _names_are_free(cls, value: dict[str, TenantPolicy]) -> dict[str, TenantPolicy]:
        for name, tenant in value.items():
            if reason := decide_name(name, tenant.kind):
                raise ValueError(f"tenants.{name}: {reason}")
        return value

    @model_validator(mode="after")
    def _notices_have_a_way(self) -> GatewayPolicy:
        name = self.notices.tenant
        if name and name not in self.tenants:
            raise ValueError(f"notices.tenant: there is no tenant {name!r}; there are {list(self.tenants)}")
        if name and self.tenants[name].kind != "nanoclaw" and not self.notices.chat:
            raise ValueError(f"notices.chat: {name} has no main group, so the chat must be named, such as dc:1234")
        return self


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the gateway was told.

    Attributes:
        policy: with the container settings of the environment and ``.env`` laid over it.
        mounts: allowlist of extra mounts.
        checkout: where development mode takes files from; None when it is off.
        env: what ``.env`` and the vault set, by ``.env`` name; the vault goes first (see `load_env`).
    """

    paths: Paths
    policy: GatewayPolicy
    upstreams: Upstreams
    egress: EgressPolicy
    env: dict[str, str] = field(repr=False)
    mounts: MountsPolicy = field(default_factory=MountsPolicy)
    checkout: Path | None = None

    @classmethod
    def load(cls, paths: Paths) -> Settings:
        """Read policy files, ``.env`` and what the vault has for the same names.

        Raises:
            ConfigError: names every file, line and key that is wrong, and the fix.
        """
        refuse_forbidden(dict(os.environ), where="the environment")
        policy, env = cls.policy_of(paths), load_env(paths)
        workers = with_settings(policy.workers, container_settings(env))
        return cls(
            paths=paths,
            policy=policy.model_copy(update={"workers": workers}),
            upstreams=load_policy("upstreams", Upstreams, paths),
            egress=load_egress(paths, sandbox=policy.sandbox, search_key=env.get(SEARCH_KEY, "")),
            env=env,
            mounts=load_policy("mounts", MountsPolicy, paths),
            checkout=checkout_of(os.environ.get(DEV_MOUNT, ""), Path(__file__)),
        )

    @staticmethod
    def policy_of(paths: Paths) -> GatewayPolicy:
        """The gateway's policy alone.

        Raises:
            ConfigError: names every file, line and key that is wrong, and the fix.
        """
        return load_policy("gateway", GatewayPolicy, paths)

    def tenant_secrets(self, tenant: str) -> dict[str, str]:
        """A tenant's own secrets, by lower-case name.

        ``OPENCLAW_DISCORD_BOT_TOKEN`` belongs to the tenant ``openclaw``; NanoClaw, whose ``.env`` this once was,
        also has the plain names.
        """
        return {name.lower(): value for name in _TENANT_SECRETS if (value := self._tenant_value(tenant, name))}

    def tenant_settings(self, tenant: str) -> dict[str, str]:
        """A tenant's plain settings by name; those about containers also from the environment."""
        settings = {"TZ": self.policy.workers.timezone}
        shared = container_settings(self.env)
        for name in _TENANT_CONTAINER_SETTINGS:
            if value := self.env.get(f"{prefix_of(tenant)}{name}") or shared.get(name):
                settings[name] = value
        return settings | {name: value for name in _TENANT_SETTINGS if (value := self._tenant_value(tenant, name))}

    def _tenant_value(self, tenant: str, name: str) -> str:
        return self.env.get(f"{prefix_of(tenant)}{name}") or (self.env.get(name, "") if tenant == "nanoclaw" else "")

    def credential_file(self, name: Literal["claude_file", "codex_file", "copilot_file"]) -> Path:
        """A credential file's path, with ``~`` resolved."""
        return Path(getattr(self.policy.credentials, name)).expanduser()

    def borrowed_files(self) -> dict[str, Path]:
        """Files of other programs that serve a provider as long as nobody signed in to it here."""
        return {"codex": self.credential_file("codex_file"), "copilot": self.credential_file("copilot_file")}

    def enabled_tenants(self) -> dict[str, TenantPolicy]:
        """Tenants to run, by name."""
        return self.policy.enabled()

    def user_of(self, tenant: str) -> ServiceUser | None:
        """The user a tenant runs as; None when it shares ours, as all do in the sandbox.

        Raises:
            ConfigError: policy names one that does not exist.
        """
        if self.paths.sandbox_marker.exists():
            return None
        return service_user(tenant, self.policy.tenants[tenant].user)

    def tenants_of(self, kind: TenantKind) -> list[str]:
        """Names of the enabled tenants that run one product."""
        return [name for name, tenant in self.enabled_tenants().items() if tenant.kind == kind]

    def notices_tenant(self) -> str:
        """Whose bot tells the owner what needs a person; empty when there is none."""
        return self.policy.notices.tenant or next(iter(self.tenants_of("nanoclaw")), "")

    def has_accounts(self) -> bool:
        """At least one chat bot has a token; without one there is nobody to answer."""
        secrets = [self.tenant_secrets(name) for name in self.enabled_tenants()]
        return any(own.get("discord_bot_token") or own.get("slack_bot_token") for own in secrets)


def container_settings(env: Mapping[str, str]) -> dict[str, str]:
    """The original's container settings: the process environment, else ``.env``."""
    return {name: value for name in CONTAINER_SETTINGS if (value := os.environ.get(name, "") or env.get(name, ""))}


def engine_address(settings: Settings) -> str:
    """The configured engine address, else ``DOCKER_HOST``, else the system's socket."""
    return settings.policy.engine.host or os.environ.get("DOCKER_HOST", "") or "unix:///var/run/docker.sock"
