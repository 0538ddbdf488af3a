"""OpenClaw's policy, ``policies/openclaw.toml``: who may talk to it, where it listens, which models it uses.

This is the reviewed ceiling; `openclaw.config.effective` lays ``openclaw.json`` under it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from openclaw.agent.policy import (
    CompactionPolicy,
    HeartbeatPolicy,
    QueuePolicy,
    SessionPolicy,
    ToolsPolicy,
    WorkspacePolicy,
)
from shared.config.paths import Paths
from shared.config.strict import Strict
from shared.config.toml import load_policy
from shared.metrics.policy import MetricsPolicy

MODEL_REF = r"^[a-z][a-z0-9-]{0,40}/[A-Za-z0-9._:-]{1,80}$"
KIND: Final = "openclaw"
"""The first tenant's name, and of its policy file."""
OPERATOR: Final = "operator"
"""The name of whoever uses this machine's command line, in the list of approvers."""
Approver = Annotated[str, Field(pattern=r"^(operator|[0-9]{1,20})$")]
TOOLS_NOT_OVER_HTTP: Final = frozenset(
    {
        *("exec", "process", "bash", "write", "edit", "apply_patch", "read"),
        *("sessions_spawn", "sessions_send", "subagents", "cron", "gateway", "message", "whatsapp_login"),
    }
)
"""Source: protocol reference §15 (denied by default, or not offered there at all)."""
UserId = Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]


def exact_origin(origin: str) -> str:
    """An origin as browsers send it.

    Raises:
        ValueError: it has a path or a wildcard, or is none at all.
    """
    parts = urlsplit(origin)
    if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query or "*" in origin:
        raise ValueError(f"{origin!r} is not an exact origin such as https://claw.example.org")
    return origin


class ControlUiPolicy(Strict):
    """The page in the browser.

    Attributes:
        enabled: serve it; the WebSocket is served either way.
        allowed_origins: origins beside loopback that may connect, each exactly ``https://host[:port]``.
    """

    enabled: bool = True
    allowed_origins: tuple[str, ...] = ()

    @field_validator("allowed_origins")
    @classmethod
    def _exact(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(exact_origin(origin) for origin in value)


class AuthPolicy(Strict):
    """How often a visitor may fail to sign in before having to wait.

    Attributes:
        max_attempts: failures within the window.
        window_s: length of the window.
        lockout_s: how long to wait then.
    """

    max_attempts: int = Field(default=10, ge=1)
    window_s: float = Field(default=60, gt=0)
    lockout_s: float = Field(default=300, gt=0)


class ChannelRule(Strict):
    """What is different in one channel of a server; a thread counts as its parent.

    Attributes:
        enabled: answer there at all.
        require_mention: answer only when addressed; as in the rest of the server when left out.
        users: who is answered there; as in the rest of the server when neither they nor `roles` are named.
        roles: whoever has one of these roles is answered, too.
    """

    enabled: bool = True
    require_mention: bool | None = None
    users: tuple[UserId, ...] = ()
    roles: tuple[UserId, ...] = ()


class GuildPolicy(Strict):
    """One Discord server on the allowlist.

    Attributes:
        require_mention: answer only when addressed.
        users: who is answered there; without users and roles every member.
        roles: ids of roles; whoever has one of them is answered, too.
        channels: where; empty means every channel. A thread counts as its parent.
        rules: what is different in single channels, by their ids.
    """

    require_mention: bool = True
    users: tuple[UserId, ...] = ()
    roles: tuple[UserId, ...] = ()
    channels: tuple[UserId, ...] = ()
    rules: dict[UserId, ChannelRule] = Field(default_factory=dict)


class HttpPolicy(Strict):
    """What programs may ask over HTTP on the same port, with the gateway token as bearer; all off by default.

    Attributes:
        chat_completions: serve ``POST /v1/chat/completions``.
        responses: serve ``POST /v1/responses``.
        tools: names of the tools that ``POST /tools/invoke`` runs; without any it is off. Never those that run
            commands, start sessions, write messages or change this gateway.
        strict_transport_security: sent as the header of that name; for installations behind HTTPS only.
    """

    chat_completions: bool = False
    responses: bool = False
    tools: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,60}$")], ...] = ()
    strict_transport_security: Annotated[str, Field(pattern=r"^[a-zA-Z0-9=; -]*$")] = ""

    @field_validator("tools")
    @classmethod
    def _harmless(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if never := sorted(TOOLS_NOT_OVER_HTTP.intersection(value)):
            raise ValueError(f"{', '.join(never)} cannot be offered over HTTP")
        return value


class AccessPolicy(Strict):
    """Cloudflare Access in front of the tunnel: its assertion is checked here, too, beside token and pairing.

    Attributes:
        team_domain: such as ``example.cloudflareaccess.com``; empty: not checked.
        audiences: the application's audience tags, of which an assertion must name one.
        direct_from: networks that may come without, with a loopback ``Host`` and nothing forwarded: the container
            bridge through which an SSH forward arrives. This machine itself always may.
    """

    team_domain: Annotated[str, Field(pattern=r"^([a-z0-9-]+\.cloudflareaccess\.com)?$")] = ""
    audiences: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...] = ()
    direct_from: tuple[str, ...] = ()

    @field_validator("direct_from")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _checked_networks(value)

    @model_validator(mode="after")
    def _complete(self) -> AccessPolicy:
        if self.team_domain and not self.audiences:
            raise ValueError("audiences must name the application's audience tag, else every application would do")
        return self


class DiscordPolicy(Strict):
    """Who is answered on Discord.

    Attributes:
        enabled: use Discord at all.
        group_policy: ``allowlist`` the guilds below · ``open`` every guild · ``disabled`` none.
        dm_policy: ``pairing`` strangers get a code · ``allowlist`` only `allow_from` · ``open`` anyone · ``disabled``.
        allow_from: people whose direct messages are always answered.
        require_mention: for guilds that say nothing themselves.
        streaming: show the answer while it is written, by editing one message.
        mention_patterns: regular expressions that count as a mention where one is needed, in any case of letters.
        history_limit: messages without a mention that come along, of the same channel, when somebody asks.
        reply_to_mode: an answer in a server is a reply with no message, its first or all. Source: OpenClaw 2026.2.26.
        ack_reaction: emoji put to a message that is going to be answered; empty puts none.
        ack_scope: to which ones.
        remove_ack: take it back once the message is answered.
        status_reactions: let it follow what the agent does, and how it ended.
        max_lines: of one message; a longer answer goes on in the next one. 0: only its length counts.
        native_commands: register the slash commands with Discord; typed as text they work either way.
    """

    enabled: bool = True
    group_policy: Literal["allowlist", "open", "disabled"] = "allowlist"
    dm_policy: Literal["pairing", "allowlist", "open", "disabled"] = "pairing"
    allow_from: tuple[UserId, ...] = ()
    require_mention: bool = True
    streaming: bool = True
    mention_patterns: tuple[Annotated[str, Field(min_length=1, max_length=200)], ...] = ()
    history_limit: int = Field(default=20, ge=0, le=50)
    reply_to_mode: Literal["off", "first", "all"] = "first"
    ack_reaction: Annotated[str, Field(max_length=40)] = "👀"
    ack_scope: Literal["group-mentions", "group-all", "direct", "all", "off"] = "group-mentions"
    remove_ack: bool = False
    status_reactions: bool = False
    max_lines: int = Field(default=17, ge=0)
    native_commands: bool = True
    guilds: dict[UserId, GuildPolicy] = Field(default_factory=dict)

    @field_validator("mention_patterns")
    @classmethod
    def _readable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in value:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
        return value


class AgentPolicy(Strict):
    """The agent behind every session.

    Attributes:
        name: what the assistant calls itself.
        model: ``provider/model`` asked first.
        instructions: appended to its standard prompt.
        fallbacks: asked in this order when the first fails or is cooling down.
        timeout_s: longest run.
        max_concurrent: runs at once, over all sessions.
        max_tool_rounds: model calls in one run.
        history_chars: how much of a session's past a model is shown, newest first.
    """

    name: str = Field(default="OpenClaw", min_length=1, max_length=60)
    model: str = Field(default="openai-codex/gpt-5.1", pattern=MODEL_REF)
    fallbacks: tuple[Annotated[str, Field(pattern=MODEL_REF)], ...] = ("github-copilot/gpt-5-mini",)
    instructions: str = ""
    timeout_s: float = Field(default=600, gt=0)
    max_concurrent: int = Field(default=4, ge=1, le=32)
    max_tool_rounds: int = Field(default=24, ge=1, le=200)
    history_chars: int = Field(default=400_000, ge=10_000)


class ApprovalsPolicy(Strict):
    """Who decides about commands that `policies/exec.toml` does not cover; the same list for every way to decide.

    Attributes:
        approvers: Discord user ids, and ``operator`` for the command line of this machine and for paired clients with
            the scope ``operator.approvals``; empty: nobody, so that every such command is refused.
        channel: id of the Discord channel where cards are shown; empty: a direct message to every approver.
        expires_s: seconds until an undecided request ends; what nobody decided does not run.
        max_pending: requests that may wait at once.
    """

    approvers: tuple[Approver, ...] = (OPERATOR,)
    channel: Annotated[str, Field(pattern=r"^([0-9]{1,20})?$")] = ""
    expires_s: float = Field(default=1800, ge=10, le=86_400)
    max_pending: int = Field(default=10, ge=1, le=100)


class CronPolicy(Strict):
    """Scheduled jobs.

    Attributes:
        enabled: run what is due; without it jobs are only kept.
        zone: time zone of cron expressions that name none.
        max_jobs: jobs there may be.
        max_concurrent_runs: at once; more wait.
        min_interval_s: shortest time between two runs of a job; jobs that the agent makes are held to a minute.
        missed: for what came due while nobody was there: ``run_once`` make up for all with one run · ``skip``.
        grace_s: a start this late still counts as on time.
        max_errors: errors in a row after which a job is disabled.
        keep_runs: runs remembered of each job.
        keep_days: how long they are remembered.
    """

    enabled: bool = True
    zone: str = "UTC"
    max_jobs: int = Field(default=100, ge=1, le=1000)
    max_concurrent_runs: int = Field(default=1, ge=1, le=8)
    min_interval_s: float = Field(default=1, ge=1)
    missed: Literal["run_once", "skip"] = "run_once"
    grace_s: float = Field(default=120, ge=0, le=86_400)
    max_errors: int = Field(default=10, ge=1, le=1000)
    keep_runs: int = Field(default=200, ge=1, le=2000)
    keep_days: int = Field(default=90, ge=1, le=3650)

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"there is no time zone {value!r}: use a name such as Europe/Berlin") from None
        return value


class OpenClawPolicy(Strict):
    """Everything in ``policies/openclaw.toml``.

    Attributes:
        port: of the Control UI and the WebSocket; 0 takes any free one.
        bind: the address to listen on; a tunnel or proxy in front is how others reach it.
        trusted_proxies: addresses whose ``CF-Connecting-IP``, else ``X-Forwarded-For``, names the real client: the
            tunnel's alone. A forwarded client is never local.
    """

    port: int = Field(default=18789, ge=0, le=65535)
    bind: Literal["127.0.0.1"] = "127.0.0.1"
    trusted_proxies: tuple[str, ...] = ()
    control_ui: ControlUiPolicy = ControlUiPolicy()
    auth: AuthPolicy = AuthPolicy()
    http: HttpPolicy = HttpPolicy()
    access: AccessPolicy = AccessPolicy()
    metrics: MetricsPolicy = MetricsPolicy()
    discord: DiscordPolicy = DiscordPolicy()
    agent: AgentPolicy = AgentPolicy()
    approvals: ApprovalsPolicy = ApprovalsPolicy()
    tools: ToolsPolicy = ToolsPolicy()
    queue: QueuePolicy = QueuePolicy()
    compaction: CompactionPolicy = CompactionPolicy()
    session: SessionPolicy = SessionPolicy()
    heartbeat: HeartbeatPolicy = HeartbeatPolicy()
    workspace: WorkspacePolicy = WorkspacePolicy()
    cron: CronPolicy = CronPolicy()

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _checked_networks(value)


def _checked_networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for entry in value:
        ipaddress.ip_network(entry, strict=False)
    return value


def load_config(paths: Paths, tenant: str = KIND) -> OpenClawPolicy:
    """The policy in force for a tenant.

    Raises:
        ConfigError: each problem with file, line, key and the nearest valid key.
    """
    return load_policy(KIND, OpenClawPolicy, paths, tenant=tenant)
