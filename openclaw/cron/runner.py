"""Runs what is due: claimed before it begins, run under the occurrence's id, settled together with its message.

A process that dies in between leaves an open run; the next one takes it up under the same id, and a turn that was
answered already gives that answer again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from openclaw.cron.claims import Claims, Settled
from openclaw.cron.decide import After, decide_after
from openclaw.cron.delivery import Delivery
from openclaw.cron.models import ISOLATED, AgentTurn, CronRun, Ended, JobSpec
from openclaw.cron.service import CronJobs
from openclaw.protocol import events
from openclaw.protocol.frames import compact
from openclaw.runs import Outcome, Runs
from openclaw.sessions import SessionOrigin, Sessions, kept_origin
from openclaw.transcript import Transcripts
from shared.clock import unix_ms
from shared.errors import Busy, GatewayError
from shared.lifecycle.backoff import Backoff
from shared.lifecycle.due_loop import DueLoop
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

SOURCE: Final = "cron"
SILENT: Final = ("NO_REPLY", "HEARTBEAT_OK")
_GONE_FOR: Final = timedelta(days=1)
"""How long the session of a job that is gone is kept. Source: the original's ``cron.sessionRetention``."""
_TRIES: Final = 6
_FIRST_WAIT_S: Final = 2.0

T = TypeVar("T")


class CronRunner:
    """The side of cron that acts by itself.

    Args:
        jobs: the book of jobs.
        runs: where turns of the agent begin.
        delivery: takes the answers.
    """

    def __init__(
        self, jobs: CronJobs, runs: Runs, sessions: Sessions, transcripts: Transcripts, delivery: Delivery
    ) -> None:
        self._jobs = jobs
        self._runs = runs
        self._sessions = sessions
        self._transcripts = transcripts
        self._delivery = delivery
        self._slots = asyncio.Semaphore(jobs.policy.max_concurrent_runs)
        self._busy: set[str] = set()
        self._beaten = False
        self._tasks = TaskPool("cron")
        self._loop = DueLoop(self.look, self.prune, clock=jobs.clock)

    def start(self) -> None:
        """Run what is due from now on, beginning with what the last process left."""
        self._jobs.nudge = self._loop.nudge
        self._jobs.beat = self._beat
        self._tasks.start(self._loop.run(), name="due")

    def _beat(self) -> None:
        """A heartbeat: what waits for one begins with the next look."""
        self._beaten = True
        self._loop.nudge()

    async def stop(self) -> None:
        """Begin nothing more; runs that go on are taken up by the next process."""
        self._jobs.nudge = self._jobs.beat = lambda: None
        await self._tasks.close()

    async def look(self) -> Claims:
        """Claim what is due, and begin whatever may begin."""
        if self._beaten:
            self._beaten = False
            await self._jobs.hurry()
        claims = await self._jobs.claim()
        for run in claims.runs:
            _log.info("cron.claimed", job=run.job_id, run_id=run.run_id, state=run.state, reason=run.reason)
        for job in claims.disabled:
            _log.warning("cron.disabled", job=job.job_id, reason=job.state.last_error)
            self._jobs.emit(events.CRON, {"jobId": job.job_id, "action": "updated"})
        for run in claims.ready:
            if run.run_id not in self._busy:
                self._busy.add(run.run_id)
                self._tasks.start(self._work(run), name=run.run_id)
        return claims

    async def prune(self) -> int:
        """Forget old history, and sessions of jobs that are gone or were not used for long; says how much."""
        count = await self._jobs.prune()
        now, jobs = self._jobs.clock.now(), await self._jobs.job_ids()
        for row in self._sessions.listing():
            if not row.key.startswith(ISOLATED) or self._runs.is_busy(row.key):
                continue
            kept = timedelta(days=self._jobs.policy.keep_days) if row.key.removeprefix(ISOLATED) in jobs else _GONE_FOR
            if now - row.updated_at < kept:
                continue
            await self._sessions.remove(row.key)
            await self._transcripts.archive(row.session_id, "deleted")
            count += 1
        return count

    # --- one run -----------------------------------------------------------------------------------------------------

    async def _work(self, run: CronRun) -> None:
        try:
            async with self._slots:
                await self._jobs.note_start(run)
                outcome = await self._ask(run)
                await self._finish(run, outcome)
        except Busy:
            return  # we are stopping: the run stays open
        except Exception as error:  # noqa: BLE001 - one run must not end the others
            _log.exception("cron.run_failed", run_id=run.run_id)
            await self._settle(run, Ended("error", error=f"internal error ({type(error).__name__})"))
        finally:
            self._busy.discard(run.run_id)
            self._loop.nudge()

    async def _ask(self, run: CronRun) -> Outcome:
        key, spec = run.session_key, run.spec
        if spec.session_target == "isolated":
            if not await self._runs.is_known(run.run_id):
                await self._begin_anew(key, spec)
            origin = SessionOrigin("direct", SOURCE, display_name=f"Cron: {spec.name}")
        else:
            origin = kept_origin(self._sessions.get(key))
        limit_s = spec.payload.timeout_seconds if isinstance(spec.payload, AgentTurn) else None
        try:
            async with asyncio.timeout(limit_s):
                return await self._runs.ask(key, self._prompt(run), run.run_id, source=SOURCE, origin=origin)
        except TimeoutError:
            await self._runs.abort(key, run.run_id, "timeout")
            return Outcome("error", error=f"it took longer than {limit_s:g} s")

    async def _begin_anew(self, key: str, spec: JobSpec) -> None:
        _, left_behind = await self._sessions.reset(key)
        if isinstance(spec.payload, AgentTurn):
            await self._sessions.patch(key, {"model": spec.payload.model, "thinkingLevel": spec.payload.thinking})
        if left_behind is not None:
            await self._transcripts.archive(left_behind)

    def _prompt(self, run: CronRun) -> str:
        spec = run.spec
        when = _on_the_clock(run.occurrence_at, self._jobs.policy.zone)
        name = " ".join(spec.name.split())
        if spec.session_target == "main":
            return f"[System event, not written by a person] Scheduled job {name!r} is due ({when}):\n{spec.text}"
        return f"[Scheduled job {name!r}, due {when}; nobody is there to answer questions]\n{spec.text}"

    # --- its end -----------------------------------------------------------------------------------------------------

    async def _finish(self, run: CronRun, outcome: Outcome) -> None:
        ended = _ended(outcome)
        mode = _mode(run)
        if mode == "webhook":
            await self._settle(run, await self._post(run, ended))
            return
        text = outcome.text.strip()
        if ended.state == "ok" and (mode == "none" or not text or text.startswith(SILENT)):
            await self._settle(run, ended)
            return
        if ended.state == "error":
            text = await self._failure_text(run, ended)
            if not text or mode == "none":
                await self._settle(run, ended)
                return
        await self._announce(run, ended, text)

    async def _announce(self, run: CronRun, ended: Ended, text: str) -> None:
        try:
            chat = await _patiently(lambda: self._delivery.chat_of(run))
        except GatewayError as error:
            await self._settle(run, _undelivered(run, ended, error.detail))
            return
        delivered = Ended(ended.state, ended.summary, ended.error, "delivered")
        found: list[Settled] = []
        settling = self._jobs.settling(run, delivered, found)
        await self._delivery.announce(run.run_id, chat, text, settling)
        self._told(found)

    async def _post(self, run: CronRun, ended: Ended) -> Ended:
        delivery = run.spec.delivery
        url = delivery.to if delivery is not None and delivery.to else ""
        payload = compact(
            action="finished",
            jobId=run.job_id,
            jobName=run.spec.name,
            runId=run.run_id,
            status=ended.state,
            summary=ended.summary or None,
            error=ended.error or None,
            runAtMs=unix_ms(run.occurrence_at),
            sessionKey=run.session_key,
        )
        try:
            await _patiently(lambda: self._delivery.post(url, run.run_id, payload))
        except GatewayError as error:
            return _undelivered(run, ended, error.detail)
        return Ended(ended.state, ended.summary, ended.error, "delivered")

    async def _failure_text(self, run: CronRun, ended: Ended) -> str:
        """What people are told of a failure: the first of a row, and the one that disables the job."""
        job = await self._jobs.find(run.job_id)
        if job is None:
            return ""
        after = decide_after(job, run, ended, self._jobs.clock.now(), self._jobs.policy)
        if after.errors > 1 and not after.reason:
            return ""
        disabled = f" The job was disabled: {after.reason}." if after.reason and not job.spec.runs_once else ""
        return f"The scheduled job “{run.spec.name}” failed: {ended.error}.{disabled}"

    async def _settle(self, run: CronRun, ended: Ended) -> None:
        found: list[Settled] = []
        await self._jobs.write(self._jobs.settling(run, ended, found))
        self._told(found)

    def _told(self, found: list[Settled]) -> None:
        for settled in found:
            run, job = settled.run, settled.job
            payload: dict[str, Any] = {key: value for key, value in run.as_wire().items() if key != "ts"}
            if job is not None and job.next_at is not None:
                payload["nextRunAtMs"] = unix_ms(job.next_at)
            _log.info("cron.finished", job=run.job_id, run_id=run.run_id, state=run.state, error=run.error)
            self._jobs.emit(events.CRON, payload)
            self._told_of_job(run, settled.after)

    def _told_of_job(self, run: CronRun, after: After | None) -> None:
        if after is None:
            return
        if after.removed:
            self._jobs.emit(events.CRON, {"jobId": run.job_id, "action": "removed"})
        elif after.reason:
            _log.warning("cron.disabled", job=run.job_id, reason=after.reason)
            self._jobs.emit(events.CRON, {"jobId": run.job_id, "action": "updated"})


async def _patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Do something that may fail for a while: a platform that is away gets a few minutes."""
    waiting = Backoff(base_s=_FIRST_WAIT_S)
    while True:
        try:
            return await work()
        except GatewayError as error:
            if not error.retryable or waiting.attempts >= _TRIES:
                raise
        await asyncio.sleep(waiting.next_delay_s())


def _mode(run: CronRun) -> str:
    return run.spec.delivery.mode if run.spec.delivery is not None else "announce"


def _ended(outcome: Outcome) -> Ended:
    if outcome.state == "ok":
        return Ended("ok", outcome.text)
    return Ended("error", outcome.text, outcome.error or "it was stopped")


def _undelivered(run: CronRun, ended: Ended, reason: str) -> Ended:
    """An answer that reaches nobody is a failure, unless nobody asked for it to be delivered."""
    delivery = run.spec.delivery
    is_fine = delivery is None or delivery.best_effort
    state = ended.state if is_fine else "error"
    error = ended.error if is_fine else (ended.error or f"the answer could not be delivered: {reason}")
    return Ended(state, ended.summary, error, "not-delivered", reason)


def _on_the_clock(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M %Z}"
