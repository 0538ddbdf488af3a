"""Methods about sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from openclaw.agent.models import context_tokens, model_id, provider_of
from openclaw.protocol.errors import invalid
from openclaw.protocol.frames import NonEmpty, Wire, compact
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import READ
from openclaw.services import Services
from openclaw.sessions import AGENT_ID, canonical_key
from openclaw.store import SessionRow
from openclaw.transcript import COMPACTION
from shared.clock import unix_ms

_PREVIEW_ENTRIES = 50


class ListParams(Wire):
    """``sessions.list``."""

    limit: Annotated[int, Field(ge=1)] | None = None
    active_minutes: Annotated[int, Field(ge=1)] | None = None
    include_global: bool = True
    include_unknown: bool = True
    include_derived_titles: bool = False
    include_last_message: bool = False
    label: NonEmpty | None = None
    spawned_by: NonEmpty | None = None
    agent_id: NonEmpty | None = None
    search: str | None = None


def refuse_thinking(row: SessionRow | None, asked: str | None) -> None:
    """A level for one message alone: it belongs to the session here, so another one than the session's is refused.

    Raises:
        ProtocolError: it is another one.
    """
    own = str(row.settings.get("thinkingLevel", "off")) if row else "off"
    if asked is not None and asked.strip().lower() not in ("", own):
        raise invalid(f"thinking is set for a session ({own} here), with sessions.patch or /think, not for one message")


def entry(services: Services, row: SessionRow) -> dict[str, Any]:
    """A session as clients see it."""
    settings = row.settings
    ref = settings.get("model") or row.model or services.policy.agent.model
    delivery = {"channel": row.channel, "to": row.last_to} if row.last_to else {"channel": row.channel}
    return compact(
        key=row.key,
        kind="group" if row.chat_type == "channel" else "direct",
        label=settings.get("label"),
        displayName=row.display_name,
        chatType=row.chat_type,
        origin={"provider": row.channel, "surface": row.channel},
        updatedAt=unix_ms(row.updated_at),
        sessionId=row.session_id,
        systemSent=True,
        abortedLastRun=bool(row.aborted_last_run),
        thinkingLevel=settings.get("thinkingLevel"),
        verboseLevel=settings.get("verboseLevel"),
        reasoningLevel=settings.get("reasoningLevel"),
        responseUsage=settings.get("responseUsage"),
        inputTokens=row.input_tokens,
        outputTokens=row.output_tokens,
        totalTokens=row.context_tokens,
        totalTokensFresh=row.context_tokens > 0,
        modelProvider=provider_of(ref),
        model=model_id(ref),
        contextTokens=context_tokens(ref),
        deliveryContext=delivery,
        lastChannel=row.channel,
        lastTo=row.last_to,
    )


def _matches(row: SessionRow, params: ListParams, now_ms: int) -> bool:
    if params.agent_id not in (None, AGENT_ID) or params.spawned_by is not None:
        return False
    if params.label is not None and row.settings.get("label") != params.label:
        return False
    if params.active_minutes is not None and unix_ms(row.updated_at) < now_ms - params.active_minutes * 60_000:
        return False
    needle = (params.search or "").strip().lower()
    words = (row.key, row.display_name or "", row.settings.get("label", ""), row.session_id)
    return not needle or needle in " ".join(words).lower()


def _list(call: Call, params: ListParams) -> object:
    services = call.services
    now_ms = unix_ms(services.clock.now())
    rows = [row for row in services.sessions.listing() if _matches(row, params, now_ms)][: params.limit]
    sessions = [entry(services, row) for row in rows]
    if params.include_last_message or params.include_derived_titles:
        return _list_with_words(services, rows, sessions, params)
    return _listing(services, sessions)


async def _list_with_words(
    services: Services, rows: Sequence[SessionRow], sessions: list[dict[str, Any]], params: ListParams
) -> object:
    for row, shown in zip(rows, sessions, strict=True):
        await _add_words(services, row, shown, params)
    return _listing(services, sessions)


def _listing(services: Services, sessions: list[dict[str, Any]]) -> dict[str, Any]:
    ref = services.policy.agent.model
    return {
        "ts": unix_ms(services.clock.now()),
        "path": str(services.folder / f"{services.name}.db"),
        "count": len(sessions),
        "defaults": {
            "modelProvider": provider_of(ref),
            "model": model_id(ref),
            "contextTokens": context_tokens(ref),
        },
        "sessions": sessions,
    }


async def _add_words(services: Services, row: SessionRow, shown: dict[str, Any], params: ListParams) -> None:
    entries = await services.transcripts.last(row.session_id, _PREVIEW_ENTRIES)
    first = next((item.text for item in entries if item.role == "user" and item.text.strip()), "")
    last = next((item.text for item in reversed(entries) if item.text.strip() and item.role != COMPACTION), "")
    if params.include_derived_titles and first:
        shown["derivedTitle"] = " ".join(first.split())[:60]
    if params.include_last_message and last:
        shown["lastMessagePreview"] = " ".join(last.split())[:120]


class PreviewParams(Wire):
    """``sessions.preview``."""

    keys: Annotated[list[NonEmpty], Field(min_length=1, max_length=100)]
    limit: Annotated[int, Field(ge=1, le=_PREVIEW_ENTRIES)] = 12
    max_chars: Annotated[int, Field(ge=20, le=2000)] = 240


async def _preview(call: Call, params: PreviewParams) -> object:
    services = call.services
    previews = []
    for key in params.keys:
        row = services.sessions.get(canonical_key(key))
        entries = await services.transcripts.last(row.session_id, params.limit) if row else []
        items = [
            {"role": "tool" if item.role == "toolResult" else item.role, "text": item.text[: params.max_chars]}
            for item in entries
            if item.text and item.role != COMPACTION
        ]
        status = "missing" if row is None else "ok" if items else "empty"
        previews.append({"key": key, "status": status, "items": items})
    return {"ts": unix_ms(services.clock.now()), "previews": previews}


class ResolveParams(Wire):
    """``sessions.resolve``."""

    key: NonEmpty | None = None
    session_id: NonEmpty | None = None
    label: NonEmpty | None = None
    agent_id: NonEmpty | None = None
    spawned_by: NonEmpty | None = None
    include_global: bool = True
    include_unknown: bool = True


def _resolve(call: Call, params: ResolveParams) -> object:
    sessions = call.services.sessions
    given = [value for value in (params.key, params.session_id, params.label) if value]
    if len(given) != 1:
        raise invalid(
            "Provide exactly one of key, sessionId or label" if given else "Either key, sessionId or label is required"
        )
    row = sessions.get(canonical_key(params.key)) if params.key else None
    if params.session_id:
        row = sessions.find(params.session_id)
    if params.label:
        row = sessions.labelled(params.label)
    if row is None:
        raise invalid(f"No session found: {given[0]}")
    return {"ok": True, "key": row.key}


async def reset_session(services: Services, key: str) -> SessionRow:
    """End what runs in a session and begin it anew; the old transcript is kept beside the new one."""
    await services.runs.abort(key, None, "rpc")
    row, left_behind = await services.sessions.reset(key)
    if left_behind is not None:
        await services.transcripts.archive(left_behind)
    return row


METHODS = (
    Method("sessions.list", READ, _list, params=ListParams),
    Method("sessions.preview", READ, _preview, params=PreviewParams),
    Method("sessions.resolve", READ, _resolve, params=ResolveParams, advertised=False),
)
