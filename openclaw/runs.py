"""Runs: a message is accepted once, waits for its session's turn, is answered once, and every step is told.

A session has one active run; what comes meanwhile waits in order ([`queueing.py`](queueing.py)). A run is written down
before it is accepted, its words are in the transcript before anybody sees the final answer
([`answering.py`](answering.py)), and what a crash cut is taken up at the next start.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from openclaw import store
from openclaw.agent.loop import AgentLoop
from openclaw.agent.models import NoModel
from openclaw.agent.policy import QueueMode
from openclaw.agent.prompt import WorkspaceTexts
from openclaw.answering import Answering, RunPolicy, WorkspaceOf, final_of
from openclaw.lanes import WEBCHAT, OnText, OnTool, Outcome, Run, StopReason
from openclaw.queueing import Queueing
from openclaw.sessions import SessionOrigin, Sessions
from openclaw.store import RunRow
from openclaw.telling import Emit, EmitTool, Telling
from openclaw.transcript import Transcripts
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Busy, Invalid
from shared.ids import new_id
from shared.lifecycle.tasks import TaskPool
from shared.metrics.figures import Durations
from shared.obs.log import get_logger
from shared.storage import Database

__all__ = ["WEBCHAT", "Outcome", "RunPolicy", "Runs", "StopReason", "clean_message"]

_log = get_logger(__name__)

_KEEP_RUNS: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that ended, as it is written down.

    Attributes:
        text: the answer; empty when there is none, or its session began anew since.
        message: the same as the transcript has it.
    """

    row: RunRow
    text: str
    message: dict[str, Any]


class Runs:
    """Every run of the agent, whoever asked for it.

    Args:
        emit: broadcasts an event to connected clients.
        emit_tool: sends a tool event to one connection, by its id.
        workspace: what the workspace adds to the prompt of a session; called in a thread.
    """

    def __init__(
        self,
        db: Database,
        sessions: Sessions,
        transcripts: Transcripts,
        loop: AgentLoop,
        policy: RunPolicy,
        *,
        emit: Emit,
        emit_tool: EmitTool = lambda _target, _payload: None,
        workspace: WorkspaceOf = lambda _key: WorkspaceTexts(),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._db = db
        self._sessions = sessions
        self._transcripts = transcripts
        self.loop = loop
        self._clock = clock
        self._tell = Telling(emit, emit_tool, clock)
        self._tasks = TaskPool("runs")
        self._answering = Answering(
            db, sessions, transcripts, loop, policy, self._tell, workspace=workspace, tasks=self._tasks, clock=clock
        )
        self._queue = Queueing(db, sessions, transcripts, self._answering, tasks=self._tasks, clock=clock)
        self._stopping = False

    def apply(self, policy: RunPolicy) -> None:
        """Another policy for the runs that begin from now on; how many run at once stays until the next start."""
        self._answering.policy = policy

    @property
    def outcomes(self) -> Counter[str]:
        """How many runs ended how, since the start."""
        return self._queue.outcomes

    @property
    def took(self) -> Durations:
        """How long runs took from being accepted to their end."""
        return self._queue.took

    def queue_mode(self, key: str) -> QueueMode:
        """How a session treats words that come while its agent works."""
        return self._queue.mode(key)

    # --- accepting -----------------------------------------------------------------

    async def recover(self) -> int:
        """Take up what the last process accepted and did not finish; call once, after everything is connected."""
        oldest = self._clock.now() - _KEEP_RUNS
        await self._db.write(lambda c: store.prune_runs(c, oldest))
        rows = await self._db.read(lambda c: store.open_runs(c, WEBCHAT))
        for row in rows:
            self._queue.enqueue(self._run(row))
        if rows:
            _log.info("runs.recovered", count=len(rows))
        return len(rows)

    def _run(self, row: RunRow, origin: SessionOrigin | None = None) -> Run:
        return Run(row, origin, asyncio.get_running_loop().create_future())

    async def submit(
        self,
        key: str,
        asked_key: str,
        text: str,
        run_id: str,
        *,
        tool_target: str = "",
        timeout_s: float | None = None,
    ) -> str:
        """Accept a message from a client; returns ``started``, ``in_flight`` or ``ok`` (it was answered before).

        A message for a busy session waits: its own run ends at once without text, and a new run carries it out. A
        `timeout_s` shorter than the policy's counts for this run.

        Raises:
            Busy: too many messages wait for this session, or we are stopping.
            NoModel: this very message was answered with an error before.
        """
        if run_id in self._queue.by_id:
            return "in_flight"
        self._refuse_when_stopping()
        is_busy = self.is_busy(key)
        await self._queue.admit(key)
        now = self._clock.now()
        row = RunRow(run_id, key, asked_key, WEBCHAT, text, "queued", now)
        follow = replace(row, run_id=new_id("run")) if is_busy else None
        if follow is not None:
            row = replace(row, state="continued", continued_as=follow.run_id, ended_at=now)
        run = self._run(follow or row)
        run.tool_target, run.timeout_s = tool_target, timeout_s
        self._queue.by_id[run_id] = run  # before the first await, so that a key sent twice at once starts one run
        try:
            known = await self._db.write(lambda c: store.accept_run(c, row, follow))
        finally:
            del self._queue.by_id[run_id]
        if known is not None and known.state == "error":
            raise NoModel(known.error or "the run failed")
        if known is not None:
            return "in_flight" if known.state in store.OPEN_STATES else "ok"
        if follow is not None:
            self._tell.continued(run_id, key)
        self._queue.enqueue(run)
        return "started"

    async def ask(
        self,
        key: str,
        text: str,
        run_id: str,
        *,
        source: str,
        origin: SessionOrigin,
        on_text: OnText | None = None,
        on_tool: OnTool | None = None,
        asked_key: str = "",
    ) -> Outcome:
        """Run a message and wait for the outcome; a run id that was answered before gives that answer again.

        `asked_key` is kept with the run for whoever takes it up after a restart; the session's key when left out.
        """
        self._refuse_when_stopping()
        now = self._clock.now()
        row = RunRow(run_id, key, asked_key or key, source, text, "queued", now)
        known = await self._db.write(lambda c: store.accept_run(c, row, None))
        if known is not None:
            if known.state == "aborted":
                return Outcome("aborted")
            if known.state == "continued":
                return Outcome("ok", joined=True)  # another run's answer is also this one's
            row = replace(row, text=known.text)
            await self._db.write(lambda c: store.set_run(c, run_id, "queued"))
        run = self._run(row, origin)
        run.on_text, run.on_tool = on_text, on_tool
        self._queue.enqueue(run)
        return await asyncio.shield(run.done)

    async def is_known(self, run_id: str) -> bool:
        """Whether a run of this id was accepted before."""
        return await self._db.read(lambda c: store.get_run(c, run_id)) is not None

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise Busy("OpenClaw is being restarted; try again in a moment", retry_after_s=5, code="runs.stopping")

    # --- waiting -------------------------------------------------------------------

    async def wait(self, run_id: str, timeout_s: float | None = None) -> Finished | None:
        """Wait until a run has ended; None when it has not within the time, or nobody knows it.

        A run that was continued under another id ends with that one.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    run = self._queue.by_id.get(run_id)
                    if run is not None:
                        await asyncio.wait([run.done])
                    row = await self._db.read(lambda c: store.get_run(c, run_id))  # noqa: B023 - read before the next turn
                    if row is None:
                        return None
                    if row.continued_as is None:
                        break
                    run_id = row.continued_as
        except TimeoutError:
            return None
        if row.ended_at is None:
            return None
        session = self._sessions.get(row.session_key)
        written = await self._transcripts.of_run(session.session_id, run_id) if session else []
        answer = final_of(written)
        return Finished(row, answer.text if answer else "", answer.message if answer else {})

    async def compact(self, key: str) -> str:
        """Replace the beginning of a session's conversation by a summary now; returns what a person is told."""
        session = self._sessions.get(key)
        if session is None:
            return "This conversation is new: there is nothing to sum up."
        if self.is_busy(key):
            return "I am at work here: say it again when I am done."
        row = RunRow(new_id("run"), key, key, "command", "", "ok", self._clock.now())
        summary = await self._answering.compact(self._run(row), session)
        if summary is None:
            return "This conversation is short: there is nothing to sum up."
        return f"Summed up about {summary.tokens_before:,} tokens; the newest words stay as they are."

    # --- stopping ------------------------------------------------------------------

    def owner_key(self, run_id: str) -> str | None:
        """The session key a run in progress was asked with."""
        run = self._queue.by_id.get(run_id)
        return run.row.asked_key if run else None

    async def abort(self, key: str, run_id: str | None, reason: StopReason) -> list[str]:
        """Stop one run of a session, or all of them; returns the ids of those stopped."""
        return self._queue.abort(key, run_id, reason)

    def is_busy(self, key: str) -> bool:
        """Whether a session's agent is at work, or something waits for it."""
        return self._queue.is_busy(key)

    async def ended(self, run_id: str) -> None:
        """Wait until a run is over; at once when it is none of those under way."""
        if run := self._queue.by_id.get(run_id):
            await asyncio.wait({run.done})

    @property
    def active_count(self) -> int:
        """Runs that were accepted and have not ended."""
        return len(self._queue.by_id)

    async def stop(self, drain_s: float) -> None:
        """Take nothing more, give running answers up to `drain_s` seconds, then cut them; they go on next time."""
        self._stopping = True
        self._queue.stop()
        await self._tasks.drain(drain_s)
        await self._tasks.close()
        for run in list(self._queue.by_id.values()):
            run.done.cancel()


def clean_message(text: str) -> str:
    """A message fit for a model: NFC, without control characters.

    Raises:
        Invalid: it holds a NUL.
    """
    if "\0" in text:
        raise Invalid("message must not contain null bytes", code="chat.nul")
    kept = "".join(c for c in text if c in "\t\n\r" or unicodedata.category(c) != "Cc")
    return unicodedata.normalize("NFC", kept)
