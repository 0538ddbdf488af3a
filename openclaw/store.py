"""Statements over OpenClaw's tables: plain functions over a connection, run by `shared.storage.Database`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from openclaw import schema
from shared.storage import insert_new, upsert

# --- devices -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A paired device."""

    device_id: str
    public_key: str
    display_name: str | None
    platform: str
    device_family: str
    client_id: str
    client_mode: str
    role: str
    roles: tuple[str, ...]
    scopes: tuple[str, ...]
    remote_ip: str | None
    created_at: datetime
    approved_at: datetime


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A device's right to connect in one role; the token is derived from `serial`, never stored."""

    device_id: str
    role: str
    serial: str
    scopes: tuple[str, ...]
    created_at: datetime
    rotated_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PairRequestRow:
    """A device that waits for a person; `record` is the pending record as clients see it."""

    request_id: str
    device_id: str
    record: dict[str, Any]
    knocked_at: datetime


def _values(row: object, *, lists: Sequence[str] = ()) -> dict[str, Any]:
    names = row.__slots__  # type: ignore[attr-defined] # our slotted dataclasses
    return {name: list(getattr(row, name)) if name in lists else getattr(row, name) for name in names}


def _fields(row: Row[Any], *, tuples: Sequence[str] = ()) -> dict[str, Any]:
    return {name: tuple(value) if name in tuples else value for name, value in row._mapping.items()}  # noqa: SLF001 - SQLAlchemy's public name


def all_devices(c: Connection) -> tuple[list[DeviceRow], list[TokenRow], list[PairRequestRow]]:
    """Everything about devices, for the copy in memory."""
    devices = [DeviceRow(**_fields(row, tuples=("roles", "scopes"))) for row in c.execute(select(schema.devices))]
    tokens = [TokenRow(**_fields(row, tuples=("scopes",))) for row in c.execute(select(schema.device_tokens))]
    requests = [PairRequestRow(**_fields(row)) for row in c.execute(select(schema.pair_requests))]
    return devices, tokens, requests


def save_device(c: Connection, row: DeviceRow, tokens: Iterable[TokenRow] = (), *, settled: Iterable[str] = ()) -> None:
    """Insert or replace a device with its tokens, and forget the requests this settles."""
    upsert(c, schema.devices, _values(row, lists=("roles", "scopes")), key=["device_id"])
    for token in tokens:
        save_token(c, token)
    for request_id in settled:
        remove_pair_request(c, request_id)


def save_token(c: Connection, row: TokenRow) -> None:
    """Insert or replace a device's token entry."""
    upsert(c, schema.device_tokens, _values(row, lists=("scopes",)), key=["device_id", "role"])


def remove_device(c: Connection, device_id: str) -> None:
    """Forget a device and its tokens."""
    c.execute(delete(schema.devices).where(schema.devices.c.device_id == device_id))
    c.execute(delete(schema.device_tokens).where(schema.device_tokens.c.device_id == device_id))


def save_pair_request(c: Connection, row: PairRequestRow, *, oldest: datetime, gone: str = "") -> None:
    """Insert or refresh a pairing request, and forget `gone` and all that were last heard of before `oldest`."""
    c.execute(delete(schema.pair_requests).where(schema.pair_requests.c.knocked_at < oldest))
    remove_pair_request(c, gone)
    upsert(c, schema.pair_requests, _values(row), key=["request_id"])


def remove_pair_request(c: Connection, request_id: str) -> None:
    """Forget a pairing request."""
    c.execute(delete(schema.pair_requests).where(schema.pair_requests.c.request_id == request_id))


# --- direct-message pairing ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DmRequestRow:
    """A stranger who wrote to the bot and was given a code."""

    channel: str
    sender_id: str
    code: str
    sender_name: str
    created_at: datetime
    seen_at: datetime


def dm_requests(c: Connection, channel: str) -> list[DmRequestRow]:
    """Open requests of a channel, oldest first."""
    table = schema.dm_requests
    rows = c.execute(select(table).where(table.c.channel == channel).order_by(table.c.created_at, table.c.sender_id))
    return [DmRequestRow(**_fields(row)) for row in rows]


def save_dm_request(c: Connection, row: DmRequestRow) -> None:
    """Insert or refresh a request."""
    upsert(c, schema.dm_requests, _values(row), key=["channel", "sender_id"])


def remove_dm_request(c: Connection, channel: str, sender_id: str) -> None:
    """Forget a request."""
    table = schema.dm_requests
    c.execute(delete(table).where(table.c.channel == channel, table.c.sender_id == sender_id))


def expire_dm_requests(c: Connection, channel: str, before: datetime) -> None:
    """Forget requests made before a moment."""
    table = schema.dm_requests
    c.execute(delete(table).where(table.c.channel == channel, table.c.created_at < before))


def allow_dm(c: Connection, channel: str, sender_id: str, sender_name: str, now: datetime) -> None:
    """Let a person write to the bot."""
    values = {"channel": channel, "sender_id": sender_id, "sender_name": sender_name, "approved_at": now}
    insert_new(c, schema.dm_allowed, values)


def allowed_senders(c: Connection, channel: str) -> frozenset[str]:
    """People who may write to the bot."""
    table = schema.dm_allowed
    return frozenset(c.execute(select(table.c.sender_id).where(table.c.channel == channel)).scalars())


# --- sessions and transcripts --------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session's entry in the index; its words are in the transcript file."""

    key: str
    session_id: str
    chat_type: str
    channel: str
    display_name: str | None
    last_to: str | None
    created_at: datetime
    updated_at: datetime
    aborted_last_run: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    context_tokens: int = 0
    model: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MessageRow:
    """Where one transcript entry lies in its file; `offset` and `length` are bytes."""

    session_id: str
    entry_id: str
    run_id: str
    role: str
    offset: int
    length: int
    created_at: datetime


def all_sessions(c: Connection) -> list[SessionRow]:
    """Every session."""
    return [SessionRow(**_fields(row)) for row in c.execute(select(schema.sessions))]


def save_session(c: Connection, row: SessionRow, usage: UsageRow | None = None) -> None:
    """Insert or replace a session's entry, and note what a run of it used."""
    upsert(c, schema.sessions, _values(row), key=["key"])
    if usage is not None:
        c.execute(insert(schema.usage).values(**_values(usage)))


def remove_session(c: Connection, key: str) -> None:
    """Forget a session's entry."""
    c.execute(delete(schema.sessions).where(schema.sessions.c.key == key))


def forget_messages(c: Connection, session_id: str) -> None:
    """Forget where a transcript's entries lie; the file is not touched."""
    c.execute(delete(schema.messages).where(schema.messages.c.session_id == session_id))


def count_messages(c: Connection, start: datetime, end: datetime) -> list[tuple[str, str, int]]:
    """How many entries of each role every transcript got in a span of time: ``(session_id, role, count)``."""
    table = schema.messages
    inside = (table.c.created_at >= start, table.c.created_at < end)
    statement = select(table.c.session_id, table.c.role, func.count()).where(*inside)
    return [tuple(row) for row in c.execute(statement.group_by(table.c.session_id, table.c.role))]


def add_message(c: Connection, row: MessageRow) -> bool:
    """Index a transcript entry; false when it is indexed already."""
    return insert_new(c, schema.messages, _values(row))


def last_messages(c: Connection, session_id: str, limit: int) -> list[MessageRow]:
    """The newest entries of a transcript, oldest of them first."""
    table = schema.messages
    statement = select(table).where(table.c.session_id == session_id).order_by(table.c.id.desc()).limit(limit)
    return [_message(row) for row in reversed(c.execute(statement).all())]


def run_messages(c: Connection, session_id: str, run_id: str) -> list[MessageRow]:
    """Entries a run wrote, oldest first."""
    table = schema.messages
    statement = select(table).where(table.c.session_id == session_id, table.c.run_id == run_id).order_by(table.c.id)
    return [_message(row) for row in c.execute(statement)]


def indexed_bytes(c: Connection, session_id: str) -> int:
    """End of the last indexed entry in a transcript file."""
    table = schema.messages
    statement = select(func.max(table.c.offset + table.c.length)).where(table.c.session_id == session_id)
    return int(c.execute(statement).scalar() or 0)


def _message(row: Row[Any]) -> MessageRow:
    fields = _fields(row)
    del fields["id"]
    return MessageRow(**fields)


# --- runs ----------------------------------------------------------------------------

RunState = Literal["queued", "running", "ok", "error", "aborted", "continued"]
OPEN_STATES: tuple[RunState, ...] = ("queued", "running")


@dataclass(frozen=True, slots=True)
class RunRow:
    """One request to the agent: accepted once, answered once."""

    run_id: str
    session_key: str
    asked_key: str
    source: str
    text: str
    state: RunState
    created_at: datetime
    continued_as: str | None = None
    error: str | None = None
    ended_at: datetime | None = None


def accept_run(c: Connection, row: RunRow, follow: RunRow | None) -> RunRow | None:
    """Record a run, and the one that carries it out if it has to wait; the known run when its id was used before."""
    if not insert_new(c, schema.runs, _values(row)):
        return get_run(c, row.run_id)
    if follow is not None:
        insert_new(c, schema.runs, _values(follow))
    return None


def set_run(
    c: Connection, run_id: str, state: RunState, *, error: str | None = None, ended_at: datetime | None = None
) -> None:
    """Move a run on."""
    table = schema.runs
    c.execute(update(table).where(table.c.run_id == run_id).values(state=state, error=error, ended_at=ended_at))


def merge_runs(c: Connection, run_id: str, text: str, others: Sequence[str], now: datetime) -> None:
    """Let a run answer others too; it carries the text of all of them, unless that is empty."""
    table = schema.runs
    if text:
        c.execute(update(table).where(table.c.run_id == run_id).values(text=text))
    if others:
        values = {"state": "continued", "continued_as": run_id, "ended_at": now}
        c.execute(update(table).where(table.c.run_id.in_(others)).values(**values))


def get_run(c: Connection, run_id: str) -> RunRow | None:
    """One run."""
    row = c.execute(select(schema.runs).where(schema.runs.c.run_id == run_id)).first()
    return RunRow(**_fields(row)) if row else None


def open_runs(c: Connection, source: str) -> list[RunRow]:
    """Runs of a source that were accepted and have not ended, oldest first."""
    table = schema.runs
    statement = (
        select(table).where(table.c.state.in_(OPEN_STATES), table.c.source == source).order_by(table.c.created_at)
    )
    return [RunRow(**_fields(row)) for row in c.execute(statement)]


def untold_runs(c: Connection, source: str, since: datetime) -> list[RunRow]:
    """Runs of a source that have not ended, or ended well after `since`: their answer may not have been said."""
    table = schema.runs
    recent = (table.c.state == "ok") & (table.c.ended_at >= since)
    statement = (
        select(table)
        .where(table.c.source == source, table.c.state.in_(OPEN_STATES) | recent)
        .order_by(table.c.created_at)
    )
    return [RunRow(**_fields(row)) for row in c.execute(statement)]


def prune_runs(c: Connection, before: datetime) -> None:
    """Forget runs that ended before a moment."""
    table = schema.runs
    c.execute(delete(table).where(table.c.ended_at.is_not(None), table.c.ended_at < before))


# --- usage ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one run used, in tokens; it outlives the session's transcript."""

    session_key: str
    session_id: str
    channel: str
    model: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    at: datetime


def usage_between(c: Connection, start: datetime, end: datetime) -> list[UsageRow]:
    """What runs used in a span of time, oldest first."""
    table = schema.usage
    names = [table.c[name] for name in UsageRow.__slots__]
    return [
        UsageRow(**_fields(row))
        for row in c.execute(select(*names).where(table.c.at >= start, table.c.at < end).order_by(table.c.id))
    ]
