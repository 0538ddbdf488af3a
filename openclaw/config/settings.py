"""The table of settings that this product acts on: where each stands in the file, where in the policy, how they meet.

A further setting is one row here and its field in `openclaw.config.sections`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from openclaw.config.combining import (
    Combine,
    allowed_tools,
    also_allowed,
    approvers,
    both,
    both_lists,
    choose,
    guilds,
    is_streaming,
    least,
    minutes,
    more_denied,
    only,
    only_if_named,
    ordered,
    read_bind,
    read_profiles,
    seconds,
    smaller_profile,
    stricter_ask,
)
from openclaw.config.guilds import read_guilds
from shared.config.json5 import Path

SYSTEM_DIRS: Final = ("/bin", "/usr/bin")
"""The original always trusts these; a list in the file comes on top."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: where it stands in the file, where in the policy, and how the two meet.

    Attributes:
        path: in ``openclaw.json``.
        target: policy file without ``.toml``, then the attributes.
        read: the file's value in the policy's form.
    """

    path: Path
    target: tuple[str, ...]
    combine: Combine
    read: Callable[[Any], Any] = lambda value: value

    @property
    def file(self) -> str:
        """The policy file's name."""
        return f"policies/{self.target[0]}.toml"


_AUTH = ("gateway", "auth", "rateLimit")
DISCORD = ("channels", "discord")
EXEC = ("tools", "exec")
_ENDPOINTS: Final = ("gateway", "http", "endpoints")
DEFAULTS = ("agents", "defaults")
_BEAT = (*DEFAULTS, "heartbeat")

SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(("gateway", "port"), ("openclaw", "port"), choose),
    Setting(("gateway", "bind"), ("openclaw", "bind"), ordered("127.0.0.1", "0.0.0.0"), read_bind),
    Setting(("gateway", "trustedProxies"), ("openclaw", "trusted_proxies"), only_if_named, tuple),
    Setting(("gateway", "controlUi", "enabled"), ("openclaw", "control_ui", "enabled"), both),
    Setting(
        ("gateway", "controlUi", "allowedOrigins"), ("openclaw", "control_ui", "allowed_origins"), only_if_named, tuple
    ),
    Setting((*_AUTH, "maxAttempts"), ("openclaw", "auth", "max_attempts"), least),
    Setting((*_AUTH, "windowMs"), ("openclaw", "auth", "window_s"), lambda f: max(f.policy, f.wanted), seconds),
    Setting((*_AUTH, "lockoutMs"), ("openclaw", "auth", "lockout_s"), lambda f: max(f.policy, f.wanted), seconds),
    Setting((*DISCORD, "enabled"), ("openclaw", "discord", "enabled"), both),
    Setting(
        (*DISCORD, "groupPolicy"),
        ("openclaw", "discord", "group_policy"),
        ordered("disabled", "allowlist", "open"),
    ),
    Setting(
        (*DISCORD, "dmPolicy"),
        ("openclaw", "discord", "dm_policy"),
        ordered("disabled", "allowlist", "pairing", "open"),
    ),
    Setting((*DISCORD, "allowFrom"), ("openclaw", "discord", "allow_from"), only_if_named, tuple),
    Setting((*DISCORD, "guilds"), ("openclaw", "discord", "guilds"), guilds, read_guilds),
    Setting((*DISCORD, "streaming"), ("openclaw", "discord", "streaming"), choose, is_streaming),
    Setting((*DISCORD, "historyLimit"), ("openclaw", "discord", "history_limit"), least),
    Setting((*DISCORD, "replyToMode"), ("openclaw", "discord", "reply_to_mode"), choose),
    Setting((*DISCORD, "ackReaction"), ("openclaw", "discord", "ack_reaction"), choose),
    Setting(("messages", "ackReactionScope"), ("openclaw", "discord", "ack_scope"), choose),
    Setting(("messages", "removeAckAfterReply"), ("openclaw", "discord", "remove_ack"), choose),
    Setting((*DISCORD, "maxLinesPerMessage"), ("openclaw", "discord", "max_lines"), choose),
    Setting(("messages", "groupChat", "mentionPatterns"), ("openclaw", "discord", "mention_patterns"), choose, tuple),
    Setting(("commands", "native"), ("openclaw", "discord", "native_commands"), both, bool),
    Setting((*DISCORD, "execApprovals", "approvers"), ("openclaw", "approvals", "approvers"), approvers, tuple),
    Setting((*_ENDPOINTS, "chatCompletions", "enabled"), ("openclaw", "http", "chat_completions"), both, bool),
    Setting((*_ENDPOINTS, "responses", "enabled"), ("openclaw", "http", "responses"), both, bool),
    Setting((*DEFAULTS, "model", "primary"), ("openclaw", "agent", "model"), choose),
    Setting((*DEFAULTS, "model", "fallbacks"), ("openclaw", "agent", "fallbacks"), choose, tuple),
    Setting((*DEFAULTS, "timeoutSeconds"), ("openclaw", "agent", "timeout_s"), least),
    Setting((*DEFAULTS, "maxConcurrent"), ("openclaw", "agent", "max_concurrent"), least),
    Setting((*DEFAULTS, "userTimezone"), ("openclaw", "session", "timezone"), choose),
    Setting((*DEFAULTS, "skipBootstrap"), ("openclaw", "workspace", "bootstrap"), both, lambda value: not value),
    Setting((*DEFAULTS, "bootstrapMaxChars"), ("openclaw", "workspace", "file_chars"), least),
    Setting((*DEFAULTS, "bootstrapTotalMaxChars"), ("openclaw", "workspace", "total_chars"), least),
    Setting((*DEFAULTS, "compaction", "reserveTokens"), ("openclaw", "compaction", "reserve_tokens"), choose),
    Setting((*DEFAULTS, "compaction", "keepRecentTokens"), ("openclaw", "compaction", "keep_tokens"), choose),
    Setting((*_BEAT, "every"), ("openclaw", "heartbeat", "every_minutes"), choose, minutes),
    Setting((*_BEAT, "activeHours", "start"), ("openclaw", "heartbeat", "active_from"), choose),
    Setting((*_BEAT, "activeHours", "end"), ("openclaw", "heartbeat", "active_to"), choose),
    Setting((*_BEAT, "activeHours", "timezone"), ("openclaw", "heartbeat", "timezone"), choose),
    Setting((*_BEAT, "target"), ("openclaw", "heartbeat", "target"), ordered("none", "last")),
    Setting((*_BEAT, "ackMaxChars"), ("openclaw", "heartbeat", "ack_chars"), choose),
    Setting(("session", "reset", "mode"), ("openclaw", "session", "reset"), choose),
    Setting(("session", "reset", "atHour"), ("openclaw", "session", "at_hour"), choose),
    Setting(("session", "reset", "idleMinutes"), ("openclaw", "session", "idle_minutes"), choose),
    Setting(("messages", "queue", "mode"), ("openclaw", "queue", "mode"), choose),
    Setting(("messages", "queue", "debounceMs"), ("openclaw", "queue", "debounce_s"), choose, seconds),
    Setting(("messages", "queue", "cap"), ("openclaw", "queue", "cap"), least),
    Setting(("messages", "queue", "drop"), ("openclaw", "queue", "drop"), choose),
    Setting(("cron", "enabled"), ("openclaw", "cron", "enabled"), both),
    Setting(("cron", "maxConcurrentRuns"), ("openclaw", "cron", "max_concurrent_runs"), least),
    Setting(("tools", "profile"), ("openclaw", "tools", "profile"), smaller_profile),
    Setting(("tools", "allow"), ("openclaw", "tools", "allow"), allowed_tools, tuple),
    Setting(("tools", "alsoAllow"), ("openclaw", "tools", "also_allow"), also_allowed, tuple),
    Setting(("tools", "deny"), ("openclaw", "tools", "deny"), both_lists, tuple),
    Setting((*EXEC, "backgroundMs"), ("openclaw", "tools", "background_s"), least, seconds),
    Setting(("agents", "list", "*", "identity", "name"), ("openclaw", "agent", "name"), choose),
    Setting((*EXEC, "security"), ("exec", "security"), ordered("deny", "allowlist")),
    Setting((*EXEC, "ask"), ("exec", "ask"), stricter_ask),
    Setting((*EXEC, "safeBins"), ("exec", "safe_bins"), only, tuple),
    Setting(
        (*EXEC, "safeBinTrustedDirs"),
        ("exec", "trusted_dirs"),
        lambda facts: tuple(item for item in facts.policy if item.rstrip("/") in facts.wanted),
        lambda value: tuple(dict.fromkeys((*SYSTEM_DIRS, *(item.rstrip("/") for item in value)))),
    ),
    Setting((*EXEC, "safeBinProfiles"), ("exec", "profiles"), more_denied, read_profiles),
)
"""Every setting of ``openclaw.json`` that this product acts on through its policy."""

HONOURED: Final[tuple[Path, ...]] = (
    ("$schema",),
    ("meta",),
    ("wizard",),
    ("env",),
    ("gateway", "mode"),
    ("gateway", "auth", "mode"),
    ("gateway", "auth", "token"),
    ("gateway", "reload", "mode"),
    ("gateway", "reload", "debounceMs"),
    (*DISCORD, "token"),
    (*DISCORD, "execApprovals", "enabled"),
    (*DISCORD, "execApprovals", "target"),
    (*EXEC, "host"),
    ("agents", "list", "*", "id"),
    ("agents", "list", "*", "default"),
    ("messages", "ackReaction"),
)
"""What is acted on beside the table, or only describes the file itself."""

SAME_AS: Final[Mapping[Path, Any]] = {
    (*EXEC, "host"): "gateway",
    ("gateway", "mode"): "local",
    ("gateway", "auth", "mode"): "token",
    (*DISCORD, "execApprovals", "target"): "dm",
}
"""Where only one value means anything here; another one is named by `unused`."""
