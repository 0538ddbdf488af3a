"""Discord servers of ``openclaw.json`` in the policy's form, and under the policy's own description of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

NOBODY: Final = "0"
"""An id that nobody has: where two lists have nobody in common, an empty one would mean everybody."""

_People = dict[str, tuple[str, ...]]


def read_guilds(value: Mapping[str, Any]) -> dict[str, Any]:
    """The file's servers as the policy describes servers."""
    return {guild: _read_guild(entry) for guild, entry in value.items()}


def _read_guild(entry: Mapping[str, Any]) -> dict[str, Any]:
    listed = entry.get("channels", {})
    allowed = [channel for channel, rule in listed.items() if _is_on(rule)]
    mention = entry.get("requireMention")
    return {
        "require_mention": True if mention is None else mention,
        **_people(entry),
        "channels": (NOBODY,) if listed and not allowed else tuple(allowed),
        "rules": {
            channel: {"enabled": True, "require_mention": rule.get("requireMention"), **_people(rule)}
            for channel, rule in listed.items()
            if _is_on(rule) and {"requireMention", "users", "roles"} & rule.keys()
        },
    }


def _is_on(rule: Mapping[str, Any]) -> bool:
    return rule.get("allow", True) is not False and rule.get("enabled", True) is not False


def _people(entry: Mapping[str, Any]) -> _People:
    return {"users": tuple(entry.get("users", ())), "roles": tuple(entry.get("roles", ()))}


def met_guilds(policy: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Servers of both; each as strict as either has it, in every channel."""
    return {guild: _met(policy[guild], entry) for guild, entry in wanted.items() if guild in policy}


def _met(ceiling: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **ceiling,
        "require_mention": ceiling["require_mention"] or wanted["require_mention"],
        **_fewer(ceiling, wanted),
        "channels": _narrowed(ceiling["channels"], wanted["channels"]),
        "rules": {
            channel: _met_rule(_in_channel(ceiling, channel), _in_channel(wanted, channel))
            for channel in (*ceiling["rules"], *(c for c in wanted["rules"] if c not in ceiling["rules"]))
        },
    }


def _in_channel(guild: Mapping[str, Any], channel: str) -> dict[str, Any]:
    """What holds in one channel: its own rule, else the server's."""
    rule = guild["rules"].get(channel, {})
    own_people = rule.get("users") or rule.get("roles")
    mention = rule.get("require_mention")
    return {
        "enabled": rule.get("enabled", True),
        "require_mention": guild["require_mention"] if mention is None else mention,
        **_people(rule if own_people else guild),
    }


def _met_rule(ceiling: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "enabled": ceiling["enabled"] and wanted["enabled"],
        "require_mention": ceiling["require_mention"] or wanted["require_mention"],
        **_fewer(ceiling, wanted),
    }


def _fewer(ceiling: Mapping[str, Any], wanted: Mapping[str, Any]) -> _People:
    """Those that both let in; without users and roles a server lets in every member."""
    if not (ceiling["users"] or ceiling["roles"]):
        return _people(wanted)
    if not (wanted["users"] or wanted["roles"]):
        return _people(ceiling)
    users = tuple(item for item in wanted["users"] if item in ceiling["users"])
    roles = tuple(item for item in wanted["roles"] if item in ceiling["roles"])
    return {"users": users or (() if roles else (NOBODY,)), "roles": roles}


def _narrowed(ceiling: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    if not ceiling or not wanted:
        return tuple(ceiling or wanted)
    return tuple(item for item in wanted if item in ceiling) or (NOBODY,)
