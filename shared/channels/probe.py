"""Asking a chat platform whether it still knows us: what such a probe finds out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

Intent = Literal["enabled", "limited", "disabled"]
"""How an application may use a privileged intent: ``limited`` works, for an application in few servers."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What the platform answered.

    Attributes:
        elapsed_ms: until it said who we are; of a bot that is not connected, with the time to reach it.
        reason: why it failed, in words a person can act on; empty when it did not.
        intents: name → how it may be used, as the platform has it now.
    """

    ok: bool
    elapsed_ms: int
    reason: str = ""
    user_id: str = ""
    user_name: str = ""
    application_id: str = ""
    intents: dict[str, Intent] = field(default_factory=dict)


@runtime_checkable
class CanProbe(Protocol):
    """A channel that can ask its platform who it is there."""

    async def probe(self, timeout_s: float) -> ProbeResult:
        """Ask now; never raises for what the platform does, and never takes longer than this."""
        ...
