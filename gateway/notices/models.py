"""Values of the owner's notices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

NoticeKind = Literal[
    "login_needed",
    "refresh_failing",
    "token_ending",
    "budget_exhausted",
    "post_waiting",
    "post_in_doubt",
    "disk_filling",
    "disk_budget",
    "job_failed",
    "audit_dropped",
]
NoticeState = Literal["waiting", "delivered", "withdrawn"]


@dataclass(frozen=True, slots=True)
class OwnerNotice:
    """Something a person has to know.

    Attributes:
        key: names the event; the same event is told once, however often it is noticed.
        text: what happened and the exact command to run; no secret.
    """

    key: str
    kind: NoticeKind
    text: str


@dataclass(frozen=True, slots=True)
class StoredNotice:
    """A notice as it is kept.

    Attributes:
        id: the key of the message in the tenant's outbox, unlike any before it.
        reason: why it still waits, or why it was withdrawn.
        tenant: whose outbox took it; empty while it waits.
        chat: where it was put.
        settled_at: when it was taken or withdrawn, aware UTC.
    """

    id: str
    key: str
    kind: NoticeKind
    text: str
    state: NoticeState
    created_at: datetime
    reason: str = ""
    tenant: str = ""
    chat: str = ""
    settled_at: datetime | None = None
