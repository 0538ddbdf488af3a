"""Whether a tool is offered: profile first, then the operator's lists, and ``deny`` above all. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

from openclaw.agent.policy import Profile, ToolsPolicy

PROFILES: Final[Mapping[Profile, tuple[str, ...]]] = {
    "minimal": ("session_status",),
    "coding": ("group:fs", "group:runtime", "group:sessions", "group:memory"),
    "messaging": ("group:messaging", "sessions_list", "sessions_history", "sessions_send", "session_status"),
    "full": ("*",),
}
"""What each profile holds. Source: OpenClaw's tool profiles."""


def is_offered(name: str, group: str, policy: ToolsPolicy) -> bool:
    """Whether policy lets the agent have a tool."""
    if covers(policy.deny, name, group):
        return False
    if covers(policy.also_allow, name, group):
        return True
    in_profile = covers(PROFILES[policy.profile], name, group)
    return in_profile and (not policy.allow or covers(policy.allow, name, group))


def covers(patterns: Iterable[str], name: str, group: str) -> bool:
    """Whether one of the patterns means this tool."""
    low = name.lower()
    return any(
        pattern == f"group:{group}" if pattern.startswith("group:") else fnmatchcase(low, pattern)
        for pattern in (each.lower() for each in patterns)
    )


def profiles_of(name: str, group: str) -> list[str]:
    """The profiles that hold a tool."""
    return [profile for profile, patterns in PROFILES.items() if covers(patterns, name, group)]
