"""The operator's socket: what ``openclaw`` and ``clawgate status`` ask a running tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from openclaw.gateway import RunningGateway
from openclaw.health import summary_line
from shared.channels.inbox import Inbox
from shared.errors import Invalid
from shared.lifecycle.control import Operation, required_text
from shared.secrets.files import Secret


def operations(gateway: RunningGateway, secret: Secret, inbox: Inbox, stop: asyncio.Event) -> Mapping[str, Operation]:
    """The table of operations."""
    services = gateway.services

    async def status(_params: dict[str, Any]) -> dict[str, Any]:
        report = services.discord()
        pending = services.devices.listing()["pending"]
        return {
            "summary": f"{summary_line(report)}; Control UI on {gateway.http_url}",
            "ready": gateway.ready,
            "http_url": gateway.http_url,
            "metrics_port": gateway.metrics_port,
            "channels": [{"name": "discord", **report.status.as_json()}],
            "connections": len(services.hub.connections),
            "runs": services.runs.active_count,
            "pending_devices": len(pending),
            "config": services.config.state(),
            "inbox": await inbox.counts(),
            "started_at": services.started_at.isoformat(),
        }

    async def dashboard(_params: dict[str, Any]) -> dict[str, Any]:
        return {"http_url": gateway.http_url, "ws_url": gateway.ws_url, "token": secret.reveal()}

    async def devices_list(_params: dict[str, Any]) -> dict[str, Any]:
        return services.devices.listing()

    async def devices_approve(params: dict[str, Any]) -> dict[str, Any]:
        request_id = required_text(params, "request_id")
        return {"requestId": request_id, "device": await services.devices.approve(request_id)}

    async def devices_reject(params: dict[str, Any]) -> dict[str, Any]:
        request_id = required_text(params, "request_id")
        return {"requestId": request_id, "deviceId": await services.devices.reject(request_id)}

    async def pairing_list(params: dict[str, Any]) -> list[dict[str, Any]]:
        _discord_only(params)
        return await services.dm_pairing.pending()

    async def pairing_approve(params: dict[str, Any]) -> dict[str, Any]:
        _discord_only(params)
        sender_id, name = await services.dm_pairing.approve(required_text(params, "code"))
        return {"id": sender_id, "name": name}

    async def stop_tenant(_params: dict[str, Any]) -> str:
        stop.set()
        return "stopping"

    return {
        "status": status,
        "dashboard": dashboard,
        "devices.list": devices_list,
        "devices.approve": devices_approve,
        "devices.reject": devices_reject,
        "pairing.list": pairing_list,
        "pairing.approve": pairing_approve,
        "stop": stop_tenant,
    }


def _discord_only(params: dict[str, Any]) -> None:
    channel = params.get("channel", "discord")
    if channel != "discord":
        raise Invalid(f"there is no channel {channel!r} with pairing; known: discord", code="pairing.channel")
