"""What an examination of the machine says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["ok", "note", "warn", "fail"]
"""``fail``: strangers reach what they must not · ``warn``: should be mended · ``note``: cannot be known from here."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One examination's result.

    Attributes:
        id: stable, ``HOST-…``.
        fix: what a person may do; empty when there is nothing to do.
    """

    id: str
    level: Level
    detail: str
    fix: str = ""

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"id": self.id, "level": self.level, "detail": self.detail, "fix": self.fix or None}


@dataclass(frozen=True, slots=True, order=True)
class Listener:
    """A TCP port that a program listens on.

    Attributes:
        address: numeric; ``0.0.0.0`` and ``::`` mean every address of the machine.
    """

    address: str
    port: int


def worst(findings: Iterable[Finding]) -> Level:
    """The most severe level among them."""
    order: tuple[Level, ...] = ("ok", "note", "warn", "fail")
    return max((finding.level for finding in findings), key=order.index, default="ok")
