"""Values of the credential service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Provider = Literal["claude", "codex", "copilot"]
AuthKind = Literal["oauth", "api_key", "token"]


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
