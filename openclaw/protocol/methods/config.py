"""Methods about configuration: what is in force, with every secret hidden."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import READ

REDACTED = "__OPENCLAW_REDACTED__"


def effective_config(call: Call) -> dict[str, Any]:
    """The policy in force in the original's spelling; secrets are not in it to begin with."""
    policy = call.services.policy
    discord = policy.discord
    guilds = {
        guild: {"requireMention": entry.require_mention, "users": list(entry.users)}
        | ({"channels": {channel: {"allow": True} for channel in entry.channels}} if entry.channels else {})
        for guild, entry in discord.guilds.items()
    }
    return {
        "gateway": {
            "mode": "local",
            "port": policy.port,
            "bind": "loopback",
            "auth": {"mode": "token", "token": REDACTED},
            "trustedProxies": list(policy.trusted_proxies),
            "controlUi": {
                "enabled": policy.control_ui.enabled,
                "allowedOrigins": list(policy.control_ui.allowed_origins),
            },
        },
        "channels": {
            "discord": {
                "enabled": discord.enabled,
                "token": REDACTED,
                "groupPolicy": discord.group_policy,
                "dmPolicy": discord.dm_policy,
                "allowFrom": list(discord.allow_from),
                "streaming": "partial" if discord.streaming else "off",
                "guilds": guilds,
            }
        },
        "agents": {
            "defaults": {
                "model": {"primary": policy.agent.model, "fallbacks": list(policy.agent.fallbacks)},
                "timeoutSeconds": policy.agent.timeout_s,
                "maxConcurrent": policy.agent.max_concurrent,
            },
            "list": [{"id": "main", "default": True, "identity": {"name": policy.agent.name}}],
        },
    }


def _get(call: Call, _params: object) -> object:
    config = effective_config(call)
    raw = json.dumps(config, indent=2, ensure_ascii=False) + "\n"
    return {
        "path": str(call.services.folder / "openclaw.json"),
        "exists": False,
        "raw": raw,
        "parsed": config,
        "resolved": config,
        "valid": True,
        "config": config,
        "hash": hashlib.sha256(raw.encode()).hexdigest(),
        "issues": [],
        "warnings": [],
        "legacyIssues": [],
    }


METHODS = (Method("config.get", READ, _get),)
