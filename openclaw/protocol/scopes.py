"""Roles and scopes: who may call what, and who hears which event."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

ADMIN: Final = "operator.admin"
READ: Final = "operator.read"
WRITE: Final = "operator.write"
APPROVALS: Final = "operator.approvals"
PAIRING: Final = "operator.pairing"
OPERATOR_SCOPES: Final = frozenset({ADMIN, READ, WRITE, APPROVALS, PAIRING})

NODE_METHODS: Final = frozenset({"node.invoke.result", "node.event", "skills.bins"})


def allows(granted: Collection[str], needed: str) -> bool:
    """Whether a connection's scopes cover one scope: admin covers every ``operator.*``, write covers read."""
    if needed in granted or not needed:
        return True
    if needed.startswith("operator.") and ADMIN in granted:
        return True
    return needed == READ and WRITE in granted


def covers(granted: Collection[str], wanted: Iterable[str]) -> bool:
    """Whether every wanted scope is covered."""
    return all(allows(granted, scope) for scope in wanted)


def event_scope(event: str) -> str:
    """The scope a connection needs to hear an event; empty when everybody may."""
    if event.startswith(("exec.approval.", "posts.")):
        return APPROVALS
    if event.startswith(("device.pair.", "node.pair.")):
        return PAIRING
    return ""


def tidy(scopes: Iterable[str]) -> list[str]:
    """Scopes trimmed, without doubles, sorted: the form in which they are stored."""
    return sorted({scope.strip() for scope in scopes if scope.strip()})
