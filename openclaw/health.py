"""The health payload and the channel reports that several methods share."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from openclaw.services import ChannelReport, Services
from openclaw.sessions import AGENT_ID, age_ms
from shared.clock import unix_ms

_RECENT = 5
_STATE_WORDS = {
    "online": "running",
    "connecting": "connecting",
    "waiting": "waiting",
    "failed": "failed",
    "off": "stopped",
}


def _ms(moment: datetime | None) -> int | None:
    return unix_ms(moment) if moment else None


def account(report: ChannelReport) -> dict[str, Any]:
    """One channel account; times that are not known are null."""
    running = report.status.state in {"online", "connecting", "waiting"}
    probed = report.probed
    probe = {"probe": probed.as_wire(), "lastProbeAt": unix_ms(probed.at)} if probed else {"lastProbeAt": None}
    return {
        "accountId": "default",
        "enabled": report.enabled,
        "configured": report.configured,
        "running": running,
        "connected": report.status.state == "online",
        "lastStartAt": _ms(report.status.since) if running else None,
        "lastStopAt": _ms(report.status.since) if not running else None,
        "lastError": report.status.reason or None,
        "lastInboundAt": _ms(report.last_inbound_at),
        "lastOutboundAt": _ms(report.last_outbound_at),
        "tokenSource": "config" if report.configured else "none",
        **probe,
    }


def summary_line(report: ChannelReport) -> str:
    """A channel in one line, as ``channels status`` prints it."""
    words = [
        "enabled" if report.enabled else "disabled",
        "configured" if report.configured else "not configured",
        _STATE_WORDS[report.status.state],
        f"token:{'config' if report.configured else 'none'}",
    ]
    if report.status.reason:
        words.append(f"error:{report.status.reason}")
    return f"Discord default: {', '.join(words)}"


def sessions_summary(services: Services, recent: int = _RECENT) -> dict[str, Any]:
    """How many sessions, and which were used last."""
    rows = services.sessions.listing()
    now = services.clock.now()
    return {
        "path": str(services.folder / f"{services.name}.db"),
        "count": len(rows),
        "recent": [
            {"key": row.key, "updatedAt": unix_ms(row.updated_at), "age": age_ms(row, now)} for row in rows[:recent]
        ],
    }


def heartbeat(services: Services) -> dict[str, Any]:
    """The heartbeat's settings."""
    policy, beats = services.policy.heartbeat, services.heartbeat
    enabled = beats is not None and beats.enabled
    return {
        "enabled": enabled,
        "every": f"{policy.every_minutes:g}m" if enabled else "0m",
        "everyMs": int(policy.every_minutes * 60_000) if enabled else None,
        "prompt": "",
        "target": policy.target,
        "ackMaxChars": policy.ack_chars,
    }


def health(services: Services) -> dict[str, Any]:
    """The health payload."""
    began = services.clock.monotonic()
    report = services.discord()
    entry = account(report)
    channels = {"discord": {**entry, "accounts": {"default": entry}}} if report.enabled else {}
    sessions = sessions_summary(services)
    return {
        "ok": True,
        "ts": unix_ms(services.clock.now()),
        "durationMs": int((services.clock.monotonic() - began) * 1000),
        "channels": channels,
        "channelOrder": list(channels),
        "channelLabels": {"discord": "Discord"} if channels else {},
        "heartbeatSeconds": 0,
        "defaultAgentId": AGENT_ID,
        "agents": [{"agentId": AGENT_ID, "isDefault": True, "heartbeat": heartbeat(services), "sessions": sessions}],
        "sessions": sessions,
        "config": services.config.state(),
    }
