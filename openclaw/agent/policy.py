"""The agent's tables of ``policies/openclaw.toml``: tools, queue, compaction, sessions, heartbeat, memory."""

from __future__ import annotations

from datetime import time
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from shared.config.strict import Strict

ToolPattern = Annotated[str, Field(pattern=r"^(group:[a-z]+|[A-Za-z0-9_*.-]{1,80})$")]
"""A tool's name, ``group:name``, or a name with ``*``; compared without regard to case."""

QueueMode = Literal["collect", "followup", "steer", "steer-backlog", "interrupt", "queue"]
Profile = Literal["minimal", "coding", "messaging", "full"]
CLOCK_TIME: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$"


class LoopDetectionPolicy(Strict):
    """When an agent that does the same again and again is warned, refused and ended.

    Attributes:
        enabled: look for it at all.
        history: calls of a run that are looked at.
        warn: repeats after which the result of a call says so.
        critical: repeats after which the call is refused.
        breaker: repeats after which the run ends.
    """

    enabled: bool = True
    history: int = Field(default=30, ge=4, le=200)
    warn: int = Field(default=4, ge=2)
    critical: int = Field(default=8, ge=3)
    breaker: int = Field(default=12, ge=4)

    @model_validator(mode="after")
    def _ascending(self) -> Self:
        if not self.warn < self.critical < self.breaker <= self.history:
            raise ValueError("warn, critical and breaker must ascend, and history must not be less than breaker")
        return self


class ToolsPolicy(Strict):
    """Which tools the agent is offered, and their bounds.

    Attributes:
        profile: what is offered before the lists below: ``minimal`` · ``coding`` · ``messaging`` · ``full``.
        allow: when given, only these are offered (of the profile).
        also_allow: offered beside the profile.
        deny: never offered; wins over everything.
        timeout_s: longest run of a tool that has no limit of its own.
        result_chars: how much of a result the model reads; the rest is kept in a file of the session's workspace.
        background_s: a command that runs longer goes on in the background.
        loop_detection: against an agent that goes round in circles.
    """

    profile: Profile = "full"
    allow: tuple[ToolPattern, ...] = ()
    also_allow: tuple[ToolPattern, ...] = ()
    deny: tuple[ToolPattern, ...] = ()
    timeout_s: float = Field(default=120, gt=0, le=3600)
    result_chars: int = Field(default=24_000, ge=1000, le=200_000)
    background_s: float = Field(default=10, ge=0.01, le=120)
    loop_detection: LoopDetectionPolicy = LoopDetectionPolicy()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.allow and self.also_allow:
            raise ValueError("allow and also_allow cannot be used together: put all names into allow")
        return self


class QueuePolicy(Strict):
    """What becomes of a message for a session whose agent is at work.

    Attributes:
        mode: ``collect`` all that wait become one turn · ``followup`` a turn each · ``steer`` said to the agent at its
            next tool call (``queue`` means the same) · ``steer-backlog`` said then, and a turn of its own ·
            ``interrupt`` the running turn is stopped.
        debounce_s: how long it must be quiet before collected messages begin their turn.
        cap: messages that may wait for a session.
        drop: when more come: ``new`` are refused · ``old`` make room · ``summarize`` do so and leave a line each.
    """

    mode: QueueMode = "collect"
    debounce_s: float = Field(default=1.0, ge=0, le=60)
    cap: int = Field(default=20, ge=1, le=200)
    drop: Literal["summarize", "old", "new"] = "summarize"


class CompactionPolicy(Strict):
    """How a conversation is kept within a model's window.

    Attributes:
        reserve_tokens: of the window, left free for the answer.
        keep_tokens: of the newest conversation, kept word for word.
        attempts: compactions in one run, before it ends with an apology.
        memory_flush: shortly before the first one, let the agent of an owner's session note what it must not forget.
    """

    reserve_tokens: int = Field(default=20_000, ge=1000)
    keep_tokens: int = Field(default=20_000, ge=500)
    attempts: int = Field(default=3, ge=1, le=5)
    memory_flush: bool = True


class SessionPolicy(Strict):
    """When a session begins anew by itself; its old transcript is archived.

    Attributes:
        reset: ``daily`` at `at_hour` · ``idle`` after `idle_minutes` · ``off``.
        at_hour: local to `timezone`.
        idle_minutes: since its last use.
        timezone: IANA name.
    """

    reset: Literal["daily", "idle", "off"] = "daily"
    at_hour: int = Field(default=4, ge=0, le=23)
    idle_minutes: int = Field(default=60, ge=1)
    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        return zone_name(value)


class HeartbeatPolicy(Strict):
    """A regular look at ``HEARTBEAT.md`` in the main session; nothing happens while that file holds only headings.

    Attributes:
        every_minutes: 0 switches it off.
        active_from: local time of day.
        active_to: local time of day; ``24:00`` is the day's end. Before `active_from` it means the next day.
        timezone: IANA name.
        target: where something worth saying goes: ``none`` stays in the session · ``last`` the main session's last
            chat.
        ack_chars: an answer with ``HEARTBEAT_OK`` and no more than this beside it is not sent.
    """

    every_minutes: float = Field(default=30, ge=0, le=10_080)
    active_from: Annotated[str, Field(pattern=CLOCK_TIME)] = "00:00"
    active_to: Annotated[str, Field(pattern=CLOCK_TIME)] = "24:00"
    timezone: str = "UTC"
    target: Literal["none", "last"] = "none"
    ack_chars: int = Field(default=300, ge=0, le=4000)

    @field_validator("timezone")
    @classmethod
    def _known(cls, value: str) -> str:
        return zone_name(value)


class WorkspacePolicy(Strict):
    """The agent's standing files.

    Attributes:
        bootstrap: write those that are missing at the start.
        file_chars: of one file, shown to the model.
        total_chars: of all files together.
    """

    bootstrap: bool = True
    file_chars: int = Field(default=20_000, ge=100)
    total_chars: int = Field(default=150_000, ge=1000)


def zone_name(value: str) -> str:
    """A time zone's name, checked.

    Raises:
        ValueError: there is none of this name.
    """
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone; write it like Europe/Berlin") from None
    return value


def clock_time(value: str) -> time:
    """A time of day as the policy writes it; the day's end is its last moment."""
    return time.max if value == "24:00" else time.fromisoformat(value)
