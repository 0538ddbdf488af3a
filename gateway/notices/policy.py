"""``[notices]`` of policies/gateway.toml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from shared.config.strict import Strict
from shared.gatewayclient.models import Slug


class NoticesPolicy(Strict):
    """Where the owner is told what needs a person.

    Attributes:
        tenant: whose bot says it; empty means the first NanoClaw tenant.
        chat: where, such as ``dc:123456789012345678``; empty means NanoClaw's main group.
        failing_after_s: a sign-in whose refresh has failed for this long is told about.
        ending_days: a Threads or Instagram token that cannot be renewed is told about this many days before its end.
            Source: reference notes on the Meta APIs, refresh rule (alarm at three days).
    """

    tenant: Slug | Literal[""] = ""
    chat: str = Field(default="", pattern=r"^([a-z]{2,10}:\S{1,100})?$")
    failing_after_s: float = Field(default=3600.0, ge=0)
    ending_days: float = Field(default=3.0, ge=0, le=60)
