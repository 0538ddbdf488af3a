"""Values of setting up."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

StepState = Literal["done", "todo", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing an installation needs.

    Attributes:
        name: stable, such as ``bot.nanoclaw``.
        detail: how it stands, for people.
        fix: what to do; empty when it is done.
        needed: nothing works without it; otherwise something only stays off.
    """

    name: str
    state: StepState
    detail: str
    fix: str = ""
    needed: bool = True

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Bot:
    """A bot as Discord knows it.

    Attributes:
        application: id of its application.
        reads_messages: the intent Message Content is on.
        servers: id and name of those it is in.
    """

    application: str
    name: str
    reads_messages: bool
    servers: tuple[tuple[str, str], ...]
