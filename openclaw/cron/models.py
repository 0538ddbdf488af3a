"""Values of cron: a job as clients write it, what is kept of its past, and one run of it.

Source of names and shapes: OpenClaw 2026.2.26 gateway protocol, section 10.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from openclaw.config import MODEL_REF
from openclaw.protocol.frames import Wire, compact
from openclaw.sessions import AGENT_ID, MAIN_SESSION
from shared.clock import unix_ms

RunState = Literal["open", "ok", "error", "skipped"]
DeliveryState = Literal["delivered", "not-delivered", "not-requested"]

TEXT_CHARS: Final = 16_000
"""Longest text of a job; more belongs into a file of the workspace."""
DAY_MS: Final = 86_400_000
_YEARS_MS: Final = 3660 * DAY_MS
_SUMMARY_CHARS: Final = 2000

Text = Annotated[str, Field(min_length=1, max_length=TEXT_CHARS)]


class At(Wire):
    """Once. Without an offset the time is UTC."""

    kind: Literal["at"]
    at: Annotated[str, Field(min_length=1, max_length=60)]


class Every(Wire):
    """Every so many milliseconds, counted from `anchor_ms`, else from when the job was made."""

    kind: Literal["every"]
    every_ms: Annotated[int, Field(ge=1, le=_YEARS_MS)]
    anchor_ms: Annotated[int, Field(ge=0, le=1 << 45)] | None = None


class CronExpression(Wire):
    """Five fields, read on the clock of `tz`; `stagger_ms` spreads jobs that begin together."""

    kind: Literal["cron"]
    expr: Annotated[str, Field(min_length=1, max_length=200)]
    tz: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    stagger_ms: Annotated[int, Field(ge=0, le=DAY_MS)] | None = None


class SystemEvent(Wire):
    """A text that the main session is told."""

    kind: Literal["systemEvent"]
    text: Text


class AgentTurn(Wire):
    """A turn in a session of its own."""

    kind: Literal["agentTurn"]
    message: Text
    model: Annotated[str, Field(pattern=MODEL_REF)] | None = None
    thinking: Annotated[str, Field(max_length=20)] | None = None
    timeout_seconds: Annotated[float, Field(gt=0, le=86_400)] | None = None


class Delivery(Wire):
    """Where the answer goes.

    Attributes:
        channel: ``discord``, or ``last``: wherever the main session was spoken to last.
        to: ``channel:<id>`` or ``user:<id>``; for ``webhook`` an https address.
        best_effort: an answer that cannot be delivered is no failure of the run.
    """

    mode: Literal["none", "announce", "webhook"]
    channel: Annotated[str, Field(max_length=40)] | None = None
    to: Annotated[str, Field(max_length=2048)] | None = None
    account_id: Annotated[str, Field(max_length=40)] | None = None
    best_effort: bool | None = None


Schedule = Annotated[At | Every | CronExpression, Field(discriminator="kind")]
Payload = Annotated[SystemEvent | AgentTurn, Field(discriminator="kind")]


class JobSpec(Wire):
    """A job as it is asked for.

    Attributes:
        enabled: false: it stays, and nothing is due.
        session_key: the session a `systemEvent` goes to; the main session when left out.
        delete_after_run: gone after it ran well; what runs once only is so unless it says otherwise.
        wake_mode: ``now``, or with the next heartbeat.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=1000)] | None = None
    enabled: bool = True
    agent_id: Literal["main"] | None = None
    session_key: Annotated[str, Field(max_length=200)] | None = None
    delete_after_run: bool | None = None
    schedule: Schedule
    session_target: Literal["main", "isolated"]
    wake_mode: Literal["now", "next-heartbeat"] = "now"
    payload: Payload
    delivery: Delivery | None = None

    @model_validator(mode="before")
    @classmethod
    def _target_of_payload(cls, value: Any) -> Any:  # noqa: ANN401 - before validation
        """What is left out follows from the payload."""
        if isinstance(value, dict) and not {"sessionTarget", "session_target"} & value.keys():
            payload = value.get("payload")
            kind = payload.get("kind") if isinstance(payload, dict) else getattr(payload, "kind", "")
            return {**value, "sessionTarget": "main" if kind == "systemEvent" else "isolated"}
        return value

    @model_validator(mode="after")
    def _fits(self) -> JobSpec:
        if (self.session_target == "main") != (self.payload.kind == "systemEvent"):
            wanted = "systemEvent" if self.session_target == "main" else "agentTurn"
            raise ValueError(f'{self.session_target} cron jobs require payload.kind="{wanted}"')
        if self.delivery is not None:
            _check_delivery(self)
        return self

    @property
    def runs_once(self) -> bool:
        """It has a single moment."""
        return isinstance(self.schedule, At)

    @property
    def text(self) -> str:
        """What the agent is told."""
        return self.payload.text if isinstance(self.payload, SystemEvent) else self.payload.message

    @property
    def deletes_itself(self) -> bool:
        """It goes after it ran well."""
        return self.runs_once and self.delete_after_run is not False


def _check_delivery(spec: JobSpec) -> None:
    delivery = spec.delivery
    if delivery is None:
        return
    if spec.session_target == "main" and delivery.mode == "announce":
        raise ValueError('delivery "announce" is only for sessionTarget "isolated": the main session answers itself')
    if delivery.mode == "webhook":
        if not (delivery.to or "").startswith("https://"):
            raise ValueError('delivery "webhook" needs to: an https:// address')
    elif delivery.channel not in (None, "last", "discord"):
        raise ValueError(f'delivery.channel {delivery.channel!r} is not known: use "discord" or "last"')
    elif delivery.to is not None:
        kind, _, number = delivery.to.partition(":")
        if kind not in ("channel", "user") or not number.isdecimal() or len(number) > 20:
            raise ValueError("delivery.to is channel:<id> or user:<id>")


class JobState(Wire):
    """What is kept of a job's past."""

    last_run_at_ms: int | None = None
    last_run_status: Literal["ok", "error", "skipped"] | None = None
    last_error: str | None = None
    last_duration_ms: int | None = None
    consecutive_errors: int = 0
    last_delivered: bool | None = None
    last_delivery_status: DeliveryState | None = None
    last_delivery_error: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job.

    Attributes:
        made_by: ``operator`` or the session whose agent asked for it.
        next_at: None when nothing comes.
    """

    job_id: str
    spec: JobSpec
    state: JobState
    next_at: datetime | None
    made_by: str
    created_at: datetime
    updated_at: datetime

    def as_wire(self, running_at: datetime | None = None) -> dict[str, Any]:
        """As clients see it."""
        state = self.state.model_dump(by_alias=True, exclude_none=True)
        if not self.state.consecutive_errors:
            del state["consecutiveErrors"]
        if self.state.last_run_status is not None:
            state["lastStatus"] = self.state.last_run_status
        spec = self.spec.model_dump(by_alias=True, exclude_none=True)
        head = {"id": self.job_id, "createdAtMs": unix_ms(self.created_at), "updatedAtMs": unix_ms(self.updated_at)}
        next_ms = unix_ms(self.next_at) if self.next_at else None
        times = compact(nextRunAtMs=next_ms, runningAtMs=unix_ms(running_at) if running_at else None)
        return {**head, **spec, "state": times | state}


@dataclass(frozen=True, slots=True)
class CronRun:
    """One occurrence.

    Attributes:
        run_id: the same for the same occurrence, whoever finds it.
        spec: the job as it was when this was claimed.
        occurrence_at: the moment it is for.
        start_at: not before; later than the claim when it waits for a heartbeat.
        reason: why it was begun or left out.
        session_key: where it runs.
    """

    run_id: str
    job_id: str
    spec: JobSpec
    occurrence_at: datetime
    claimed_at: datetime
    start_at: datetime
    state: RunState
    reason: str
    by_hand: bool = False
    session_key: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    summary: str = ""
    error: str = ""
    delivery: DeliveryState = "not-requested"
    delivery_error: str = ""

    @property
    def duration_ms(self) -> int | None:
        """How long it took; None when it did not run."""
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0, unix_ms(self.ended_at) - unix_ms(self.started_at))

    def as_wire(self) -> dict[str, Any]:
        """An entry of the history."""
        return compact(
            ts=unix_ms(self.ended_at or self.claimed_at),
            jobId=self.job_id,
            jobName=self.spec.name,
            action="finished",
            runId=self.run_id,
            status=self.state,
            error=self.error or (self.reason if self.state == "skipped" else None),
            summary=self.summary or None,
            delivered=None if self.delivery == "not-requested" else self.delivery == "delivered",
            deliveryStatus=self.delivery,
            deliveryError=self.delivery_error or None,
            sessionKey=self.session_key or None,
            runAtMs=unix_ms(self.started_at or self.claimed_at),
            durationMs=self.duration_ms,
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes:
        summary: the answer; kept short.
    """

    state: Literal["ok", "error", "skipped"]
    summary: str = ""
    error: str = ""
    delivery: DeliveryState = "not-requested"
    delivery_error: str = ""

    def cut(self) -> Ended:
        """The same with texts short enough to keep."""
        return Ended(
            self.state,
            self.summary[:_SUMMARY_CHARS],
            self.error[:_SUMMARY_CHARS],
            self.delivery,
            self.delivery_error[:_SUMMARY_CHARS],
        )


ISOLATED = f"agent:{AGENT_ID}:cron:"
"""What the keys of jobs' own sessions begin with."""


def run_id_of(job_id: str, occurrence_at: datetime, *, by_hand: bool = False) -> str:
    """The id of an occurrence's run: the same whenever it is asked for."""
    return f"cron_{job_id}_{'hand' if by_hand else ''}{unix_ms(occurrence_at)}"


def session_of(job_id: str, spec: JobSpec) -> str:
    """Where a job's turns happen."""
    if spec.session_target == "main":
        return spec.session_key or MAIN_SESSION
    return f"{ISOLATED}{job_id}"
