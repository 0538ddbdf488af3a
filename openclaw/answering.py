"""One run from its beginning to its end: session, prompt, agent, transcript, and how it is written down."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from openclaw import store
from openclaw.agent.compaction import Summary
from openclaw.agent.loop import AgentLoop, Answer, RunEvents
from openclaw.agent.memory.flush import ASKED, MARK, has_flushed, is_nearly_full
from openclaw.agent.policy import QueuePolicy, SessionPolicy
from openclaw.agent.prompt import TOTAL_CHARS, PromptFacts, WorkspaceTexts, build_instructions
from openclaw.agent.tools import ToolContext
from openclaw.agent.turns import Turn, holds_outside, turns_of
from openclaw.lanes import PEOPLE, Outcome, Run, decide_reset
from openclaw.sessions import HEARTBEAT, Sessions, is_helper, is_private
from openclaw.store import SessionRow
from openclaw.telling import Telling
from openclaw.transcript import COMPACTION, Entry, Transcripts, text_message
from shared.clock import Clock, unix_ms
from shared.errors import GatewayError
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger
from shared.storage import Database

_log = get_logger(__name__)

HISTORY_ENTRIES: Final = 1000
_FLUSH_S: Final = 120.0

WorkspaceOf = Callable[[str], WorkspaceTexts]
Steering = Callable[[Run, SessionRow], Awaitable[Sequence[Turn]]]


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


async def _nothing(_run: Run, _session: SessionRow) -> Sequence[Turn]:
    return ()


class Answering:
    """Carries out runs, as many at once as policy says.

    Args:
        workspace: what the workspace adds to the prompt of a session; called in a thread.
        tasks: where the work of a run goes on.

    Attributes:
        policy: for the runs that begin from now on.
        steering: what people said while a run goes on, for its agent to hear.
    """

    def __init__(
        self,
        db: Database,
        sessions: Sessions,
        transcripts: Transcripts,
        loop: AgentLoop,
        policy: RunPolicy,
        tell: Telling,
        *,
        workspace: WorkspaceOf,
        tasks: TaskPool,
        clock: Clock,
    ) -> None:
        self._db = db
        self._sessions = sessions
        self._transcripts = transcripts
        self._loop = loop
        self._tell = tell
        self._workspace = workspace
        self._tasks = tasks
        self._clock = clock
        self._slots = asyncio.Semaphore(policy.max_concurrent)
        self.policy = policy
        self.steering: Steering = _nothing

    async def execute(self, run: Run) -> Outcome:
        """Open its session, ask the agent, write down what came of it."""
        row = run.row
        session = await self._sessions.open(row.session_key, run.origin)
        # Not waited for: after a crash the run is open either way, and what it wrote is in the transcript.
        await self._db.write(lambda c: store.set_run(c, row.run_id, "running"), sync=False)
        written = await self._transcripts.of_run(session.session_id, row.run_id)
        if not written and row.source in PEOPLE:
            session = await self._fresh(session)
        if (answered := final_of(written)) is not None:
            return await self._end_ok(run, session, answered.message, answered.text)
        if not any(entry.role == "user" for entry in written):
            await self._note_what_matters(run, session)
            message = text_message("user", row.text, self._clock.now())
            await self._transcripts.append(session.session_id, row.run_id, message)
        started = unix_ms(self._clock.now())
        self._tell.agent(run, "lifecycle", {"phase": "start", "startedAt": started})
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
            self._tell.agent(run, "lifecycle", {"phase": "end", "startedAt": started, "endedAt": self._tell.now_ms})
            return await self._end_ok(run, session, result.message, result.text)
        if result.state == "aborted":
            return await self._end_aborted(run, session)
        self._tell.agent(run, "lifecycle", {"phase": "error", "error": result.error, "endedAt": self._tell.now_ms})
        return await self.end_error(run, result)

    async def _note_what_matters(self, run: Run, session: SessionRow) -> None:
        """Before a conversation of the owner's is shortened: a silent turn under an id of its own. It may fail."""
        compactor = self._loop.compactor
        if compactor is None or not compactor.flushes_memory or not is_private(session.key):
            return
        if not is_nearly_full(session.context_tokens, compactor.room):
            return
        can_write = any(spec.name == "write" for spec in self._loop.tools.specs(session.key))
        entries = await self._transcripts.last(session.session_id, HISTORY_ENTRIES)
        if not can_write or has_flushed(entries):
            return
        work = self._tasks.start(self._flush(run, session), name="memory_flush", watched=True)
        run.work = work
        try:
            await work
        except asyncio.CancelledError:
            if not run.is_stopped():
                raise
        except (GatewayError, TimeoutError) as error:
            _log.warning("memory.flush_failed", session=session.key, reason=str(error) or "too slow")
        finally:
            work.cancel()

    async def _flush(self, run: Run, session: SessionRow) -> None:
        run_id = f"{run.row.run_id}_flush"
        now = self._clock.now()
        asked = text_message("user", ASKED.format(day=now.date().isoformat()), now, **{MARK: True})

        async def record(message: dict[str, Any]) -> Entry:
            return await self._transcripts.append(session.session_id, run_id, message | {MARK: True})

        await record(asked)
        entries = await self._transcripts.last(session.session_id, HISTORY_ENTRIES)
        context = ToolContext(run_id, session.key, "", outside=holds_outside(entries))
        async with self._slots, asyncio.timeout(_FLUSH_S):
            answer = await self._loop.run(
                await self._instructions(run, session),
                turns_of(entries, max_chars=self.policy.history_chars),
                context=context,
                session_id=session.session_id,
                record=record,
                events=RunEvents(remember=lambda summary: self._remember(run, session, summary)),
                model=str(session.settings.get("model", "")),
            )
        await record(answer.message)
        used = answer.usage
        await self._sessions.used(
            session.key,
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            cached_tokens=used.cached_tokens,
            touch=False,
        )
        _log.info("memory.flushed", session=session.key, run_id=run_id)

    async def _fresh(self, session: SessionRow) -> SessionRow:
        """The session, begun anew when policy says that the old conversation is over."""
        reason = decide_reset(session, self.policy.session, self._clock.now())
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
        entries = await self._transcripts.last(session.session_id, HISTORY_ENTRIES)
        instructions = await self._instructions(run, session)
        teller = self._tell.teller(run)
        chat = run.origin.chat if run.origin else ""
        outside = holds_outside(entries)
        context = ToolContext(run.row.run_id, run.row.session_key, chat, outside=outside)
        told = RunEvents(on_text=teller.text, on_tool=teller.tool)
        told.steering = lambda: self.steering(run, session)
        told.remember = lambda summary: self._remember(run, session, summary)
        try:
            limit_s = self.policy.timeout_s if run.timeout_s is None else min(run.timeout_s, self.policy.timeout_s)
            async with asyncio.timeout(limit_s):
                return await self._loop.run(
                    instructions,
                    turns_of(entries, max_chars=self.policy.history_chars),
                    context=context,
                    session_id=session.session_id,
                    record=lambda message: self._transcripts.append(session.session_id, run.row.run_id, message),
                    events=told,
                    model=str(session.settings.get("model", "")),
                    effort=str(session.settings.get("thinkingLevel", "")),
                )
        except TimeoutError:
            run.stop = "timeout"
            return Outcome("aborted", run.text)
        except GatewayError as error:
            transient = error.code in {"model.unavailable", "model.overloaded", "model.server", "model.cut"}
            return Outcome("error", error=f"{error.detail} (run {run.row.run_id})", retryable=transient)

    async def compact(self, run: Run, session: SessionRow) -> Summary | None:
        """Replace the beginning of a conversation by a summary; None when it is short already.

        Without a model that answers the summary is a plain note.
        """
        if self._loop.compactor is None:
            return None
        entries = await self._transcripts.last(session.session_id, HISTORY_ENTRIES)
        turns = turns_of(entries, max_chars=self.policy.history_chars)
        run_id = run.row.run_id
        summary = await self._loop.compactor.condense(turns, run_id=run_id, session_id=session.session_id)
        if summary is not None:
            await self._remember(run, session, summary)
        return summary

    async def _instructions(self, run: Run, session: SessionRow) -> str:
        facts = PromptFacts(
            self.policy.agent_name,
            self.policy.instructions,
            run.origin.channel if run.origin else session.channel,
            session.chat_type,
            session.display_name,
            is_helper(session.key),
        )
        texts = await asyncio.to_thread(self._workspace, session.key)
        return build_instructions(facts, texts, total_chars=self.policy.workspace_chars)

    async def _remember(self, run: Run, session: SessionRow, summary: Summary) -> None:
        """Make a summary part of the transcript: later turns begin with it."""
        entries = await self._transcripts.last(session.session_id, HISTORY_ENTRIES)
        message = text_message(
            COMPACTION,
            summary.text,
            self._clock.now(),
            firstKeptEntryId=summary.first_kept,
            tokensBefore=summary.tokens_before,
            outside=holds_outside(entries),
        )
        await self._transcripts.append(session.session_id, run.row.run_id, message)
        self._tell.agent(run, "compaction", {"phase": "end", "tokensBefore": summary.tokens_before})

    async def _end_ok(self, run: Run, session: SessionRow, message: dict[str, Any], text: str) -> Outcome:
        await self._set(run, "ok")
        shown = {**text_message("assistant", text, self._clock.now()), "timestamp": message.get("timestamp")}
        self._tell.chat(run, "final", message=shown if text.strip() else None)
        _log.info("run.ended", run_id=run.row.run_id, session=session.key, source=run.row.source, chars=len(text))
        return Outcome("ok", text)

    async def end_error(self, run: Run, outcome: Outcome) -> Outcome:
        """Write down that a run failed."""
        await self._set(run, "error", outcome.error)
        self._tell.chat(run, "error", errorMessage=outcome.error)
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
        self._tell.agent(run, "lifecycle", {"phase": "end", "endedAt": self._tell.now_ms, "aborted": True})
        self._tell.chat(run, "aborted", message=message, stopReason=run.stop)
        _log.info("run.aborted", run_id=run.row.run_id, session=run.row.session_key, reason=run.stop)
        return Outcome("aborted", run.text)

    async def _set(self, run: Run, state: store.RunState, error: str | None = None) -> None:
        now = self._clock.now()
        # An answer is in the transcript by now: a run that the disk still holds as open is ended with it.
        sync = state != "ok"
        await self._db.write(lambda c: store.set_run(c, run.row.run_id, state, error=error, ended_at=now), sync=sync)


def final_of(written: Sequence[Entry]) -> Entry | None:
    """The answer of a run that was written down before a crash cut it off."""
    for entry in reversed(written):
        if entry.role == "assistant" and not any(block.get("type") == "toolCall" for block in entry.message["content"]):
            return entry
    return None
