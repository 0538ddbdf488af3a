"""The book of jobs: add, change, remove, look up, start by hand. What runs them is `openclaw.cron.runner`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import uuid4

from pydantic import ValidationError

from openclaw.config import OPERATOR, CronPolicy
from openclaw.cron.claims import Claims, Settled, claim_by_hand, claim_due, settle
from openclaw.cron.models import CronRun, Ended, Job, JobSpec, JobState
from openclaw.cron.queries import JobQuery, RunQuery, page_of_jobs, page_of_runs
from openclaw.cron.store import CronRows
from openclaw.cron.timing import check_new, first_after, schedule_of, stagger_of
from openclaw.protocol import events
from openclaw.protocol.errors import problems
from openclaw.sessions import canonical_key
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.errors import Conflict, Invalid, NotFound
from shared.obs.log import get_logger
from shared.storage import Database

_log = get_logger(__name__)

_MERGED: Final = frozenset({"payload", "delivery"})


class CronJobs:
    """Every scheduled job of a tenant.

    Args:
        db: where jobs and runs are.
        policy: zone, limits, what to do about missed runs.

    Attributes:
        emit: tells clients; set when somebody listens.
        nudge: called when something changed that may be due.
        beat: to be called at every heartbeat.
    """

    def __init__(self, db: Database, policy: CronPolicy, clock: Clock = SYSTEM_CLOCK) -> None:
        self._db = db
        self.policy = policy
        self.clock = clock
        self.emit: Callable[[str, dict[str, Any]], None] = lambda _event, _payload: None
        self.nudge: Callable[[], None] = lambda: None
        self.beat: Callable[[], None] = lambda: None

    # --- changing ----------------------------------------------------------------------------------------------------

    async def add(
        self,
        fields: JobSpec | Mapping[str, Any],
        *,
        made_by: str = OPERATOR,
        least_gap_s: float = 0,
        key: str | None = None,
    ) -> Job:
        """Add a job.

        Args:
            fields: as the protocol writes a job.
            made_by: ``operator`` or a session's key.
            least_gap_s: shortest time between two runs, beyond what policy asks for.
            key: names the call; the same key finds the job it made.

        Raises:
            Invalid: it is no job, or its schedule cannot be meant.
            Conflict: there are too many jobs.
        """
        spec = _spec(fields)
        now = self.clock.now()
        check_new(spec, self.policy.zone, now, least_gap_s=max(self.policy.min_interval_s, least_gap_s))
        job = self._timed(Job(str(uuid4()), spec, JobState(), None, made_by, now, now), now)

        def work(c: Any) -> tuple[Job, bool]:  # noqa: ANN401 - a unit of work
            rows = CronRows(c)
            if key is not None and (known := rows.job_of_key(key)) is not None:
                return known, False
            if len(rows.jobs()) >= self.policy.max_jobs:
                raise Conflict(
                    f"there are {self.policy.max_jobs} jobs already (cron.max_jobs): remove one first", code="cron.full"
                )
            rows.add(job, key)
            return job, True

        kept, is_new = await self._db.write(work)
        if is_new:
            self._changed(kept, "added")
        return kept

    async def update(
        self, job_id: str, patch: Mapping[str, Any], *, least_gap_s: float = 0, owner: str | None = None
    ) -> Job:
        """Change a job; null takes a field away, `payload` and `delivery` are merged.

        Args:
            job_id: which.
            patch: fields as the protocol writes them.
            least_gap_s: as for `add`.
            owner: only a job that was made by it; any when None.

        Raises:
            NotFound: there is no such job.
            Invalid: nothing is to be changed, or what comes of it is no job.
        """
        if not patch:
            raise Invalid("the patch is empty: name what is to be changed", code="cron.patch")
        now = self.clock.now()

        def work(c: Any) -> Job:  # noqa: ANN401 - a unit of work
            rows = CronRows(c)
            job = _found(rows, job_id, owner)
            spec = _spec(_merged(job.spec, patch))
            changed = replace(job, spec=spec, updated_at=now)
            is_enabled_anew = spec.enabled and not job.spec.enabled
            if is_enabled_anew:
                changed = replace(changed, state=job.state.model_copy(update={"consecutive_errors": 0}))
            if spec.schedule != job.spec.schedule or is_enabled_anew:
                gap_s = max(self.policy.min_interval_s, least_gap_s)
                check_new(spec, self.policy.zone, now, least_gap_s=gap_s)
                changed = self._timed(changed, now)
            elif not spec.enabled:
                changed = replace(changed, next_at=None)
            rows.save(changed)
            return changed

        job = await self._db.write(work)
        self._changed(job, "updated")
        return job

    async def remove(self, job_id: str, *, owner: str | None = None) -> bool:
        """Forget a job; false when there is none. A run that goes on ends as it would have."""

        def work(c: Any) -> bool:  # noqa: ANN401 - a unit of work
            rows = CronRows(c)
            job = rows.job(job_id)
            return job is not None and owner in (None, job.made_by) and rows.remove(job_id)

        removed = await self._db.write(work)
        if removed:
            _log.info("cron.removed", job=job_id)
            self.emit(events.CRON, {"jobId": job_id, "action": "removed"})
            self.nudge()
        return removed

    async def run(
        self, job_id: str, mode: Literal["due", "force"] = "force", *, owner: str | None = None
    ) -> Literal["", "already-running", "not-due"]:
        """Start a run beside the schedule; says why not, when not.

        Raises:
            NotFound: there is no such job.
        """
        now = self.clock.now()

        def work(c: Any) -> bool:  # noqa: ANN401 - a unit of work
            rows = CronRows(c)
            job = _found(rows, job_id, owner)
            if mode == "due" and (not job.spec.enabled or job.next_at is None or job.next_at > now):
                return False
            claim_by_hand(rows, job, now)
            return True

        try:
            started = await self._db.write(work)
        except Conflict:
            return "already-running"
        if not started:
            return "not-due"
        _log.info("cron.started_by_hand", job=job_id)
        self.nudge()
        return ""

    def _timed(self, job: Job, now: datetime) -> Job:
        if not job.spec.enabled:
            return replace(job, next_at=None)
        schedule = schedule_of(job.spec, self.policy.zone, job.created_at)
        return replace(job, next_at=first_after(schedule, now, stagger_of(job.job_id, job.spec)))

    def _changed(self, job: Job, action: Literal["added", "updated"]) -> None:
        _log.info("cron.changed", action=action, job=job.job_id, name=job.spec.name, by=job.made_by)
        next_ms = {"nextRunAtMs": unix_ms(job.next_at)} if job.next_at else {}
        self.emit(events.CRON, {"jobId": job.job_id, "action": action, **next_ms})
        self.nudge()

    # --- reading -----------------------------------------------------------------------------------------------------

    async def wire(self, job: Job) -> dict[str, Any]:
        """A job as clients see it, with the run that goes on."""
        running = await self._running()
        return job.as_wire(running.get(job.job_id))

    async def listing(self, wanted: JobQuery, *, owner: str | None = None) -> dict[str, Any]:
        """A page of jobs."""
        running = await self._running()
        jobs = [job for job in await self._db.read(lambda c: CronRows(c).jobs()) if owner in (None, job.made_by)]
        page, numbers = page_of_jobs(jobs, wanted)
        return {"jobs": [job.as_wire(running.get(job.job_id)) for job in page], **numbers}

    async def history(self, wanted: RunQuery) -> dict[str, Any]:
        """A page of runs that have ended."""
        runs = await self._db.read(lambda c: CronRows(c).runs(wanted.job_id))
        page, numbers = page_of_runs(runs, wanted)
        return {"entries": [run.as_wire() for run in page], **numbers}

    async def status(self, store_path: str) -> dict[str, Any]:
        """How the schedule is doing."""
        jobs, next_at = await self._db.read(lambda c: (len(CronRows(c).jobs()), CronRows(c).next_at()))
        next_ms = unix_ms(next_at) if next_at and self.policy.enabled else None
        return {"enabled": self.policy.enabled, "storePath": store_path, "jobs": jobs, "nextWakeAtMs": next_ms}

    async def _running(self) -> dict[str, datetime]:
        runs = await self._db.read(lambda c: CronRows(c).open_runs())
        return {run.job_id: run.started_at for run in runs if run.started_at is not None}

    # --- for the runner ----------------------------------------------------------------------------------------------

    async def claim(self) -> Claims:
        """Claim what is due now; without a schedule only what people started by hand is ready."""
        now = self.clock.now()
        rule = self.policy
        if not rule.enabled:
            open_runs = await self._db.read(lambda c: CronRows(c).open_runs())
            return Claims(ready=tuple(run for run in open_runs if run.by_hand))
        return await self._db.write(lambda c: claim_due(CronRows(c), now, rule))

    async def note_start(self, run: CronRun) -> None:
        """A run begins."""
        now = self.clock.now()
        await self._db.write(lambda c: CronRows(c).note_start(run.run_id, now))
        self.emit(events.CRON, {"jobId": run.job_id, "action": "started", "runAtMs": unix_ms(now)})

    async def find(self, job_id: str) -> Job | None:
        """One job; None when there is none."""
        return await self._db.read(lambda c: CronRows(c).job(job_id))

    async def own(self, job_id: str, owner: str | None) -> Job:
        """A job, for whoever made it.

        Raises:
            NotFound: there is none that they may see.
        """
        return await self._db.read(lambda c: _found(CronRows(c), job_id, owner))

    def settling(self, run: CronRun, ended: Ended, found: list[Settled]) -> Callable[[Any], None]:
        """Work for a transaction: note how a run ended; `found` gets what came of it."""
        now = self.clock.now()

        def work(c: Any) -> None:  # noqa: ANN401 - a unit of work
            if (settled := settle(CronRows(c), run.run_id, ended, now, self.policy)) is not None:
                found.append(settled)

        return work

    async def hurry(self) -> None:
        """A heartbeat: what waits for one begins now."""
        now = self.clock.now()
        await self._db.write(lambda c: CronRows(c).hurry(now))

    async def job_ids(self) -> set[str]:
        """Ids of all jobs there are."""
        return {job.job_id for job in await self._db.read(lambda c: CronRows(c).jobs())}

    async def prune(self) -> int:
        """Forget old history."""
        before = self.clock.now() - timedelta(days=self.policy.keep_days)
        return await self._db.write(lambda c: CronRows(c).prune(before=before, keep=self.policy.keep_runs))

    async def write(self, work: Callable[[Any], None]) -> None:
        """Run a unit of work of ours."""
        await self._db.write(work)


def _found(rows: CronRows, job_id: str, owner: str | None) -> Job:
    job = rows.job(job_id)
    if job is None or owner not in (None, job.made_by):  # what it may not see does not exist for it
        raise NotFound(f"there is no job {job_id!r}: list them first", code="cron.unknown")
    return job


def _spec(fields: JobSpec | Mapping[str, Any]) -> JobSpec:
    try:
        spec = fields if isinstance(fields, JobSpec) else JobSpec.model_validate(dict(fields))
    except ValidationError as error:
        raise Invalid(f"this is no job: {problems(error)}", code="cron.invalid") from None
    if spec.session_key is not None:
        return spec.model_copy(update={"session_key": canonical_key(spec.session_key)})
    return spec


def _merged(spec: JobSpec, patch: Mapping[str, Any]) -> dict[str, Any]:
    merged = spec.model_dump(by_alias=True, exclude_none=True)
    for name, value in patch.items():
        old = merged.get(name)
        if value is None:
            merged.pop(name, None)
        elif name in _MERGED and isinstance(value, Mapping) and isinstance(old, dict) and _is_same_kind(old, value):
            merged[name] = {key: found for key, found in (old | dict(value)).items() if found is not None}
        else:
            merged[name] = value
    if "payload" in patch and "sessionTarget" not in patch:
        merged.pop("sessionTarget")  # follows from the payload
    return merged


def _is_same_kind(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    return all(name not in new or new[name] == old.get(name) for name in ("kind", "mode"))
