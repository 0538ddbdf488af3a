"""Claim first: one transaction finds a due job, moves it on and stores its run. Another one settles run and job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from openclaw.config import CronPolicy
from openclaw.cron.decide import After, decide_after
from openclaw.cron.models import CronRun, Ended, Job, JobState, run_id_of, session_of
from openclaw.cron.store import CronRows
from openclaw.cron.timing import decide_job, schedule_of, stagger_of
from shared.clock import unix_ms
from shared.errors import Conflict, Invalid

_BATCH: Final = 50
"""Jobs claimed in one transaction, so that others get their turn on the write thread."""
HEARTBEAT_WAIT: Final = timedelta(minutes=30)
"""The longest that a run waits for the next heartbeat: one usual interval."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What one look at the jobs did.

    Attributes:
        runs: occurrences that were claimed or left out.
        disabled: jobs whose schedule cannot be read any more.
        ready: every run that may begin now, also those of earlier looks.
        next_at: when to look again.
        is_waiting: a run goes on, so that its job may be due when it ends.
        more: the batch was full; look again at once.
    """

    runs: tuple[CronRun, ...] = ()
    disabled: tuple[Job, ...] = ()
    ready: tuple[CronRun, ...] = ()
    next_at: datetime | None = None
    is_waiting: bool = False
    more: bool = False


def claim_due(rows: CronRows, now: datetime, policy: CronPolicy) -> Claims:
    """Claim what is due; call inside a write transaction."""
    due = rows.due(now, _BATCH)
    runs: list[CronRun] = []
    disabled: list[Job] = []
    for job in due:
        try:
            run = _claim(rows, job, now, policy)
        except Invalid as error:
            disabled.append(_disable(rows, job, error.detail, now))
            continue
        if run is not None:
            runs.append(run)
    waiting = rows.open_runs()
    ready = tuple(run for run in waiting if run.start_at <= now)
    times = [run.start_at for run in waiting if run.start_at > now]
    if (next_at := rows.next_at()) is not None:
        times.append(next_at)
    next_look = min(times, default=None)
    return Claims(tuple(runs), tuple(disabled), ready, next_look, bool(waiting), more=len(due) == _BATCH)


def _claim(rows: CronRows, job: Job, now: datetime, policy: CronPolicy) -> CronRun | None:
    due_at = job.next_at or now  # what is due has a time
    schedule = schedule_of(job.spec, policy.zone, job.created_at)
    stagger = stagger_of(job.job_id, job.spec)
    due = decide_job(schedule, due_at, now, stagger, missed=policy.missed, grace_s=policy.grace_s)
    run = _new_run(job, due.occurrence, now, due.reason)
    is_new = rows.add_run(run)
    job = replace(job, next_at=due.next_at, updated_at=now)
    rows.save(job)
    if not is_new:
        return None  # it had its run already, as after the clock was set back
    if due.action == "skip":
        settle(rows, run.run_id, Ended("skipped", error=due.reason), now, policy)
    return rows.run(run.run_id)


def claim_by_hand(rows: CronRows, job: Job, now: datetime) -> CronRun:
    """Make a run beside the schedule, which stays as it is; call inside a write transaction.

    Raises:
        Conflict: a run of the job waits or goes on.
    """
    run = replace(
        _new_run(job, now, now, "started by hand"),
        run_id=run_id_of(job.job_id, now, by_hand=True),
        by_hand=True,
        start_at=now,
    )
    if rows.open_runs(job.job_id) or not rows.add_run(run):
        raise Conflict(f"a run of the job {job.job_id} is not finished yet", code="cron.running")
    return run


def _new_run(job: Job, occurrence: datetime, now: datetime, reason: str) -> CronRun:
    waits = job.spec.wake_mode == "next-heartbeat" and job.spec.session_target == "main"
    return CronRun(
        run_id=run_id_of(job.job_id, occurrence),
        job_id=job.job_id,
        spec=job.spec,
        occurrence_at=occurrence,
        claimed_at=now,
        start_at=now + HEARTBEAT_WAIT if waits else now,
        state="open",
        reason=reason,
        session_key=session_of(job.job_id, job.spec),
    )


@dataclass(frozen=True, slots=True)
class Settled:
    """A run that has just ended, and its job.

    Attributes:
        job: as it is now; None when it is gone.
        after: what was decided; None when the job had gone before.
    """

    run: CronRun
    job: Job | None = None
    after: After | None = None


def settle(rows: CronRows, run_id: str, ended: Ended, now: datetime, policy: CronPolicy) -> Settled | None:
    """Note how a run ended and what that means for its job; None when it had ended before. In a write transaction."""
    run = rows.settle(run_id, ended, now)
    if run is None:
        return None
    job = rows.job(run.job_id)
    if job is None:
        return Settled(run)
    after = decide_after(job, run, ended, now, policy)
    if after.removed:
        rows.remove(job.job_id)
        return Settled(run, None, after)
    state = _state_after(job.state, run, ended, after)
    spec = job.spec.model_copy(update={"enabled": after.enabled})
    job = replace(job, spec=spec, state=state, next_at=after.next_at if after.enabled else None, updated_at=now)
    rows.save(job)
    return Settled(run, job, after)


def _state_after(state: JobState, run: CronRun, ended: Ended, after: After) -> JobState:
    ended = ended.cut()
    said = ended.delivery != "not-requested"
    return JobState(
        last_run_at_ms=unix_ms(run.started_at or run.claimed_at),
        last_run_status=ended.state,
        last_error=ended.error or None,
        last_duration_ms=run.duration_ms if run.duration_ms is not None else state.last_duration_ms,
        consecutive_errors=after.errors,
        last_delivered=ended.delivery == "delivered" if said else None,
        last_delivery_status=ended.delivery,
        last_delivery_error=ended.delivery_error or None,
    )


def _disable(rows: CronRows, job: Job, reason: str, now: datetime) -> Job:
    spec = job.spec.model_copy(update={"enabled": False})
    state = job.state.model_copy(update={"last_run_status": "skipped", "last_error": reason})
    job = replace(job, spec=spec, state=state, next_at=None, updated_at=now)
    rows.save(job)
    return job
