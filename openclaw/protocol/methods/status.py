"""Methods about how the gateway is doing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from openclaw.agent.models import context_tokens, model_id
from openclaw.health import heartbeat, summary_line
from openclaw.log_lines import for_clients
from openclaw.protocol.frames import Wire
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import ADMIN, READ, allows
from openclaw.sessions import AGENT_ID, age_ms
from shared.clock import unix_ms

_RECENT = 10


def _health(call: Call, params: dict[str, Any]) -> object:
    probe = isinstance(params, dict) and params.get("probe") is True
    return _probed_health(call) if probe else call.services.hub.health()


async def _probed_health(call: Call) -> object:
    if call.services.probe_discord is not None:
        await call.services.probe_discord(None)
    return call.services.hub.health(fresh=True)


def _status(call: Call, _params: object) -> object:
    services = call.services
    rows = services.sessions.listing()
    now = services.clock.now()
    primary = services.policy.agent.model
    window = context_tokens(primary)
    recent: list[dict[str, Any]] = [
        {
            "agentId": AGENT_ID,
            "key": row.key,
            "kind": row.chat_type,
            "sessionId": row.session_id,
            "updatedAt": unix_ms(row.updated_at),
            "age": age_ms(row, now),
            "systemSent": True,
            "abortedLastRun": bool(row.aborted_last_run),
            "inputTokens": row.input_tokens,
            "outputTokens": row.output_tokens,
            "totalTokens": row.context_tokens,
            "totalTokensFresh": row.context_tokens > 0,
            "remainingTokens": max(0, (window or 0) - row.context_tokens),
            "percentUsed": min(100, 100 * row.context_tokens // window) if window else None,
            "model": row.model or primary,
            "contextTokens": window,
            "flags": [],
        }
        for row in rows[:_RECENT]
    ]
    beat = heartbeat(services)
    result: dict[str, Any] = {
        "heartbeat": {
            "defaultAgentId": AGENT_ID,
            "agents": [{"agentId": AGENT_ID, **{k: beat[k] for k in ("enabled", "every", "everyMs")}}],
        },
        "channelSummary": [summary_line(services.discord())],
        "queuedSystemEvents": [],
        "sessions": {
            "count": len(rows),
            "defaults": {"model": model_id(primary), "contextTokens": window},
            "recent": recent if allows(call.grant.scopes, ADMIN) else [],
            "byAgent": [{"agentId": AGENT_ID, "count": len(rows)}],
        },
    }
    result["config"] = services.config.state()
    if allows(call.grant.scopes, ADMIN):
        result["sessions"]["paths"] = [str(services.folder / f"{services.name}.db")]
    return result


def _presence(call: Call, _params: object) -> object:
    return call.services.presence.listing()


class TailParams(Wire):
    """``logs.tail``: `cursor` is a byte offset."""

    cursor: Annotated[int, Field(ge=0)] | None = None
    limit: Annotated[int, Field(ge=1, le=5000)] = 500
    max_bytes: Annotated[int, Field(ge=1, le=1_000_000)] = 250_000


def read_tail(path: Path, cursor: int | None, limit: int, max_bytes: int) -> dict[str, Any]:
    """Whole lines of a log file from a byte offset, or its end when there is none."""
    size = path.stat().st_size if path.exists() else 0
    reset = cursor is not None and cursor > size
    start = max(0, size - max_bytes) if cursor is None or reset else cursor
    truncated = start > 0 and (cursor is None or reset)
    if size - start > max_bytes:
        start, truncated = size - max_bytes, True
    text = b""
    if size:
        with path.open("rb") as handle:
            handle.seek(start)
            text = handle.read(max_bytes)
    end = text.rfind(b"\n") + 1
    lines = text[:end].split(b"\n")[:-1]
    if truncated and lines:
        lines = lines[1:]  # the first one is cut
    if len(lines) > limit:
        lines, truncated = lines[-limit:], True
    shown = [for_clients(line.decode(errors="replace")) for line in lines]
    return {
        "file": str(path),
        "cursor": start + end,
        "size": size,
        "lines": shown,
        "truncated": truncated,
        "reset": reset,
    }


async def _tail(call: Call, params: TailParams) -> object:
    path = call.services.log_file
    return await asyncio.to_thread(read_tail, path, params.cursor, params.limit, params.max_bytes)


METHODS = (
    Method("health", "", _health, params=None),
    Method("status", READ, _status, params=None),
    Method("system-presence", READ, _presence, params=None),
    Method("logs.tail", READ, _tail, params=TailParams),
)
