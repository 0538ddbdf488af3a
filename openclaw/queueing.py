"""Who waits for a session's agent, and what becomes of words that come while it works."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final, cast, get_args

from openclaw import store
from openclaw.agent.policy import QueueMode, QueuePolicy
from openclaw.agent.turns import Turn
from openclaw.answering import Answering
from openclaw.lanes import PEOPLE, STEERING, Lane, Outcome, Run, StopReason, first_words, together
from openclaw.sessions import Sessions
from openclaw.store import SessionRow
from openclaw.transcript import Transcripts, text_message
from shared.clock import Clock
from shared.errors import Busy
from shared.lifecycle.tasks import TaskPool
from shared.metrics.figures import Durations
from shared.obs.log import get_logger
from shared.storage import Database

_log = get_logger(__name__)

QUEUE_MODES: Sequence[str] = get_args(QueueMode)
_TOOK_BOUNDS: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_JOINED = Outcome("ok", joined=True)


class Queueing:
    """The lanes of all sessions: one active run each, the others wait in order.

    Attributes:
        by_id: every run that was accepted and has not ended.
        outcomes: how many ended how, since the start.
        took: seconds from being accepted to the end.
    """

    def __init__(
        self,
        db: Database,
        sessions: Sessions,
        transcripts: Transcripts,
        answering: Answering,
        *,
        tasks: TaskPool,
        clock: Clock,
    ) -> None:
        self._db = db
        self._sessions = sessions
        self._transcripts = transcripts
        self._answering = answering
        self._tasks = tasks
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._stopping = False
        self.by_id: dict[str, Run] = {}
        self.outcomes: Counter[str] = Counter()
        self.took = Durations(_TOOK_BOUNDS)
        answering.steering = self._steering

    @property
    def _policy(self) -> QueuePolicy:
        return self._answering.policy.queue

    def mode(self, key: str) -> QueueMode:
        """How a session treats words that come while its agent works: its own choice, else the policy's."""
        row = self._sessions.get(key)
        own = row.settings.get("queueMode") if row is not None else None
        return cast(QueueMode, own) if own in QUEUE_MODES else self._policy.mode

    def is_busy(self, key: str) -> bool:
        """Whether a session's agent is at work, or something waits for it."""
        lane = self._lanes.get(key)
        return lane is not None and lane.serving

    async def admit(self, key: str) -> None:
        """See to it that one more message may wait for a session.

        Raises:
            Busy: too many do.
        """
        lane = self._lanes.get(key)
        if lane is not None and len(lane.waiting) >= self._policy.cap:
            await self._make_room(lane)

    async def _make_room(self, lane: Lane) -> None:
        """Let the oldest waiting message go, when policy says so; a line of it stays for the next turn.

        Raises:
            Busy: it does not, or nobody's words wait.
        """
        queue = self._policy
        oldest = lane.oldest_of_people() if queue.drop != "new" else None
        if oldest is None:
            raise Busy(f"{queue.cap} messages already wait for this session", retry_after_s=5)
        lane.waiting.remove(oldest)
        if queue.drop == "summarize":
            lane.dropped.append(first_words(oldest.row.text))
        told = f"it was left out: more than {queue.cap} messages waited"
        self._settle(oldest, await self._answering.end_error(oldest, Outcome("error", error=told)))

    def _settle(self, run: Run, outcome: Outcome) -> None:
        self.by_id.pop(run.row.run_id, None)
        if not run.done.done():
            run.done.set_result(outcome)
            self.outcomes[outcome.state] += 1
            self.took.observe((self._clock.now() - run.row.created_at).total_seconds(), outcome.state)

    def enqueue(self, run: Run) -> None:
        """Let an accepted run wait for its turn."""
        self.by_id[run.row.run_id] = run
        lane = self._lanes.setdefault(run.row.session_key, Lane())
        lane.waiting.append(run)
        lane.arrived_at = asyncio.get_running_loop().time()
        if not lane.serving:
            lane.serving = True
            self._tasks.start(self._serve(run.row.session_key, lane), name="lane")
        elif lane.active is not None and self.mode(run.row.session_key) == "interrupt" and run.goes_with(lane.active):
            _stop_run(lane.active, "rpc")

    async def _serve(self, key: str, lane: Lane) -> None:
        while lane.waiting and not self._stopping:
            run = await self._next(key, lane)
            try:
                outcome = await self._answering.execute(run)
            except asyncio.CancelledError:
                run.done.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - the lane must go on to the next message
                _log.exception("run.failed", run_id=run.row.run_id)
                outcome = Outcome("error", error=f"internal error ({type(error).__name__})")
                await self._answering.end_error(run, outcome)
            finally:
                lane.active = None
                self.by_id.pop(run.row.run_id, None)
            self._settle(run, outcome)
            if lane.waiting and self.mode(key) == "collect":
                await self._until_quiet(lane)
        lane.serving = False
        if not lane.waiting and self._lanes.get(key) is lane:
            del self._lanes[key]

    async def _until_quiet(self, lane: Lane) -> None:
        """Messages that had to wait are collected until nobody adds to them."""
        loop = asyncio.get_running_loop()
        queue = self._policy
        while lane.waiting and lane.waiting[-1].row.source in PEOPLE and len(lane.waiting) < queue.cap:
            left = lane.arrived_at + queue.debounce_s - loop.time()
            if left <= 0:
                return
            await asyncio.sleep(left)

    async def _next(self, key: str, lane: Lane) -> Run:
        """The run whose turn it is; collected messages are made one in the store before they are answered."""
        taken = lane.take_together() if self.mode(key) == "collect" else [lane.waiting.popleft()]
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
            self._settle(run, _JOINED)
        return first

    async def _steering(self, run: Run, session: SessionRow) -> list[Turn]:
        """What people said since the run began, when policy wants the agent to hear it now."""
        mode = self.mode(run.row.session_key)
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
                self._settle(said, _JOINED)
        return turns

    def abort(self, key: str, run_id: str | None, reason: StopReason) -> list[str]:
        """Stop one run of a session, or all of them; returns the ids of those stopped."""
        lane = self._lanes.get(key)
        if lane is None:
            return []
        active = [lane.active] if lane.active else []
        chosen = [run for run in (*active, *lane.waiting) if run_id in (None, run.row.run_id)]
        for run in chosen:
            _stop_run(run, reason)
        return [run.row.run_id for run in chosen]

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True


def _stop_run(run: Run, reason: StopReason) -> None:
    run.stop = reason
    if run.work is not None:
        run.work.cancel()
