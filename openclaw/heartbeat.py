"""A regular turn of the main session that looks at ``HEARTBEAT.md``; silent unless there is something to say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from openclaw.agent.policy import HeartbeatPolicy, clock_time
from openclaw.agent.workspace.standing import has_something_to_do
from openclaw.protocol.frames import compact
from openclaw.recipients import Recipients
from openclaw.runs import Runs
from openclaw.sessions import HEARTBEAT, MAIN_SESSION, SessionOrigin, Sessions
from shared.channels.outbox import Outbox
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.errors import Busy, GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

ACKNOWLEDGED: Final = "HEARTBEAT_OK"
_PROMPT: Final = (
    "[Heartbeat, not written by a person] Look at HEARTBEAT.md and do what it says; do not take up old matters by "
    "yourself. When nothing needs attention, answer HEARTBEAT_OK and nothing else."
)

Status = Literal["sent", "ok-empty", "ok-token", "skipped", "failed"]


@dataclass(frozen=True, slots=True)
class BeatFacts:
    """What is looked at before a beat.

    Attributes:
        now: aware.
        busy: the main session is at work.
        file: HEARTBEAT.md; None when it is not there.
    """

    now: datetime
    busy: bool
    file: str | None


@dataclass(frozen=True, slots=True)
class Beat:
    """What came of the last beat, as clients see it.

    Attributes:
        at_ms: Unix milliseconds.
        reason: why it was skipped or failed.
        preview: the beginning of what was said.
    """

    at_ms: int
    status: Status
    reason: str = ""
    preview: str = ""

    def as_json(self) -> dict[str, Any]:
        """As the protocol's event ``heartbeat`` has it."""
        return compact(ts=self.at_ms, status=self.status, reason=self.reason or None, preview=self.preview or None)


def decide_beat(facts: BeatFacts, policy: HeartbeatPolicy) -> str:
    """Why there is no beat now; empty when there is one."""
    here = facts.now.astimezone(ZoneInfo(policy.timezone)).time()
    begins, ends = clock_time(policy.active_from), clock_time(policy.active_to)
    is_active = begins <= here < ends if begins < ends else (here >= begins or here < ends)
    if not is_active:
        return f"outside the active hours {policy.active_from} to {policy.active_to}"
    if facts.busy:
        return "the main session is at work"
    if facts.file is None or not has_something_to_do(facts.file):
        return "HEARTBEAT.md asks for nothing"
    return ""


def worth_saying(text: str, ack_chars: int) -> str:
    """What is left of an answer to say: nothing when it holds the token and little beside it."""
    stripped = text.strip()
    told = stripped.strip("*_`# \n")
    if not told.startswith(ACKNOWLEDGED) and not told.rstrip(".!").endswith(ACKNOWLEDGED):
        return "" if stripped.startswith("NO_REPLY") else stripped
    rest = stripped.replace(ACKNOWLEDGED, "").strip("*_`#.! \n")
    return "" if len(rest) <= ack_chars else rest


class Heartbeat:
    """Beats.

    Args:
        read_file: HEARTBEAT.md as it is now; called in a thread.
        told: hears of every beat.
    """

    def __init__(
        self,
        policy: HeartbeatPolicy,
        runs: Runs,
        sessions: Sessions,
        outbox: Outbox,
        recipients: Recipients,
        read_file: Callable[[], str | None],
        clock: Clock = SYSTEM_CLOCK,
        *,
        told: Callable[[Beat], None] = lambda _beat: None,
    ) -> None:
        self._policy = policy
        self._runs = runs
        self._sessions = sessions
        self._outbox = outbox
        self._recipients = recipients
        self._read_file = read_file
        self._clock = clock
        self._told = told
        self._tasks = TaskPool("heartbeat")
        self._woken = asyncio.Event()
        self.enabled = policy.every_minutes > 0
        self.last: Beat | None = None

    def start(self) -> None:
        """Beat from now on; the first time after one interval."""
        if self._policy.every_minutes > 0:
            self._tasks.start(self._run(), name="beat")

    async def close(self) -> None:
        """Stop."""
        await self._tasks.close()

    def wake(self) -> None:
        """Beat now instead of at the next time."""
        self._woken.set()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._policy.every_minutes * 60):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()
            if self.enabled:
                await self.beat()

    async def beat(self) -> Beat:
        """Look once, whatever the time; what came of it is told and kept in `last`."""
        now = self._clock.now()
        file = await asyncio.to_thread(self._read_file)
        reason = decide_beat(BeatFacts(now, self._runs.is_busy(MAIN_SESSION), file), self._policy)
        try:
            beat = Beat(unix_ms(now), "skipped", reason) if reason else await self._look(now)
        except Busy:
            beat = Beat(unix_ms(now), "skipped", "OpenClaw is stopping")
        except GatewayError as error:
            beat = Beat(unix_ms(now), "failed", error.detail)
        self.last = beat
        self._told(beat)
        return beat

    async def _look(self, now: datetime) -> Beat:
        run_id = f"beat_{now:%Y%m%dT%H%M%S}"
        outcome = await self._runs.ask(MAIN_SESSION, _PROMPT, run_id, source=HEARTBEAT, origin=self._origin())
        if outcome.state != "ok":
            _log.warning("heartbeat.failed", run_id=run_id, reason=outcome.error or outcome.state)
            return Beat(unix_ms(now), "failed", outcome.error or outcome.state)
        said = worth_saying(outcome.text, self._policy.ack_chars)
        if not said:
            return Beat(unix_ms(now), "ok-token" if outcome.text.strip() else "ok-empty")
        row = self._sessions.get(MAIN_SESSION)
        if self._policy.target == "last" and row is not None and row.last_to:
            await self._outbox.post(run_id, await self._recipients.chat(row.last_to), said)
        return Beat(unix_ms(now), "sent", preview=said[:200])

    def _origin(self) -> SessionOrigin:
        row = self._sessions.get(MAIN_SESSION)
        return SessionOrigin(channel=row.channel) if row else SessionOrigin()
