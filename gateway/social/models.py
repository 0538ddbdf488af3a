"""A publication and its states.

::

    awaiting_approval ─► queued | scheduled ─► creating ─► processing ─► ready ─► publishing ─► published
           │                    │                 │            │           │          ├──► needs_attention ─► …
           ▼                    ▼                 ▼            ▼           ▼          ▼
       rejected             cancelled          failed       failed      failed     failed

A `published` one is `deleting` and then `deleted` when a person wants it so.

`publishing` is entered, durably, before the call that publishes. A job found there at a start has an unknown outcome.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.errors import Invalid
from shared.social.models import Content, Network
from shared.social.validate import PostCode

Origin = Literal["agent", "operator"]
State = Literal[
    "awaiting_approval",
    "scheduled",
    "queued",
    "creating",
    "processing",
    "ready",
    "publishing",
    "published",
    "needs_attention",
    "failed",
    "rejected",
    "cancelled",
    "deleting",
    "deleted",
]

WAITING: frozenset[State] = frozenset({"queued", "scheduled"})
ACTIVE: frozenset[State] = frozenset({"creating", "processing", "ready", "publishing"})
"""Being made; at most one for each account."""
DROPPED: frozenset[State] = frozenset({"failed", "rejected", "cancelled"})
"""Certainly not online through this job."""
OVER: frozenset[State] = frozenset({"published", "rejected", "cancelled", "deleting", "deleted"})
"""Its files are needed no more; a failed one may be tried again."""


@dataclass(frozen=True, slots=True)
class Job:
    """One publication. All times are UTC.

    Attributes:
        account: network and the account's own id, ``threads:123``.
        digest: of account and content; what an approval is bound to.
        container_id: can become one post at most; empty before it is made and after it is given up.
        container_at: just before the container was asked for.
        publish_attempts: publish calls made with the present container.
        intent_at: set before a publish call, taken back only by a definite refusal.
        is_unknown: a publish call's outcome was unknown at least once; the container is never given up then.
        unknown_since: when that was noticed.
        finished_at: when, since then, the container was first seen unpublished.
        is_spam_block: the unknown outcome was the network's spam answer.
        tries: failures in a row at the present step.
        next_at: when there is something to do; None when nothing is.
        ask_until: until then a person may approve it.
        version: counts writes, so that two writers cannot overrule each other.
    """

    id: str
    tenant: str
    group: str
    origin: Origin
    network: Network
    account: str
    idempotency_key: str | None
    digest: str
    content: Content
    state: State
    created_at: datetime
    updated_at: datetime
    due_at: datetime
    next_at: datetime | None
    error_code: str = ""
    detail: str = ""
    children: tuple[str, ...] = ()
    container_id: str = ""
    container_at: datetime | None = None
    publish_attempts: int = 0
    recreations: int = 0
    intent_at: datetime | None = None
    is_unknown: bool = False
    unknown_since: datetime | None = None
    finished_at: datetime | None = None
    is_spam_block: bool = False
    tries: int = 0
    media_id: str = ""
    permalink: str = ""
    published_at: datetime | None = None
    approved_digest: str = ""
    approved_by: str = ""
    ask_until: datetime | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work for an account.

    Attributes:
        fence: grows with every new holder; a write with an older one is refused.
    """

    account: str
    holder: str
    fence: int


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a job's history."""

    at: datetime
    state: State
    code: str
    detail: str


class PostRefused(Invalid):
    """A post is not accepted; `code` is one of the stable ones."""

    def __init__(self, code: PostCode, detail: str) -> None:
        super().__init__(detail, code=code)
        self.post_code: PostCode = code
