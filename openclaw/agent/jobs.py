"""Commands that outlast the call that started them: kept by session, bounded in number, told about when they end.

A job lives in this process: when the tenant stops, its jobs end, and their sessions hear of it at the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from openclaw.agent.job_book import Cut, JobBook
from openclaw.agent.output import bounded, clean_output, result_text
from openclaw.agent.tools import ToolContext
from shared.clock import SYSTEM_CLOCK, Clock
from shared.containment.models import Outcome
from shared.containment.run import Contained
from shared.errors import Busy, NotFound
from shared.ids import new_id
from shared.lifecycle.tasks import TaskPool
from shared.obs.log import get_logger

_log = get_logger(__name__)

_RUNNING_OF_SESSION: Final = 4
_RUNNING: Final = 12
_KEPT_ENDED: Final = 24
_KEPT_S: Final = 1800.0
"""How long an ended job can be asked about. Source: OpenClaw's ``cleanupMs``."""

TAIL_CHARS: Final = 400


@dataclass(eq=False)
class Job:
    """One command.

    Attributes:
        told: the agent has read how it ended.
        read_to: how much of its output and its error output the agent has read.
        outcome: None while it runs.
        ended_at: monotonic seconds.
    """

    job_id: str
    command: str
    context: ToolContext
    contained: Contained
    work: asyncio.Task[Outcome] | None = None
    outcome: Outcome | None = None
    ended_at: float = 0.0
    told: bool = False
    read_to: tuple[int, int] = (0, 0)

    @property
    def state(self) -> str:
        """In one line."""
        if self.outcome is None:
            return f"running for {self.contained.duration_s:.0f} s"
        return self.outcome.problem or f"ended with exit code {self.outcome.exit_code}"


Ended = Callable[[Job], Awaitable[None]]


class Jobs:
    """All commands that run for the agent.

    Args:
        book: where jobs are written down while they run in the background.

    Attributes:
        ended: told of every job that ended in the background and whose end nobody has read.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK, book: JobBook | None = None) -> None:
        self._clock = clock
        self._book = book
        self._tasks = TaskPool("jobs")
        self._jobs: dict[str, Job] = {}
        self.ended: Ended | None = None

    def room(self, session_key: str) -> None:
        """See whether one more command may run.

        Raises:
            Busy: too many run.
        """
        running = [job for job in self._jobs.values() if job.outcome is None]
        own = sum(job.context.session_key == session_key for job in running)
        if own >= _RUNNING_OF_SESSION or len(running) >= _RUNNING:
            raise Busy(
                "too many commands run in the background already: wait for one with the process tool, or end it",
                code="exec.busy",
                retry_after_s=10,
            )

    async def run(self, contained: Contained, command: str, context: ToolContext, *, yield_s: float) -> str:
        """Wait for a command; after `yield_s` seconds it goes on in the background. Cancelling ends it."""
        job = Job(new_id("job"), command, context, contained)
        self._jobs[job.job_id] = job
        job.work = self._tasks.start(self._finish(job), name=job.job_id, watched=True)
        try:
            await asyncio.wait({job.work}, timeout=yield_s)
        except asyncio.CancelledError:
            job.told = True
            await self._cut(job)
            del self._jobs[job.job_id]
            raise
        if job.outcome is not None or job.work.done():
            self._jobs.pop(job.job_id, None)
            job.told = True
            return result_text(job.work.result())
        if self._book is not None:
            self._book.add(Cut(job.job_id, context.session_key, context.chat, command))
        self._tasks.start(self._watch(job), name=f"{job.job_id}.watch")
        _log.info("exec.background", job=job.job_id, session=context.session_key)
        return (
            f"status: running in the background\njob: {job.job_id}\nIt has not ended. Follow it with the process tool "
            f"(poll, log, write, kill), or go on: you are told when it ends.\n{self.news(job)}"
        )

    async def _finish(self, job: Job) -> Outcome:
        job.outcome = await job.contained.finish()
        job.ended_at = self._clock.monotonic()
        self._forget_old()
        return job.outcome

    async def _watch(self, job: Job) -> None:
        if job.work is None:
            return
        await asyncio.wait({job.work})
        if self._book is not None:
            self._book.keep(lambda written: written.job_id != job.job_id)
        quiet = job.outcome is not None and job.outcome.exit_code == 0 and not job.contained.stdout
        if self.ended is not None and not job.told and not quiet and not job.work.cancelled():
            await self.ended(job)

    async def _cut(self, job: Job) -> None:
        if job.work is not None:
            job.work.cancel()
            await asyncio.wait({job.work})

    def _forget_old(self) -> None:
        ended = sorted((job for job in self._jobs.values() if job.outcome is not None), key=lambda job: job.ended_at)
        now = self._clock.monotonic()
        surplus = len(ended) - _KEPT_ENDED
        for number, job in enumerate(ended):
            if number < surplus or now - job.ended_at > _KEPT_S:
                self._jobs.pop(job.job_id, None)

    # --- asked by the process tool -----------------------------------------------------

    def of(self, session_key: str) -> list[Job]:
        """A session's jobs."""
        self._forget_old()
        return [job for job in self._jobs.values() if job.context.session_key == session_key]

    def find(self, job_id: str, session_key: str) -> Job:
        """One of a session's jobs.

        Raises:
            NotFound: the session has none of this name; others' jobs are not confirmed.
        """
        for job in self.of(session_key):
            if job.job_id == job_id:
                return job
        raise NotFound(f"this session has no job {job_id[:60]!r}: list shows them", code="job.none")

    def news(self, job: Job) -> str:
        """Output since the last look, and how it ended once it has."""
        out, err = job.contained.stdout, job.contained.stderr
        fresh = out[job.read_to[0] :] + err[job.read_to[1] :]
        job.read_to = (len(out), len(err))
        text = clean_output(fresh).rstrip("\n")
        if job.outcome is not None:
            job.told = True
        return f"{job.state}\n{text}" if text else f"{job.state}\nno new output"

    async def wait(self, job: Job, limit_s: float) -> None:
        """Wait until a job has ended."""
        if job.work is not None and job.outcome is None:
            await asyncio.wait({job.work}, timeout=limit_s)

    async def kill(self, job: Job) -> None:
        """End a job with all that it started."""
        job.told = True
        if job.outcome is None:
            await self._cut(job)
            self._jobs.pop(job.job_id, None)

    def remove(self, job: Job) -> bool:
        """Forget a job that has ended; false while it runs."""
        if job.outcome is None:
            return False
        self._jobs.pop(job.job_id, None)
        return True

    async def close(self) -> None:
        """End all jobs."""
        await self._tasks.close()


def ended_text(job: Job) -> str:
    """What the agent reads when a job ended in the background."""
    tail = bounded(clean_output(job.contained.stdout + job.contained.stderr).strip()[-TAIL_CHARS:], TAIL_CHARS)
    return (
        f"[System event, not written by a person] The background command {job.job_id} {job.state}.\n"
        f"Command: {clean_output(job.command.encode(errors='replace'))[:500]}\nIts last output:\n{tail}"
    )
