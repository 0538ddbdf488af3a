"""Security-relevant events, as every process reports them and the gateway's chain keeps them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from shared.config.strict import Strict

EventKind = Literal[
    "sign_in.made",
    "sign_in.removed",
    "secret.set",
    "secret.removed",
    "key.rotated",
    "device.approved",
    "device.rejected",
    "device.revoked",
    "pairing.approved",
    "approval.decided",
    "grant.revoked",
    "config.written",
    "policy.changed",
    "profile.changed",
    "post.approved",
    "post.rejected",
    "posts.held",
    "posts.released",
    "worker.mounts",
    "content.accepted",
    "audit.fixed",
    "halted",
    "resumed",
]


class AuditEvent(Strict):
    """Something that changed who may do what.

    Attributes:
        id: the same event reported twice is kept once.
        kind: from a closed set.
        actor: who did it, as far as is known.
        subject: what it was done to.
        detail: in words; never a secret.
        at: when it happened, aware.
    """

    id: str = Field(pattern=r"^[A-Za-z0-9_.:-]{1,80}$")
    kind: EventKind
    at: datetime
    actor: Annotated[str, Field(max_length=200)] = ""
    subject: Annotated[str, Field(max_length=400)] = ""
    detail: Annotated[str, Field(max_length=2000)] = ""
