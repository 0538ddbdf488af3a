"""Runs: a message is accepted once, waits for its session's turn, is answered once, and every step is told.

A session has one active run; what comes meanwhile waits in order. A run is written down before it is accepted, its
words are in the transcript before anybody sees the final answer, and what a crash cut is taken up at the next start.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any, Final

from openclaw import store
from openclaw.agent.compaction import Summary
from openclaw.agent.loop import AgentLoop, Answer, RunEvents
from openclaw.agent.models import NoModel
from openclaw.agent.policy import QueuePolicy, SessionPolicy
from openclaw.agent.prompt import TOTAL_CHARS, PromptFacts, WorkspaceTexts, build_instructions
from openclaw.agent.tools import ToolContext, ToolResult
from openclaw.agent.turns import Turn, holds_outside, turns_of
from openclaw.lanes import (
    PEOPLE,
    STEERING,
    WEBCHAT,
    Lane,
    OnText,
    Outcome,
    Run,
    StopReason,
    decide_reset,
    first_words,
    together,
)
from openclaw.protocol import events
from openclaw.protocol.frames import compact
from openclaw.sessions import HEARTBEAT, SessionOrigin, Sessions, is_helper
from openclaw.store import RunRow, SessionRow
from openclaw.transcript import COMPACTION, Entry, Transcripts, text_message
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.errors import Busy, GatewayError, Invalid
from shared.ids import new_id
from shared.lifecycle.tasks import TaskPool
from shared.metrics.figures import Durations
from shared.obs.log import get_logger
from shared.providers import ToolCall
from shared.storage import Database

__all__ = ["WEBCHAT", "Outcome", "RunPolicy", "Runs", "StopReason", "clean_message"]

_log = get_logger(__name__)

DELTA_INTERVAL_S: Final = 0.15
_HISTORY_ENTRIES: Final = 1000
_KEEP_RUNS: Final = timedelta(days=7)
_TOOK_BOUNDS: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)

Emit = Callable[[str, dict[str, Any]], None]


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


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """The part of the policy that runs need."""

    agent_name: str
    instructions: str
    timeout_s: float
    max_concurrent: int
    history_chars: int
    workspace_chars: int = TOTAL_CHARS
    queue: QueuePolicy = field(default_factory=QueuePolicy)
    session: SessionPolicy = field(default_factory=SessionPolicy)


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
        emit_tool: Callable[[str, dict[str, Any]], None] = lambda _target, _payload: None,
        workspace: Callable[[str], WorkspaceTexts] = lambda _key: WorkspaceTexts(),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._db = db
        self._sessions = sessions
        self._transcripts = transcripts
        self.loop = loop
        self._policy = policy
        self._emit = emit
        self._emit_tool = emit_tool
        self._workspace = workspace
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._by_id: dict[str, Run] = {}
        self._tasks = TaskPool("runs")
        self._slots = asyncio.Semaphore(policy.max_concurrent)
        self._stopping = False
        self.outcomes: Counter[str] = Counter()
        self.took = Durations(_TOOK_BOUNDS)

    def apply(self, policy: RunPolicy) -> None:
        """Another policy for the runs that begin from now on; how many run at once stays until the next start."""
        self._policy = policy

    # --- accepting -----------------------------------------------------------------

    async def recover(self) -> int:
        """Take up what the last process accepted and did not finish; call once, after everything is connected."""
        oldest = self._clock.now() - _KEEP_RUNS
        await self._db.write(lambda c: store.prune_runs(c, oldest))
        rows = await self._db.read(lambda c: store.open_runs(c, WEBCHAT))
        for row in rows:
            self._enqueue(self._run(row))
        if rows:
            _log.info("runs.recovered", count=len(rows))
        return len(rows)

    def _run(self, row: RunRow, origin: SessionOrigin | None = None) -> Run:
        return Run(row, origin, asyncio.get_running_loop().create_future())

    async def submit(self, key: str, asked_key: str, text: str, run_id: str, *, tool_target: str = "") -> str:
        """Accept a message from a client; returns ``started``, ``in_flight`` or ``ok`` (it was answered before).

        A message for a busy session waits: its own run ends at once without text, and a new run carries it out.

        Raises:
            Busy: too many messages wait for this session, or we are stopping.
            NoModel: this very message was answered with an error before.
        """
        if run_id in self._by_id:
            return "in_flight"
        self._refuse_when_stopping()
        lane = self._lanes.get(key)
        is_busy = self.is_busy(key)
        if lane is not None and len(lane.waiting) >= self._policy.queue.cap:
            await self._make_room(lane)
        now = self._clock.now()
        row = RunRow(run_id, key, asked_key, WEBCHAT, text, "queued", now)
        follow = replace(row, run_id=new_id("run")) if is_busy else None
        if follow is not None:
            row = replace(row, state="continued", continued_as=follow.run_id, ended_at=now)
        run = self._run(follow or row)
        run.tool_target = tool_target
        self._by_id[run_id] = run  # before the first await, so that a key sent twice at once starts one run
        try:
            known = await self._db.write(lambda c: store.accept_run(c, row, follow))
        finally:
            del self._by_id[run_id]
        if known is not None and known.state == "error":
            raise NoModel(known.error or "the run failed")
        if known is not None:
            return "in_flight" if known.state in store.OPEN_STATES else "ok"
        if follow is not None:
            self._emit(events.CHAT, {"runId": run_id, "sessionKey": key, "seq": 1, "state": "final"})
        self._enqueue(run)
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
                return Outcome("ok")  # another run's answer is also this one's
            row = replace(row, text=known.text)
            await self._db.write(lambda c: store.set_run(c, run_id, "queued"))
        run = self._run(row, origin)
        run.on_text = on_text
        self._enqueue(run)
        return await asyncio.shield(run.done)

    async def is_known(self, run_id: str) -> bool:
        """Whether a run of this id was accepted before."""
        return await self._db.read(lambda c: store.get_run(c, run_id)) is not None

    async def _make_room(self, lane: Lane) -> None:
        """Let the oldest waiting message go, when policy says so; a line of it stays for the next turn.

        Raises:
            Busy: it does not, or nobody's words wait.
        """
        queue = self._policy.queue
        oldest = lane.oldest_of_people() if queue.drop != "new" else None
        if oldest is None:
            raise Busy(f"{queue.cap} messages already wait for this session", retry_after_s=5)
        lane.waiting.remove(oldest)
        if queue.drop == "summarize":
            lane.dropped.append(first_words(oldest.row.text))
        told = f"it was left out: more than {queue.cap} messages waited"
        self._settle(oldest, await self._end_error(oldest, Outcome("error", error=told)))

    def _settle(self, run: Run, outcome: Outcome) -> None:
        self._by_id.pop(run.row.run_id, None)
        if not run.done.done():
            run.done.set_result(outcome)
            self.outcomes[outcome.state] += 1
            self.took.observe((self._clock.now() - run.row.created_at).total_seconds(), outcome.state)

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise Busy("OpenClaw is being restarted; try again in a moment", retry_after_s=5, code="runs.stopping")

    def _enqueue(self, run: Run) -> None:
        self._by_id[run.row.run_id] = run
        lane = self._lanes.setdefault(run.row.session_key, Lane())
        lane.waiting.append(run)
        lane.arrived_at = asyncio.get_running_loop().time()
        if not lane.serving:
            lane.serving = True
            self._tasks.start(self._serve(run.row.session_key, lane), name="lane")
        elif lane.active is not None and self._policy.queue.mode == "interrupt" and run.goes_with(lane.active):
            self._stop_run(lane.active, "rpc")

    async def _serve(self, key: str, lane: Lane) -> None:
        while lane.waiting and not self._stopping:
            run = await self._next(lane)
            try:
                outcome = await self._execute(run)
            except asyncio.CancelledError:
                run.done.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - the lane must go on to the next message
                _log.exception("run.failed", run_id=run.row.run_id)
                outcome = Outcome("error", error=f"internal error ({type(error).__name__})")
                await self._end_error(run, outcome)
            finally:
                lane.active = None
                self._by_id.pop(run.row.run_id, None)
            self._settle(run, outcome)
            if lane.waiting and self._policy.queue.mode == "collect":
                await self._until_quiet(lane)
        lane.serving = False
        if not lane.waiting and self._lanes.get(key) is lane:
            del self._lanes[key]

    async def _until_quiet(self, lane: Lane) -> None:
        """Messages that had to wait are collected until nobody adds to them."""
        loop = asyncio.get_running_loop()
        queue = self._policy.queue
        while lane.waiting and lane.waiting[-1].row.source in PEOPLE and len(lane.waiting) < queue.cap:
            left = lane.arrived_at + queue.debounce_s - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(left)

    async def _next(self, lane: Lane) -> Run:
        """The run whose turn it is; collected messages are made one in the store before they are answered."""
        taken = lane.take_together() if self._policy.queue.mode == "collect" else [lane.waiting.popleft()]
        first, others = taken[0], taken[1:]
        stopped = [run for run in taken if run.is_stopped()]
        if stopped:  # stopped while it waited: its end is told by itself, the others keep their places
            lane.waiting.extendleft(run for run in reversed(taken) if run is not stopped[0])
            first, others = stopped[0], []
        lane.active = first
        if stopped:
            return first
        if not others and not lane.dropped:
            return first
        text = together([run.row.text for run in taken], lane.dropped)
        ids = [run.row.run_id for run in others]
        await self._db.write(lambda c: store.merge_runs(c, first.row.run_id, text, ids, self._clock.now()))
        first.row = replace(first.row, text=text)
        lane.dropped.clear()
        for run in others:
            self._settle(run, Outcome("ok"))
        return first

    async def _steering(self, run: Run, session: SessionRow) -> list[Turn]:
        """What people said since the run began, when policy wants the agent to hear it now."""
        mode = self._policy.queue.mode
        lane = self._lanes.get(run.row.session_key)
        if mode not in STEERING or lane is None:
            return []
        turns = []
        for said in [other for other in lane.waiting if other.goes_with(run) and not other.is_stopped()]:
            row = said.row
            written = await self._transcripts.of_run(session.session_id, row.run_id)
            if not written:
                message = text_message("user", row.text, self._clock.now())
                entry = await self._transcripts.append(session.session_id, row.run_id, message)
                turns.append(Turn("user", row.text, entry_id=entry.id))
            if mode != "steer-backlog" and said in lane.waiting:
                lane.waiting.remove(said)
                merged = partial(store.merge_runs, run_id=run.row.run_id, text="", others=[row.run_id])
                await self._db.write(partial(merged, now=self._clock.now()))
                self._settle(said, Outcome("ok"))
        return turns

    # --- executing -----------------------------------------------------------------

    async def _execute(self, run: Run) -> Outcome:
        row = run.row
        session = await self._sessions.open(row.session_key, run.origin)
        # Not waited for: after a crash the run is open either way, and what it wrote is in the transcript.
        await self._db.write(lambda c: store.set_run(c, row.run_id, "running"), sync=False)
        written = await self._transcripts.of_run(session.session_id, row.run_id)
        if not written and row.source in PEOPLE:
            session = await self._fresh(session)
        if (answered := _final(written)) is not None:
            return await self._end_ok(run, session, answered.message, answered.text)
        if not any(entry.role == "user" for entry in written):
            message = text_message("user", row.text, self._clock.now())
            await self._transcripts.append(session.session_id, row.run_id, message)
        started = unix_ms(self._clock.now())
        self._agent_event(run, "lifecycle", {"phase": "start", "startedAt": started})
        async with self._slots:
            result = await self._generate_or_stop(run, session)
        if isinstance(result, Answer):
            await self._transcripts.append(session.session_id, row.run_id, result.message)
            await self._sessions.used(
                row.session_key,
                origin=run.origin,
                input_tokens=result.usage.input_tokens,
                output_tokens=result.usage.output_tokens,
                cached_tokens=result.usage.cached_tokens,
                context_tokens=result.context_tokens,
                model=result.model,
                aborted=False,
                touch=row.source != HEARTBEAT,
            )
            self._agent_event(run, "lifecycle", {"phase": "end", "startedAt": started, "endedAt": self._now_ms()})
            return await self._end_ok(run, session, result.message, result.text)
        if result.state == "aborted":
            return await self._end_aborted(run, session)
        self._agent_event(run, "lifecycle", {"phase": "error", "error": result.error, "endedAt": self._now_ms()})
        return await self._end_error(run, result)

    async def _fresh(self, session: SessionRow) -> SessionRow:
        """The session, begun anew when policy says that the old conversation is over."""
        reason = decide_reset(session, self._policy.session, self._clock.now())
        if not reason:
            return session
        row, left_behind = await self._sessions.reset(session.key)
        if left_behind is not None:
            await self._transcripts.archive(left_behind)
        _log.info("session.reset", session=session.key, reason=reason)
        return row

    async def _generate_or_stop(self, run: Run, session: SessionRow) -> Answer | Outcome:
        if run.is_stopped():
            return Outcome("aborted")
        work = self._tasks.start(self._generate(run, session), name="generate")
        run.work = work
        try:
            return await work
        except asyncio.CancelledError:
            if not run.is_stopped():
                raise  # we ourselves are being stopped: the run stays open and is taken up at the next start
            return Outcome("aborted", run.text)
        finally:
            work.cancel()

    async def _generate(self, run: Run, session: SessionRow) -> Answer | Outcome:
        entries = await self._transcripts.last(session.session_id, _HISTORY_ENTRIES)
        facts = PromptFacts(
            self._policy.agent_name,
            self._policy.instructions,
            run.origin.channel if run.origin else session.channel,
            session.chat_type,
            session.display_name,
            is_helper(session.key),
        )
        texts = await asyncio.to_thread(self._workspace, session.key)
        instructions = build_instructions(facts, texts, total_chars=self._policy.workspace_chars)
        teller = _Teller(self, run)
        chat = run.origin.chat if run.origin else ""
        outside = holds_outside(entries)
        context = ToolContext(run.row.run_id, run.row.session_key, chat, outside=outside)
        told = RunEvents(on_text=teller.text, on_tool=teller.tool)
        told.steering = lambda: self._steering(run, session)
        told.remember = lambda summary: self._remember(run, session, summary)
        try:
            async with asyncio.timeout(self._policy.timeout_s):
                return await self.loop.run(
                    instructions,
                    turns_of(entries, max_chars=self._policy.history_chars),
                    context=context,
                    session_id=session.session_id,
                    record=lambda message: self._transcripts.append(session.session_id, run.row.run_id, message),
                    events=told,
                    model=str(session.settings.get("model", "")),
                )
        except TimeoutError:
            run.stop = "timeout"
            return Outcome("aborted", run.text)
        except GatewayError as error:
            transient = error.code in {"model.unavailable", "model.overloaded", "model.server", "model.cut"}
            return Outcome("error", error=f"{error.detail} (run {run.row.run_id})", retryable=transient)

    async def _remember(self, run: Run, session: SessionRow, summary: Summary) -> None:
        """Make a summary part of the transcript: later turns begin with it."""
        entries = await self._transcripts.last(session.session_id, _HISTORY_ENTRIES)
        message = text_message(
            COMPACTION,
            summary.text,
            self._clock.now(),
            firstKeptEntryId=summary.first_kept,
            tokensBefore=summary.tokens_before,
            outside=holds_outside(entries),
        )
        await self._transcripts.append(session.session_id, run.row.run_id, message)
        self._agent_event(run, "compaction", {"phase": "end", "tokensBefore": summary.tokens_before})

    # --- telling -------------------------------------------------------------------

    def _now_ms(self) -> int:
        return unix_ms(self._clock.now())

    def _agent_event(self, run: Run, stream: str, data: dict[str, Any]) -> dict[str, Any]:
        run.seq += 1
        payload = {
            "runId": run.row.run_id,
            "seq": run.seq,
            "stream": stream,
            "ts": self._now_ms(),
            "sessionKey": run.row.session_key,
            "data": data,
        }
        if stream == "tool":
            self._emit_tool(run.tool_target, payload)
        else:
            self._emit(events.AGENT, payload)
        return payload

    def _chat_event(self, run: Run, state: str, **more: Any) -> None:  # noqa: ANN401 - free JSON
        run.seq += 1
        head = {"runId": run.row.run_id, "sessionKey": run.row.session_key, "seq": run.seq, "state": state}
        self._emit(events.CHAT, head | compact(**more))

    async def _end_ok(self, run: Run, session: SessionRow, message: dict[str, Any], text: str) -> Outcome:
        await self._set(run, "ok")
        shown = {**text_message("assistant", text, self._clock.now()), "timestamp": message.get("timestamp")}
        self._chat_event(run, "final", message=shown if text.strip() else None)
        _log.info("run.ended", run_id=run.row.run_id, session=session.key, source=run.row.source, chars=len(text))
        return Outcome("ok", text)

    async def _end_error(self, run: Run, outcome: Outcome) -> Outcome:
        await self._set(run, "error", outcome.error)
        self._chat_event(run, "error", errorMessage=outcome.error)
        _log.warning("run.ended", run_id=run.row.run_id, session=run.row.session_key, error=outcome.error)
        return outcome

    async def _end_aborted(self, run: Run, session: SessionRow) -> Outcome:
        message = None
        if run.text:
            message = text_message("assistant", run.text, self._clock.now())
            stored = {**message, "stopReason": "aborted"}
            await self._transcripts.append(session.session_id, run.row.run_id, stored)
        await self._sessions.used(run.row.session_key, aborted=True)
        await self._set(run, "aborted")
        self._agent_event(run, "lifecycle", {"phase": "end", "endedAt": self._now_ms(), "aborted": True})
        self._chat_event(run, "aborted", message=message, stopReason=run.stop)
        _log.info("run.aborted", run_id=run.row.run_id, session=run.row.session_key, reason=run.stop)
        return Outcome("aborted", run.text)

    async def _set(self, run: Run, state: store.RunState, error: str | None = None) -> None:
        now = self._clock.now()
        # An answer is in the transcript by now: a run that the disk still holds as open is ended with it.
        sync = state != "ok"
        await self._db.write(lambda c: store.set_run(c, run.row.run_id, state, error=error, ended_at=now), sync=sync)

    # --- waiting -------------------------------------------------------------------

    async def wait(self, run_id: str, timeout_s: float | None = None) -> Finished | None:
        """Wait until a run has ended; None when it has not within the time, or nobody knows it.

        A run that was continued under another id ends with that one.
        """
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    run = self._by_id.get(run_id)
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
        answer = _final(written)
        return Finished(row, answer.text if answer else "", answer.message if answer else {})

    # --- stopping ------------------------------------------------------------------

    def owner_key(self, run_id: str) -> str | None:
        """The session key a run in progress was asked with."""
        run = self._by_id.get(run_id)
        return run.row.asked_key if run else None

    async def abort(self, key: str, run_id: str | None, reason: StopReason) -> list[str]:
        """Stop one run of a session, or all of them; returns the ids of those stopped."""
        lane = self._lanes.get(key)
        if lane is None:
            return []
        active = [lane.active] if lane.active else []
        chosen = [run for run in (*active, *lane.waiting) if run_id in (None, run.row.run_id)]
        for run in chosen:
            self._stop_run(run, reason)
        return [run.row.run_id for run in chosen]

    @staticmethod
    def _stop_run(run: Run, reason: StopReason) -> None:
        run.stop = reason
        if run.work is not None:
            run.work.cancel()

    def is_busy(self, key: str) -> bool:
        """Whether a session's agent is at work, or something waits for it."""
        lane = self._lanes.get(key)
        return lane is not None and lane.serving

    async def ended(self, run_id: str) -> None:
        """Wait until a run is over; at once when it is none of those under way."""
        if run := self._by_id.get(run_id):
            await asyncio.wait({run.done})

    @property
    def active_count(self) -> int:
        """Runs that were accepted and have not ended."""
        return len(self._by_id)

    async def stop(self, drain_s: float) -> None:
        """Take nothing more, give running answers up to `drain_s` seconds, then cut them; they go on next time."""
        self._stopping = True
        await self._tasks.drain(drain_s)
        await self._tasks.close()
        for run in list(self._by_id.values()):
            run.done.cancel()


class _Teller:
    """Turns what the loop says into events: cumulative text, at most one event each 150 ms."""

    def __init__(self, runs: Runs, run: Run) -> None:
        self._runs = runs
        self._run = run
        self._told = ""
        self._told_at = float("-inf")

    def text(self, text: str) -> None:
        self._run.text = text
        if self._run.on_text is not None:
            self._run.on_text(text)
        now = self._runs._clock.monotonic()  # noqa: SLF001 - one module, two classes
        if now - self._told_at < DELTA_INTERVAL_S:
            return
        delta = text.removeprefix(self._told)
        self._told, self._told_at = text, now
        self._runs._agent_event(self._run, "assistant", {"text": text, "delta": delta})  # noqa: SLF001
        message = text_message("assistant", text, self._runs._clock.now())  # noqa: SLF001
        self._runs._chat_event(self._run, "delta", message=message)  # noqa: SLF001

    def tool(self, call: ToolCall, result: ToolResult | None) -> None:
        phase = "start" if result is None else "result"
        data: dict[str, Any] = {"phase": phase, "name": call.name, "toolCallId": call.id}
        if result is not None:
            data["isError"] = result.is_error
        self._runs._agent_event(self._run, "tool", data)  # noqa: SLF001


def _final(written: Sequence[Entry]) -> Entry | None:
    """The answer of a run that was written down before a crash cut it off."""
    for entry in reversed(written):
        if entry.role == "assistant" and not any(block.get("type") == "toolCall" for block in entry.message["content"]):
            return entry
    return None


def clean_message(text: str) -> str:
    """A message fit for a model: NFC, without control characters.

    Raises:
        Invalid: it holds a NUL.
    """
    if "\0" in text:
        raise Invalid("message must not contain null bytes", code="chat.nul")
    kept = "".join(c for c in text if c in "\t\n\r" or unicodedata.category(c) != "Cc")
    return unicodedata.normalize("NFC", kept)
