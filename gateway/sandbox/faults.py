"""A scripted plan of upstream faults, shared by every emulator of the offline world.

Each emulator asks `FaultPlan.take` once per call, naming itself and the operation. Nothing here does I/O on the
wire: an emulator reads the fault it was given and misbehaves accordingly. docs/sandbox-faults.md lists the names.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from shared.config.strict import Strict
from shared.errors import ConfigError, Invalid

Kind = Literal[
    "status",
    "reset",
    "stall",
    "close",
    "reconnect",
    "invalid_session",
    "drop_ack",
    "duplicate",
    "malformed",
    "edge_page",
    "half_body",
    "token_revoked",
    "clock_skew",
]
"""What goes wrong; docs/sandbox-faults.md says what each kind means for each upstream."""

Ordinal = Annotated[int, Field(ge=1)]

DEFAULT_STALL_S = 3600.0
EDGE_PAGE = (
    b"<!DOCTYPE html><html><head><title>Access denied</title></head>"
    b"<body><h1>Error 1015</h1><p>You are being rate limited.</p></body></html>"
)


class Fault(Strict):
    """One line of a fault plan.

    Attributes:
        upstream: the emulator meant: ``discord``, ``claude``, ``codex``, ``copilot``, ``github``, …
        op: the call meant, exact or with ``*`` as a wildcard (``message.*``).
        nth: which matching calls it hits, counted from 1 since the fault was queued; ``"*"`` is all of them.
        applied: false: the fault strikes before the work is done; true: the work is done, then the answer is lost or
            changed.
        status: HTTP status, or the close code for ``close``.
        headers: added to the answer of a ``status`` or ``edge_page`` fault.
        body: the answer's body, or the fault's parameters (``{"seconds": 2}`` for ``stall`` and ``clock_skew``).
    """

    upstream: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]
    op: Annotated[str, Field(min_length=1, max_length=100)]
    nth: Ordinal | Literal["*"] | tuple[Ordinal, ...] = 1
    applied: bool = False
    kind: Kind
    status: Annotated[int, Field(ge=100, le=4999)] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    body: Any = None

    def matches(self, upstream: str, op: str) -> bool:
        """Whether this fault is about such a call at all."""
        return self.upstream == upstream and (self.op == op or fnmatchcase(op, self.op))

    def hits(self, count: int) -> bool:
        """Whether the `count`-th matching call (from 1) is one it strikes."""
        if self.nth == "*":
            return True
        return count == self.nth if isinstance(self.nth, int) else count in self.nth

    @property
    def seconds(self) -> float:
        """The fault's length: ``body.seconds``, or an hour."""
        value = self.body.get("seconds", DEFAULT_STALL_S) if isinstance(self.body, dict) else DEFAULT_STALL_S
        return float(value)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean parameter from the body, such as ``resumable``."""
        return bool(self.body.get(name, default)) if isinstance(self.body, dict) else default

    def payload(self) -> tuple[bytes, str] | None:
        """The body as bytes with its content type, or none when the plan gives no body."""
        if self.body is None:
            return None
        if isinstance(self.body, str):
            return self.body.encode(), "text/html" if self.body.lstrip().startswith("<") else "text/plain"
        return json.dumps(self.body).encode(), "application/json"


@dataclass(frozen=True, slots=True)
class Fired:
    """A fault that struck: which one, on which call, and the how-manieth matching call that was."""

    fault: Fault
    op: str
    count: int


@dataclass(slots=True)
class _Queued:
    fault: Fault
    seen: int = 0


@dataclass(slots=True)
class FaultPlan:
    """The faults still to come, and those that have struck. Used from one event loop only.

    Attributes:
        fired: every fault that struck, in order.
        calls: how often each (upstream, op) was asked about, for finding the right name and ordinal.
    """

    fired: list[Fired] = field(default_factory=list)
    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    _queued: list[_Queued] = field(default_factory=list)

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> FaultPlan:
        """A plan of these faults."""
        plan = cls()
        for fault in faults:
            plan.add(fault)
        return plan

    @classmethod
    def load(cls, path: Path) -> FaultPlan:
        """Read a plan: one JSON object a line; empty lines and lines starting with ``#`` are skipped.

        Raises:
            ConfigError: the file cannot be read, or a line is wrong; all wrong lines are named at once.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"fault plan {path} cannot be read: {error}", code="config.faults") from None
        plan, problems = cls(), list[str]()
        for number, line in enumerate(text.splitlines(), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            try:
                plan.add(parse_fault(line))
            except Invalid as error:
                problems.append(f"{path}:{number}: {error.detail}")
        if problems:
            raise ConfigError("\n".join(problems), code="config.faults")
        return plan

    def add(self, fault: Fault) -> None:
        """Queue a fault; its ordinal counts the matching calls from now on."""
        self._queued.append(_Queued(fault))

    def clear(self) -> int:
        """Forget what is queued and say how many that were; the log of fired faults stays."""
        count = len(self._queued)
        self._queued.clear()
        return count

    @property
    def queued(self) -> list[Fault]:
        """The faults that may still strike."""
        return [entry.fault for entry in self._queued if not _is_spent(entry)]

    def take(self, upstream: str, op: str) -> Fault | None:
        """Count one call and return the fault that strikes it, the earliest queued first."""
        self.calls[upstream, op] = self.calls.get((upstream, op), 0) + 1
        struck: Fault | None = None
        for entry in self._queued:
            if not entry.fault.matches(upstream, op):
                continue
            entry.seen += 1
            if struck is None and entry.fault.hits(entry.seen):
                struck = entry.fault
                self.fired.append(Fired(struck, op, entry.seen))
        return struck


def parse_fault(line: str | bytes) -> Fault:
    """One fault from its JSON text.

    Raises:
        Invalid: it is not JSON, or a field is unknown, missing or of the wrong type; the detail names the field.
    """
    try:
        return Fault.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"][:1])
        reason = f"{place}: {first['msg']}" if place else first["msg"]
        raise Invalid(f"not a fault ({reason}); see docs/sandbox-faults.md for the fields and kinds") from None


def _is_spent(entry: _Queued) -> bool:
    nth = entry.fault.nth
    if nth == "*":
        return False
    return entry.seen >= (nth if isinstance(nth, int) else max(nth, default=0))
