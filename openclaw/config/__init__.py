"""OpenClaw's configuration: the reviewed policy, ``openclaw.json`` under it, and how both are read and set."""

from openclaw.config.policy import (
    MODEL_REF,
    OPERATOR,
    AccessPolicy,
    AgentPolicy,
    ApprovalsPolicy,
    Approver,
    AuthPolicy,
    ChannelRule,
    ControlUiPolicy,
    CronPolicy,
    DiscordPolicy,
    GuildPolicy,
    HttpPolicy,
    OpenClawPolicy,
    UserId,
    load_config,
)

__all__ = [
    "MODEL_REF",
    "OPERATOR",
    "AccessPolicy",
    "AgentPolicy",
    "ApprovalsPolicy",
    "Approver",
    "AuthPolicy",
    "ChannelRule",
    "ControlUiPolicy",
    "CronPolicy",
    "DiscordPolicy",
    "GuildPolicy",
    "HttpPolicy",
    "OpenClawPolicy",
    "UserId",
    "load_config",
]
