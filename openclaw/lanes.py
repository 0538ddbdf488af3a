"""Who waits for a session, and what of it may be said together. Values and pure rules; `openclaw.runs` acts on them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from openclaw.agent.policy import QueueMode, SessionPolicy
from openclaw.sessions import SessionOrigin
from openclaw.store import RunRow, SessionRow

WEBCHAT: Final = "webchat"
PEOPLE: Final = frozenset({WEBCHAT, "discord"})
"""Sources that are a person's words: collected, steered, and what begins a stale session anew."""

STEERING: Final[frozenset[QueueMode]] = frozenset({"steer", "steer-backlog", "queue"})
_DROPPED_CHARS: Final = 160

StopReason = Literal["rpc", "stop", "timeout"]
OnText = Callable[[str], None]
OnTool = Callable[[str], None]
"""Told the name of each tool that is called."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        text: the answer, or what there was of it.
        error: what went wrong, in words for a person; empty unless the state is ``error``.
        retryable: trying again later may help.
        joined: these words became part of another run, which gives the answer.
    """

    state: Literal["ok", "error", "aborted"]
    text: str = ""
    error: str = ""
    retryable: bool = False
    joined: bool = False


@dataclass(eq=False)
class Run:
    """One run that is accepted and has not ended.

    Attributes:
        timeout_s: a shorter time than the policy's; taken up by another process, the policy's counts.
    """

    row: RunRow
    origin: SessionOrigin | None
    done: asyncio.Future[Outcome]
    on_text: OnText | None = None
    on_tool: OnTool | None = None
    tool_target: str = ""
    timeout_s: float | None = None
    text: str = ""
    seq: int = 0
    stop: StopReason | None = None
    work: asyncio.Task[Any] | None = None

    def is_stopped(self) -> bool:
        """Somebody asked for its end."""
        return self.stop is not None

    def goes_with(self, other: Run) -> bool:
        """Both are people's words in the same place, so that one turn may answer them."""
        here, there = (run.origin.chat if run.origin else "" for run in (self, other))
        return self.row.source == other.row.source and self.row.source in PEOPLE and here == there


@dataclass(eq=False)
class Lane:
    """A session's queue.

    Attributes:
        serving: a task works it off.
        dropped: first words of messages that had to make room.
        arrived_at: the event loop's time of the last arrival.
    """

    waiting: deque[Run] = field(default_factory=deque)
    active: Run | None = None
    serving: bool = False
    dropped: list[str] = field(default_factory=list)
    arrived_at: float = 0.0

    def take_together(self) -> list[Run]:
        """The next run, and those behind it that one turn may answer with it.

        A run that an earlier process had begun has its words in the transcript already: it stays by itself.
        """
        first = self.waiting.popleft()
        taken = [first]
        while first.row.state == "queued" and self.waiting and self.waiting[0].goes_with(first):
            taken.append(self.waiting.popleft())
        return taken

    def oldest_of_people(self) -> Run | None:
        """The message that has waited longest."""
        return next((run for run in self.waiting if run.row.source in PEOPLE), None)


def first_words(text: str) -> str:
    """A message in one line, for the note about those that were left out."""
    return " ".join(text.split())[:_DROPPED_CHARS]


def together(texts: Sequence[str], dropped: Sequence[str]) -> str:
    """Several messages as one, with a note about those that were left out."""
    parts = list(texts)
    if dropped:
        lines = "\n".join(f"- {line}" for line in dropped)
        parts.insert(0, f"[{len(dropped)} earlier messages were too many and are not answered; they began:\n{lines}]")
    return "\n".join(parts)


def decide_reset(session: SessionRow, policy: SessionPolicy, now: datetime) -> str:
    """Why a session begins anew before its next message; empty when it goes on."""
    if policy.reset == "idle" and now - session.updated_at >= timedelta(minutes=policy.idle_minutes):
        return f"nothing was said for {policy.idle_minutes} min"
    if policy.reset == "daily":
        here = now.astimezone(ZoneInfo(policy.timezone))
        last = here.replace(hour=policy.at_hour, minute=0, second=0, microsecond=0)
        if last > here:
            last -= timedelta(days=1)
        if session.updated_at < last.astimezone(UTC):
            return f"a new day began at {policy.at_hour:02}:00"
    return ""
