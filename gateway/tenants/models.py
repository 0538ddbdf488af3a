"""Values of the commands about tenants."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from gateway.tenants.names import TenantKind


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant as policy, vault and its process say.

    Attributes:
        state: ``off`` when policy does not start it.
        port: where an OpenClaw listens; None for a NanoClaw.
        user: the user of the machine it runs as; empty when it shares ours.
        has_token: of a chat platform.
        policy: its own policy file.
    """

    name: str
    kind: TenantKind
    state: Literal["runs", "stopped", "off"]
    port: int | None
    user: str
    has_token: bool
    policy: str

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Done:
    """What a command did.

    Attributes:
        lines: what was written or removed, a sentence each.
        next_steps: commands that a person runs now, in order.
    """

    tenant: str
    lines: tuple[str, ...]
    next_steps: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"ok": True, **asdict(self)}
