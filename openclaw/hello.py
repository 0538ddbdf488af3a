"""The answer to a connection that may come in: ``hello-ok`` with everything clients build on."""

from __future__ import annotations

from typing import Any

from openclaw.admission import Admitted
from openclaw.connection import Connection
from openclaw.protocol import events
from openclaw.protocol.frames import PROTOCOL_VERSION, SERVER_VERSION
from openclaw.services import Services
from openclaw.sessions import AGENT_ID, MAIN_KEY, MAIN_SESSION
from shared.clock import unix_ms


def hello_ok(
    services: Services,
    connection: Connection,
    admitted: Admitted,
    *,
    methods: list[str],
    health: dict[str, Any],
    state_version: dict[str, int],
    uptime_ms: int,
) -> dict[str, Any]:
    """The payload of the answer to ``connect``. Source: protocol §2."""
    limits = connection.limits
    hello: dict[str, Any] = {
        "type": "hello-ok",
        "protocol": PROTOCOL_VERSION,
        "server": {"version": SERVER_VERSION, "connId": connection.id},
        "features": {"methods": methods, "events": list(events.ADVERTISED)},
        "snapshot": {
            "presence": services.presence.listing(),
            "health": health,
            "stateVersion": state_version,
            "uptimeMs": uptime_ms,
            "configPath": str(services.config.path),
            "stateDir": str(services.folder),
            "sessionDefaults": {
                "defaultAgentId": AGENT_ID,
                "mainKey": MAIN_KEY,
                "mainSessionKey": MAIN_SESSION,
                "scope": "per-sender",
            },
            "authMode": "token",
        },
        "policy": {
            "maxPayload": limits.max_payload_bytes,
            "maxBufferedBytes": limits.max_buffered_bytes,
            "tickIntervalMs": int(limits.tick_s * 1000),
        },
    }
    if admitted.token is not None:
        token, row = admitted.token
        hello["auth"] = {
            "deviceToken": token,
            "role": row.role,
            "scopes": list(row.scopes),
            "issuedAtMs": unix_ms(row.rotated_at or row.created_at),
        }
    return hello
