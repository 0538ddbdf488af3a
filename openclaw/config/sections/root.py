"""The whole of ``openclaw.json``."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from openclaw.agent.policy import QueueMode
from openclaw.config.sections.agents import Agents
from openclaw.config.sections.base import Count, Free, SecretText, Section
from openclaw.config.sections.channels import Channels
from openclaw.config.sections.gateway import Gateway
from openclaw.config.sections.tools import Tools


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"{value!r} is not a regular expression: {error}") from None
    return value


class Meta(Section):
    """Which program wrote the file last."""

    last_touched_version: str | None = None
    last_touched_at: str | None = None


class Reset(Section):
    """When a conversation begins anew by itself.

    Attributes:
        mode: ``daily`` at `atHour` or ``idle`` after `idleMinutes`.
        at_hour: hour of the day.
        idle_minutes: since it was used last.
    """

    mode: Literal["daily", "idle"] | None = None
    at_hour: Annotated[int, Field(ge=0, le=23)] | None = None
    idle_minutes: Annotated[int, Field(ge=1)] | None = None


class Session(Section):
    """How conversations are told apart and when they begin anew.

    Attributes:
        reset: when they begin anew.
    """

    scope: Literal["per-sender", "global"] | None = None
    dm_scope: Literal["main", "per-peer", "per-channel-peer", "per-account-channel-peer"] | None = None
    identity_links: Free | None = None
    reset: Reset | None = None
    reset_by_type: Free | None = None
    reset_by_channel: Free | None = None
    reset_triggers: list[str] | None = None
    idle_minutes: Count | None = None
    store: str | None = None
    typing_mode: str | None = None
    typing_interval_seconds: Count | None = None
    main_key: str | None = None
    parent_fork_max_tokens: Count | None = None
    maintenance: Free | None = None
    thread_bindings: Free | None = None
    send_policy: Free | None = None
    agent_to_agent: Free | None = None


class Queue(Section):
    """What becomes of a message for a conversation whose agent is at work.

    Attributes:
        mode: ``collect``, ``followup``, ``steer``, ``steer-backlog`` or ``interrupt``.
        debounce_ms: how long it must be quiet before collected messages begin their turn, in milliseconds.
        cap: messages that may wait.
        drop: what goes when more come.
    """

    mode: QueueMode | None = None
    debounce_ms: Annotated[int, Field(ge=0, le=60_000)] | None = None
    cap: Annotated[int, Field(ge=1, le=200)] | None = None
    drop: Literal["summarize", "old", "new"] | None = None
    by_channel: Free | None = None
    debounce_ms_by_channel: Free | None = None


class GroupChat(Section):
    """Conversations of many people.

    Attributes:
        mention_patterns: regular expressions that count as a mention.
    """

    history_limit: Count | None = None
    mention_patterns: list[Annotated[str, AfterValidator(_pattern), Field(min_length=1, max_length=200)]] | None = None


class Messages(Section):
    """How messages are queued and decorated.

    Attributes:
        queue: what becomes of messages while the agent is at work.
        ack_reaction: emoji put to a message that is going to be answered; empty puts none.
        ack_reaction_scope: to which ones.
        group_chat: what counts as a mention.
    """

    response_prefix: str | None = None
    message_prefix: str | None = None
    ack_reaction: Annotated[str, Field(max_length=40)] | None = None
    ack_reaction_scope: Literal["group-mentions", "group-all", "direct", "all"] | None = None
    remove_ack_after_reply: bool | None = None
    status_reactions: Free | None = None
    suppress_tool_errors: bool | None = None
    queue: Queue | None = None
    inbound: Free | None = None
    group_chat: GroupChat | None = None
    tts: Free | None = None


class Commands(Section):
    """Commands that people write in chats."""

    native: bool | Literal["auto"] | None = None
    native_skills: bool | Literal["auto"] | None = None
    text: bool | None = None
    bash: bool | None = None
    bash_foreground_ms: Count | None = None
    config: bool | None = None
    debug: bool | None = None
    restart: bool | None = None
    allow_from: Free | None = None
    owner_allow_from: list[str] | None = None
    use_access_groups: bool | None = None
    owner_display: Literal["raw", "hash"] | None = None
    owner_display_secret: SecretText | None = None


class Cron(Section):
    """Scheduled jobs.

    Attributes:
        enabled: run what is due.
        max_concurrent_runs: jobs at once.
    """

    enabled: bool | None = None
    store: str | None = None
    max_concurrent_runs: Annotated[int, Field(ge=1)] | None = None
    session_retention: str | Literal[False] | None = None
    run_log: Free | None = None
    retry: Free | None = None
    webhook: str | None = None
    webhook_token: SecretText | None = None


class Hooks(Section):
    """Calls from outside that wake the agent; not in this product."""

    enabled: bool | None = None
    token: SecretText | None = None
    path: str | None = None
    max_body_bytes: Count | None = None
    default_session_key: str | None = None
    allow_request_session_key: bool | None = None
    allowed_session_key_prefixes: list[str] | None = None
    allowed_agent_ids: list[str] | None = None
    presets: list[str] | None = None
    transforms_dir: str | None = None
    mappings: list[dict[str, Any]] | None = None
    gmail: Free | None = None
    internal: Free | None = None


class Logging(Section):
    """Log lines."""

    level: str | None = None
    file: str | None = None
    max_file_bytes: Count | None = None
    console_level: str | None = None
    console_style: Literal["pretty", "compact", "json"] | None = None
    redact_sensitive: Literal["off", "tools"] | None = None
    redact_patterns: list[str] | None = None


class Auth(Section):
    """Sign-ins at model providers; the gateway holds them here."""

    profiles: Free | None = None
    order: Free | None = None
    cooldowns: Free | None = None


class ExecForwarding(Section):
    """Approvals forwarded as text; cards are used here."""

    enabled: bool | None = None
    mode: Literal["session", "targets", "both"] | None = None
    agent_filter: list[str] | None = None
    session_filter: list[str] | None = None
    targets: list[dict[str, Any]] | None = None


class Approvals(Section):
    """Where approvals are shown."""

    exec: ExecForwarding | None = None


class EnvironmentVariables(Section):
    """Values for ``${NAME}`` in this file; nothing else sees them.

    Attributes:
        vars: by name.
    """

    model_config = Section.model_config | {"extra": "allow"}
    __pydantic_extra__: dict[str, Annotated[str, Field(json_schema_extra={"sensitive": True})]] = Field(init=False)

    vars: dict[str, SecretText] = {}
    shell_env: Free | None = None


class OpenClawJson(Section):
    """OpenClaw's own configuration file, under the ceilings of ``policies/``.

    Attributes:
        gateway: where it listens and who may connect.
        channels: chat platforms.
        agents: the agent and its models.
        tools: which commands and tools it has.
        env: values for ``${NAME}`` in this file.
    """

    schema_: Annotated[str | None, Field(alias="$schema")] = None
    meta: Meta | None = None
    env: EnvironmentVariables | None = None
    gateway: Gateway = Gateway()
    channels: Channels = Channels()
    agents: Agents = Agents()
    tools: Tools = Tools()
    session: Session | None = None
    messages: Messages | None = None
    commands: Commands | None = None
    cron: Cron | None = None
    hooks: Hooks | None = None
    logging: Logging | None = None
    auth: Auth | None = None
    approvals: Approvals | None = None
    models: Free | None = None
    wizard: Free | None = None
    diagnostics: Free | None = None
    update: Free | None = None
    browser: Free | None = None
    ui: Free | None = None
    secrets: Free | None = None
    acp: Free | None = None
    node_host: Free | None = None
    bindings: list[dict[str, Any]] | None = None
    broadcast: Free | None = None
    audio: Free | None = None
    media: Free | None = None
    web: Free | None = None
    discovery: Free | None = None
    canvas_host: Free | None = None
    talk: Free | None = None
    memory: Free | None = None
    skills: Free | None = None
    plugins: Free | None = None
