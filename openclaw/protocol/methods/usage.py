"""Methods about what was used: providers, days, sessions."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from openclaw import usage
from openclaw.agent.models import provider_of
from openclaw.protocol.errors import invalid
from openclaw.protocol.frames import NonEmpty, Wire, compact
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import READ
from openclaw.sessions import AGENT_ID, canonical_key
from openclaw.store import SessionRow, UsageRow
from shared.clock import unix_ms

_DEFAULT_DAYS: Final = 30
_LONGEST: Final = timedelta(days=3660)
_OFFSET = re.compile(r"(?:UTC)?([+-])(\d{1,2})(?::(\d{2}))?")


def _status(call: Call, _params: object) -> object:
    services = call.services
    providers = []
    for ref in services.runs.loop.models.refs:
        until = services.runs.loop.models.paused_until(ref)
        row: dict[str, Any] = {"provider": provider_of(ref), "displayName": ref, "windows": []}
        if until is not None:
            row["error"] = f"rests until {until:%Y-%m-%d %H:%M} UTC after a failure"
        providers.append(row)
    return {"updatedAt": unix_ms(services.clock.now()), "providers": providers}


class SpanParams(Wire):
    """A span of days; `mode` says whose calendar: the gateway's (UTC), or the one of `utcOffset`."""

    start_date: str | None = None
    end_date: str | None = None
    days: Annotated[int, Field(ge=1, le=3650)] | None = None
    mode: Literal["utc", "gateway", "specific"] | None = None
    utc_offset: str | None = None


def _zone(params: SpanParams) -> timezone:
    if params.mode != "specific" or not params.utc_offset:
        return UTC
    match = _OFFSET.fullmatch(params.utc_offset.strip())
    if match is None:
        raise invalid("utcOffset must look like UTC+9 or UTC-05:30")
    shift = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
    if shift >= timedelta(hours=24):
        raise invalid("utcOffset must be less than a day")
    return timezone(shift if match[1] == "+" else -shift)


def _day(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise invalid(f"{name} must be a day such as 2026-02-26") from None


def _span(params: SpanParams, now: datetime) -> tuple[date, date, timezone]:
    zone = _zone(params)
    end = _day(params.end_date, "endDate") if params.end_date else now.astimezone(zone).date()
    days = params.days or _DEFAULT_DAYS
    start = _day(params.start_date, "startDate") if params.start_date else end - timedelta(days=days - 1)
    if start > end or end - start > _LONGEST:
        raise invalid("startDate must not be after endDate, nor ten years before it")
    return start, end, zone


async def _rows(call: Call, start: date, end: date, zone: timezone) -> list[UsageRow]:
    return await call.services.sessions.usage(*usage.days_between(start, end, zone))


async def _cost(call: Call, params: SpanParams) -> object:
    now = call.services.clock.now()
    start, end, zone = _span(params, now)
    rows = await _rows(call, start, end, zone)
    return {
        "updatedAt": unix_ms(now),
        "days": (end - start).days + 1,
        "daily": usage.by_day(rows, zone),
        "totals": usage.totals(rows),
    }


class SessionsParams(SpanParams):
    """``sessions.usage``."""

    key: NonEmpty | None = None
    limit: Annotated[int, Field(ge=1)] = 50
    include_context_weight: bool = False


def _session(
    key: str, rows: list[UsageRow], row: SessionRow | None, counts: dict[str, int], zone: timezone
) -> dict[str, Any]:
    newest = rows[-1]
    return compact(
        key=key,
        label=row.settings.get("label") if row else None,
        sessionId=newest.session_id,
        updatedAt=unix_ms(newest.at),
        agentId=AGENT_ID,
        channel=newest.channel,
        chatType=row.chat_type if row else None,
        modelProvider=provider_of(newest.model),
        model=newest.model.partition("/")[2],
        usage={
            **usage.totals(rows),
            "sessionId": newest.session_id,
            "firstActivity": unix_ms(rows[0].at),
            "lastActivity": unix_ms(newest.at),
            "activityDates": sorted({usage.day_of(entry.at, zone) for entry in rows}),
            "messageCounts": counts,
            "modelUsage": usage.by_model(rows),
        },
    )


async def _sessions(call: Call, params: SessionsParams) -> object:
    services = call.services
    now = services.clock.now()
    start, end, zone = _span(params, now)
    rows = await _rows(call, start, end, zone)
    if params.key is not None:
        key = canonical_key(params.key)
        rows = [row for row in rows if row.session_key == key]
    groups = usage.grouped(rows, lambda row: row.session_key)
    counts = await services.transcripts.counts(*usage.days_between(start, end, zone))
    if params.key is not None:
        mine = {row.session_id for row in rows}
        counts = [count for count in counts if count[0] in mine]
    sessions = []
    for key, group in groups.items():
        own = {row.session_id for row in group}
        said = usage.message_counts(count for count in counts if count[0] in own)
        sessions.append(_session(key, group, services.sessions.get(key), said, zone))
    sessions.sort(key=lambda entry: -entry["updatedAt"])
    return {
        "updatedAt": unix_ms(now),
        "startDate": start.isoformat(),
        "endDate": end.isoformat(),
        "sessions": sessions[: params.limit],
        "totals": usage.totals(rows),
        "aggregates": {
            "messages": (said := usage.message_counts(counts)),
            "tools": {"totalCalls": said["toolCalls"], "uniqueTools": 0, "tools": []},
            "byModel": usage.by_model(rows),
            "byProvider": usage.by_name(rows, "provider", lambda row: provider_of(row.model)),
            "byAgent": usage.by_name(rows, "agentId", lambda _row: AGENT_ID),
            "byChannel": usage.by_name(rows, "channel", lambda row: row.channel),
            "daily": [
                {"date": day["date"], "tokens": day["totalTokens"], "cost": 0} for day in usage.by_day(rows, zone)
            ],
        },
    }


class SessionParams(Wire):
    """``sessions.usage.timeseries``."""

    key: NonEmpty


async def _timeseries(call: Call, params: SessionParams) -> object:
    services = call.services
    row = _known(call, params.key)
    now = services.clock.now()
    rows = await services.sessions.usage(now - _LONGEST, now + timedelta(days=1))
    own = [entry for entry in rows if entry.session_id == row.session_id]
    return {"sessionId": row.session_id, "points": usage.points(own)}


def _known(call: Call, key: str) -> SessionRow:
    row = call.services.sessions.get(canonical_key(key))
    if row is None:
        raise invalid(f"No session found: {key}")
    return row


class LogsParams(SessionParams):
    """``sessions.usage.logs``."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 200


async def _logs(call: Call, params: LogsParams) -> object:
    row = _known(call, params.key)
    entries = await call.services.transcripts.last(row.session_id, params.limit)
    logs = [
        {"timestamp": entry.message.get("timestamp"), "role": entry.role, "content": entry.text[:2000]}
        for entry in entries
    ]
    return {"logs": logs}


METHODS = (
    Method("usage.status", READ, _status),
    Method("usage.cost", READ, _cost, params=SpanParams),
    Method("sessions.usage", READ, _sessions, params=SessionsParams, advertised=False),
    Method("sessions.usage.timeseries", READ, _timeseries, params=SessionParams, advertised=False),
    Method("sessions.usage.logs", READ, _logs, params=LogsParams, advertised=False),
)
