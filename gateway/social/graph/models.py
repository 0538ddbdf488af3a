"""A call to a Graph host as it came out of a contained command, and its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.social.models import Network

PLACEHOLDER = "held-by-gateway"


@dataclass(frozen=True, slots=True)
class GraphCall:
    """One request.

    Attributes:
        path: decoded, without the query.
        fields: of query and body together, without any token.
    """

    tenant: str
    network: Network
    method: str
    path: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class GraphAnswer:
    """What the command gets."""

    status: int
    body: bytes

    @classmethod
    def of(cls, value: Any, status: int = 200) -> GraphAnswer:  # noqa: ANN401 - JSON
        """A JSON answer."""
        return cls(status, json.dumps(value, ensure_ascii=False).encode())

    @classmethod
    def refusal(cls, detail: str, code: int, *, is_transient: bool = False) -> GraphAnswer:
        """An error as the Graph APIs word theirs; the text is for the agent."""
        error = {"message": detail, "type": "OAuthException", "code": code, "is_transient": is_transient}
        return cls.of({"error": {**error, "error_user_msg": detail, "fbtrace_id": "clawgate"}}, 400)


@dataclass(frozen=True, slots=True)
class Draft:
    """A container that exists here only, until it is published.

    Attributes:
        draft_id: decimal digits, as the networks' ids are.
        form: the fields it was asked for with.
        post_id: the publication it became; empty before.
    """

    draft_id: str
    tenant: str
    network: Network
    form: dict[str, str] = field(default_factory=dict)
    post_id: str = ""
    created_at: datetime | None = None
