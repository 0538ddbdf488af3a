"""Values of the credential service."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Provider = Literal["claude", "codex", "copilot"]
AuthKind = Literal["oauth", "api_key", "token"]
Health = Literal[
    "ok", "refreshing", "retrying", "unsaved", "expired", "login_needed", "missing", "borrowed", "unreadable"
]


@dataclass(frozen=True, slots=True)
class ProviderAuth:
    """What makes a request one of ours: the address and the headers that carry the credential.

    Attributes:
        base_url: without a slash at its end.
        kind: ``oauth`` a subscription's token, ``api_key`` prepaid, ``token`` a bearer exchanged for another.
        mark: tells credentials apart without being one; what `Credentials.after_refusal` compares.
    """

    provider: Provider
    base_url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    kind: AuthKind
    mark: str


@dataclass(frozen=True, slots=True)
class Notice:
    """What the owner is told, once for each sign-in that ended."""

    provider: str
    tenant: str
    account: str
    reason: str
    command: str


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """One line of ``clawgate auth status``; holds no secret.

    Attributes:
        next_refresh: None when there is nothing to refresh.
        detail: what is wrong and what to run; empty when all is well.
        command: how a person signs in again.
        mark: tells this sign-in from others of the same provider, without being one.
        failing_since: since when refreshes fail; None when they do not.
    """

    provider: str
    tenant: str
    account: str
    place: str
    health: Health
    expires_at: datetime | None
    last_refresh: datetime | None
    next_refresh: datetime | None
    detail: str
    command: str = ""
    mark: str = ""
    failing_since: datetime | None = None
