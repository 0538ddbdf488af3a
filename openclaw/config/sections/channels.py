"""``channels`` of ``openclaw.json``: Discord in full, the original's other platforms kept and named by doctor."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from openclaw.config.sections.base import Count, DiscordId, Free, Positive, SecretText, Section

GroupMode = Literal["open", "allowlist", "disabled"]
DmMode = Literal["pairing", "allowlist", "open", "disabled"]


class GuildChannel(Section):
    """One channel of a Discord server.

    Attributes:
        allow: answer there at all.
        enabled: the same under its newer name.
    """

    allow: bool | None = None
    enabled: bool | None = None
    require_mention: bool | None = None
    users: list[DiscordId] = []
    roles: list[DiscordId] = []
    skills: list[str] | None = None
    system_prompt: str | None = None
    tools: Free | None = None
    tools_by_sender: Free | None = None
    include_thread_starter: bool | None = None
    auto_thread: bool | None = None


class Guild(Section):
    """One Discord server on the allowlist.

    Attributes:
        require_mention: answer only when addressed.
        users: who is answered there; empty means every member.
        channels: where, by channel id; empty means every channel.
    """

    slug: str | None = None
    require_mention: bool | None = None
    users: list[DiscordId] = []
    roles: list[DiscordId] = []
    channels: dict[str, GuildChannel] = {}
    tools: Free | None = None
    tools_by_sender: Free | None = None
    reaction_notifications: Literal["off", "own", "all", "allowlist"] | None = None


class ExecApprovals(Section):
    """Who is asked on Discord about commands that the policy does not cover.

    Attributes:
        enabled: ask on Discord.
        approvers: Discord user ids that may decide.
        target: ``dm`` asks every approver directly.
    """

    enabled: bool = False
    approvers: list[DiscordId] = []
    agent_filter: list[str] | None = None
    session_filter: list[str] | None = None
    cleanup_after_resolve: bool | None = None
    target: Literal["dm", "channel", "both"] = "dm"


class Retry(Section):
    """Retries of sending; the outbox has its own here."""

    attempts: Count = 3
    min_delay_ms: Count = 500
    max_delay_ms: Count = 30_000
    jitter: float = 0.1


class Discord(Section):
    """The Discord bot.

    Attributes:
        enabled: use Discord at all.
        token: of the bot; ``${DISCORD_BOT_TOKEN}`` takes the one the gateway holds.
        group_policy: ``allowlist`` the servers under `guilds` · ``open`` every server · ``disabled`` none.
        dm_policy: ``pairing`` strangers get a code · ``allowlist`` only `allowFrom` · ``open`` anyone · ``disabled``.
        allow_from: user ids whose direct messages are always answered.
        guilds: the allowlist of servers, by server id.
        streaming: show the answer while it is written; anything but ``off`` or false.
        exec_approvals: who is asked about commands.
    """

    name: str | None = None
    enabled: bool = True
    token: SecretText | None = None
    proxy: str | None = None
    capabilities: list[str] | None = None
    markdown: Free | None = None
    config_writes: bool | None = None
    commands: Free | None = None
    allow_bots: bool | None = None
    dangerously_allow_name_matching: bool | None = None
    group_policy: GroupMode = "allowlist"
    history_limit: Count | None = None
    dm_history_limit: Count | None = None
    dms: Free | None = None
    text_chunk_limit: Count | None = None
    chunk_mode: Literal["length", "newline"] | None = None
    block_streaming: bool | None = None
    block_streaming_coalesce: Free | None = None
    streaming: bool | Literal["off", "partial", "block", "progress"] | None = None
    stream_mode: str | None = None
    draft_chunk: Free | None = None
    max_lines_per_message: Count | None = None
    media_max_mb: Positive | None = None
    retry: Retry | None = None
    reply_to_mode: Literal["off", "first", "all"] | None = None
    dm_policy: DmMode = "pairing"
    allow_from: list[DiscordId] = []
    default_to: str | None = None
    dm: Free | None = None
    guilds: dict[str, Guild] = {}
    actions: dict[str, Any] | None = None
    heartbeat: Free | None = None
    exec_approvals: ExecApprovals | None = None
    ui: Free | None = None
    slash_command: Free | None = None
    thread_bindings: Free | None = None
    intents: Free | None = None
    voice: Free | None = None
    pluralkit: Free | None = None
    response_prefix: str | None = None
    ack_reaction: Annotated[str, Field(max_length=40)] | None = None
    activity: str | None = None
    status: Literal["online", "dnd", "idle", "invisible"] | None = None
    activity_type: Literal[0, 1, 2, 3, 4, 5] | None = None
    activity_url: str | None = None
    accounts: Free | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Discord:
        if self.dm_policy == "open" and "*" not in self.allow_from:
            raise ValueError(
                'dmPolicy "open" lets anyone in and must say so: add "*" to allowFrom, or set dmPolicy to "pairing"'
            )
        if self.dm_policy == "allowlist" and not self.allow_from:
            raise ValueError('dmPolicy "allowlist" needs at least one user id in allowFrom')
        if (self.activity_type is not None or self.activity_url) and not self.activity:
            raise ValueError("activityType and activityUrl need activity")
        if self.activity_type == 1 and not self.activity_url:
            raise ValueError("activityType 1 (streaming) needs activityUrl")
        return self


class Channels(Section):
    """Chat platforms.

    Attributes:
        discord: the Discord bot.
    """

    discord: Discord | None = None
    defaults: Free | None = None
    model_by_channel: Free | None = None
    bluebubbles: Free | None = None
    googlechat: Free | None = None
    imessage: Free | None = None
    irc: Free | None = None
    line: Free | None = None
    matrix: Free | None = None
    mattermost: Free | None = None
    msteams: Free | None = None
    signal: Free | None = None
    slack: Free | None = None
    telegram: Free | None = None
    whatsapp: Free | None = None
