"""Statements over the approvals and grants: plain functions over a connection."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from openclaw import schema
from openclaw.approvals.models import Answer, Approval, Question, StoredGrant
from shared.storage import insert_new

_table = schema.approvals
_grants = schema.exec_grants


def _approval(row: Row[Any]) -> Approval:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return Approval(**{**values, "question": Question.from_json(values["question"])})


def add(c: Connection, approval: Approval, max_pending: int) -> bool:
    """File a request; false when too many wait already."""
    if c.execute(select(func.count()).where(_table.c.state == "requested")).scalar_one() >= max_pending:
        return False
    values = {name.name: getattr(approval, name.name) for name in fields(approval)}
    return insert_new(c, _table, {**values, "question": approval.question.as_json()})


def get(c: Connection, approval_id: str) -> Approval | None:
    """One request."""
    row = c.execute(select(_table).where(_table.c.approval_id == approval_id)).first()
    return _approval(row) if row else None


def newest(c: Connection, *, waiting_only: bool, limit: int) -> list[Approval]:
    """Requests, the newest first."""
    statement = select(_table).order_by(_table.c.requested_at.desc(), _table.c.approval_id).limit(limit)
    if waiting_only:
        statement = statement.where(_table.c.state == "requested")
    return [_approval(row) for row in c.execute(statement)]


def untold(c: Connection) -> list[Approval]:
    """Requests whose conversation has not heard the end yet, the oldest first."""
    return [
        _approval(row) for row in c.execute(select(_table).where(_table.c.told_at.is_(None)).order_by("requested_at"))
    ]


def settle(
    c: Connection, approval_id: str, answer: Answer, *, by: str, now: datetime, grant: StoredGrant | None = None
) -> bool:
    """Decide a request that waits and has not expired; false when somebody else was first. One update: one winner."""
    waits = (_table.c.approval_id == approval_id, _table.c.state == "requested", _table.c.expires_at > now)
    won = c.execute(update(_table).where(*waits).values(state=answer, decided_at=now, decided_by=by)).rowcount == 1
    if won and grant is not None:
        values = {name.name: getattr(grant, name.name) for name in fields(grant)}
        insert_new(c, _grants, values)
    return won


def expire(c: Connection, now: datetime) -> list[Approval]:
    """End the requests whose time is over; returns them."""
    over = (_table.c.state == "requested", _table.c.expires_at <= now)
    ids = [row.approval_id for row in c.execute(select(_table.c.approval_id).where(*over))]
    c.execute(update(_table).where(*over).values(state="expired", decided_at=now))
    return [found for approval_id in ids if (found := get(c, approval_id)) is not None]


def claim(c: Connection, approval_id: str, now: datetime) -> bool:
    """Take an allowed command to run it; false when it was taken before."""
    free = (
        _table.c.approval_id == approval_id,
        _table.c.state.in_(("allow_once", "allow_always")),
        _table.c.started_at.is_(None),
    )
    return c.execute(update(_table).where(*free).values(started_at=now)).rowcount == 1


def note_outcome(c: Connection, approval_id: str, outcome: str) -> None:
    """Remember what the agent is to be told."""
    c.execute(update(_table).where(_table.c.approval_id == approval_id).values(outcome=outcome))


def note_told(c: Connection, approval_id: str, now: datetime) -> None:
    """The conversation has heard it."""
    c.execute(update(_table).where(_table.c.approval_id == approval_id).values(told_at=now))


def prune(c: Connection, before: datetime) -> None:
    """Forget requests that were told before a moment."""
    c.execute(delete(_table).where(_table.c.told_at.is_not(None), _table.c.told_at < before))


def all_grants(c: Connection) -> list[StoredGrant]:
    """What people allowed for good, the oldest first."""
    rows = c.execute(select(_grants).order_by(_grants.c.created_at, _grants.c.grant_id))
    return [StoredGrant(**dict(row._mapping)) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name


def use_grant(c: Connection, grant_id: str, now: datetime) -> None:
    """Note that a grant answered a question."""
    c.execute(update(_grants).where(_grants.c.grant_id == grant_id).values(last_used_at=now))


def remove_grant(c: Connection, grant_id: str) -> bool:
    """Take a grant back; false when there is none."""
    return c.execute(delete(_grants).where(_grants.c.grant_id == grant_id)).rowcount == 1
