"""Runs: a message is accepted once, waits for its session's turn, is answered once, and every step is told.

A session has one active run; what comes meanwhile waits in order. A run is written down before it is accepted, its
words are in the transcript before anybody sees the final answer, and what a crash cut is taken up at the next start.
"""

from __future__ import annotations

import asyncio
import unicodedata
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, Literal

from openclaw import store
from openclaw.agent.compaction import Summary
from openclaw.agent.loop import AgentLoop, Answer, RunEvents
from openclaw.agent.models import NoModel
from openclaw.agent.prompt import PromptFacts, build_instructions
from openclaw.agent.tools import ToolContext, ToolResult
from openclaw.agent.turns import holds_outside, turns_of
from openclaw.protocol import events
from openclaw.protocol.frames import compact
from openclaw.sessions import SessionOrigin, Sessions
from openclaw.store import RunRow, SessionRow
from openclaw.transcript import COMPACTION, Entry, Transcripts, text_message
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.errors import Busy, GatewayError, Invalid
from shared.ids import new_id
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.providers import ToolCall
from shared.storage import Database

_log = get_logger(__name__)

WEBCHAT: Final = "webchat"
DELTA_INTERVAL_S: Final = 0.15
QUEUE_CAP: Final = 20
_HISTORY_ENTRIES: Final = 1000
_KEEP_RUNS: Final = timedelta(days=7)

StopReason = Literal["rpc", "stop", "timeout"]
Emit = Callable[[str, dict[str, Any]], None]
OnText = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        text: the answer, or what there was of it.
        error: what went wrong, in words for a person; empty unless the state is ``error``.
        retryable: trying again later may help.
    """

    state: Literal["ok", "error", "aborted"]
    text: str = ""
    error: str = ""
    retryable: bool = False


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


@dataclass(eq=False)
class _Run:
    row: RunRow
    origin: SessionOrigin | None
    done: asyncio.Future[Outcome]
    on_text: OnText | None = None
    tool_target: str = ""
    text: str = ""
    seq: int = 0
    stop: StopReason | None = None
    work: asyncio.Task[Answer | Outcome] | None = None

    def is_stopped(self) -> bool:
        """Somebody asked for its end."""
        return self.stop is not None


@dataclass(eq=False)
class _Lane:
    waiting: deque[_Run] = field(default_factory=deque)
    active: _Run | None = None


class Runs:
    """Every run of the agent, whoever asked for it.

    Args:
        emit: broadcasts an event to connected clients.
        emit_tool: sends a tool event to one connection, by its id.
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
        workspace: Callable[[], dict[str, str]] = dict,
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
        self._lanes: dict[str, _Lane] = {}
        self._by_id: dict[str, _Run] = {}
        self._tasks = TaskPool("runs")
        self._slots = asyncio.Semaphore(policy.max_concurrent)
        self._stopping = False

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

    def _run(self, row: RunRow, origin: SessionOrigin | None = None) -> _Run:
        return _Run(row, origin, asyncio.get_running_loop().create_future())

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
        if lane is not None and len(lane.waiting) >= QUEUE_CAP:
            raise Busy(f"{QUEUE_CAP} messages already wait for this session", retry_after_s=5)
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
    ) -> Outcome:
        """Run a message and wait for the outcome; a run id that was answered before gives that answer again."""
        self._refuse_when_stopping()
        now = self._clock.now()
        row = RunRow(run_id, key, key, source, text, "queued", now)
        known = await self._db.write(lambda c: store.accept_run(c, row, None))
        if known is not None:
            if known.state == "aborted":
                return Outcome("aborted")
            await self._db.write(lambda c: store.set_run(c, run_id, "queued"))
        run = self._run(row, origin)
        run.on_text = on_text
        self._enqueue(run)
        return await asyncio.shield(run.done)

    async def is_known(self, run_id: str) -> bool:
        """Whether a run of this id was accepted before."""
        return await self._db.read(lambda c: store.get_run(c, run_id)) is not None

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise Busy("OpenClaw is being restarted; try again in a moment", retry_after_s=5, code="runs.stopping")

    def _enqueue(self, run: _Run) -> None:
        self._by_id[run.row.run_id] = run
        lane = self._lanes.setdefault(run.row.session_key, _Lane())
        lane.waiting.append(run)
        if lane.active is None and len(lane.waiting) == 1:
            self._tasks.start(self._serve(run.row.session_key, lane), name="lane")

    async def _serve(self, key: str, lane: _Lane) -> None:
        while lane.waiting and not self._stopping:
            run = lane.active = lane.waiting.popleft()
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
            if not run.done.done():
                run.done.set_result(outcome)
        if not lane.waiting and self._lanes.get(key) is lane:
            del self._lanes[key]

    # --- executing -----------------------------------------------------------------

    async def _execute(self, run: _Run) -> Outcome:
        row = run.row
        session = await self._sessions.open(row.session_key, run.origin)
        await self._db.write(lambda c: store.set_run(c, row.run_id, "running"))
        written = await self._transcripts.of_run(session.session_id, row.run_id)
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
            )
            self._agent_event(run, "lifecycle", {"phase": "end", "startedAt": started, "endedAt": self._now_ms()})
            return await self._end_ok(run, session, result.message, result.text)
        if result.state == "aborted":
            return await self._end_aborted(run, session)
        self._agent_event(run, "lifecycle", {"phase": "error", "error": result.error, "endedAt": self._now_ms()})
        return await self._end_error(run, result)

    async def _generate_or_stop(self, run: _Run, session: SessionRow) -> Answer | Outcome:
        if run.is_stopped():
            return Outcome("aborted")
        run.work = self._tasks.start(self._generate(run, session), name="generate")
        try:
            return await run.work
        except asyncio.CancelledError:
            if not run.is_stopped():
                raise  # we ourselves are being stopped: the run stays open and is taken up at the next start
            return Outcome("aborted", run.text)
        finally:
            run.work.cancel()

    async def _generate(self, run: _Run, session: SessionRow) -> Answer | Outcome:
        entries = await self._transcripts.last(session.session_id, _HISTORY_ENTRIES)
        facts = PromptFacts(
            self._policy.agent_name,
            self._policy.instructions,
            run.origin.channel if run.origin else session.channel,
            session.chat_type,
            session.display_name,
        )
        instructions = build_instructions(facts, await asyncio.to_thread(self._workspace))
        teller = _Teller(self, run)
        chat = run.origin.chat if run.origin else ""
        outside = holds_outside(entries)
        context = ToolContext(run.row.run_id, run.row.session_key, chat, outside=outside)
        told = RunEvents(on_text=teller.text, on_tool=teller.tool)
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
                )
        except TimeoutError:
            run.stop = "timeout"
            return Outcome("aborted", run.text)
        except GatewayError as error:
            transient = error.code in {"model.unavailable", "model.overloaded", "model.server", "model.cut"}
            return Outcome("error", error=f"{error.detail} (run {run.row.run_id})", retryable=transient)

    async def _remember(self, run: _Run, session: SessionRow, summary: Summary) -> None:
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

    def _agent_event(self, run: _Run, stream: str, data: dict[str, Any]) -> dict[str, Any]:
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

    def _chat_event(self, run: _Run, state: str, **more: Any) -> None:  # noqa: ANN401 - free JSON
        run.seq += 1
        head = {"runId": run.row.run_id, "sessionKey": run.row.session_key, "seq": run.seq, "state": state}
        self._emit(events.CHAT, head | compact(**more))

    async def _end_ok(self, run: _Run, session: SessionRow, message: dict[str, Any], text: str) -> Outcome:
        await self._set(run, "ok")
        shown = {**text_message("assistant", text, self._clock.now()), "timestamp": message.get("timestamp")}
        self._chat_event(run, "final", message=shown if text.strip() else None)
        _log.info("run.ended", run_id=run.row.run_id, session=session.key, source=run.row.source, chars=len(text))
        return Outcome("ok", text)

    async def _end_error(self, run: _Run, outcome: Outcome) -> Outcome:
        await self._set(run, "error", outcome.error)
        self._chat_event(run, "error", errorMessage=outcome.error)
        _log.warning("run.ended", run_id=run.row.run_id, session=run.row.session_key, error=outcome.error)
        return outcome

    async def _end_aborted(self, run: _Run, session: SessionRow) -> Outcome:
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

    async def _set(self, run: _Run, state: store.RunState, error: str | None = None) -> None:
        now = self._clock.now()
        await self._db.write(lambda c: store.set_run(c, run.row.run_id, state, error=error, ended_at=now))

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
            run.stop = reason
            if run.work is not None:
                run.work.cancel()
        return [run.row.run_id for run in chosen]

    def is_busy(self, key: str) -> bool:
        """Whether a session is being answered or has messages that wait."""
        lane = self._lanes.get(key)
        return lane is not None and (lane.active is not None or bool(lane.waiting))

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

    def __init__(self, runs: Runs, run: _Run) -> None:
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
