"""What the end of a run means for its job: pure, with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from openclaw.config import CronPolicy
from openclaw.cron.models import CronRun, Ended, Job

BACKOFF_S: Final = (30.0, 60.0, 300.0, 900.0, 3600.0)
"""How long a job rests after its first, second … error in a row. Source: OpenClaw 2026.2.26."""


@dataclass(frozen=True, slots=True)
class After:
    """What becomes of a job.

    Attributes:
        removed: it has done its work.
        reason: why it was disabled; empty when it goes on as before.
    """

    enabled: bool
    next_at: datetime | None
    errors: int
    removed: bool = False
    reason: str = ""


def decide_after(job: Job, run: CronRun, ended: Ended, now: datetime, policy: CronPolicy) -> After:
    """Decide what a run's end means.

    Args:
        job: as it is now; people may have changed it while the run went on.
        run: the run.
        ended: how it ended.
        now: when.
        policy: after how many errors a job is disabled.
    """
    errors = {"ok": 0, "error": job.state.consecutive_errors + 1, "skipped": job.state.consecutive_errors}[ended.state]
    kept = After(job.spec.enabled, job.next_at, errors)
    if job.spec.runs_once:
        if run.by_hand or job.spec.schedule != run.spec.schedule:
            return kept  # its own moment is still to come, or was moved
        if ended.state == "ok" and job.spec.deletes_itself:
            return After(enabled=False, next_at=None, errors=0, removed=True)
        return After(enabled=False, next_at=None, errors=errors, reason="its one moment is over")
    if ended.state != "error":
        return kept
    if errors >= policy.max_errors:
        return After(enabled=False, next_at=None, errors=errors, reason=f"it failed {errors} times in a row")
    rested_at = now + timedelta(seconds=BACKOFF_S[min(errors, len(BACKOFF_S)) - 1])
    next_at = max(job.next_at, rested_at) if job.next_at is not None else None
    return After(job.spec.enabled, next_at, errors)
