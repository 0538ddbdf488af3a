"""Pages of jobs and of their history: filtered, sorted, cut. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeVar

from openclaw.cron.models import CronRun, Job
from shared.clock import unix_ms

T = TypeVar("T")

MOST = 200
"""Entries of one page."""


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs, in which order."""

    enabled: Literal["all", "enabled", "disabled"] = "enabled"
    query: str = ""
    sort_by: Literal["nextRunAtMs", "updatedAtMs", "name"] = "nextRunAtMs"
    descending: bool = False
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class RunQuery:
    """Which runs; those of all jobs without `job_id`."""

    job_id: str = ""
    query: str = ""
    statuses: tuple[str, ...] = ()
    deliveries: tuple[str, ...] = ()
    descending: bool = True
    limit: int = 50
    offset: int = 0


def page_of_jobs(jobs: Sequence[Job], wanted: JobQuery) -> tuple[list[Job], dict[str, Any]]:
    """The jobs of a page, and the page's numbers."""
    needle = wanted.query.strip().lower()
    found = [
        job
        for job in jobs
        if (wanted.enabled == "all" or job.spec.enabled == (wanted.enabled == "enabled"))
        and needle in f"{job.job_id} {job.spec.name} {job.spec.description or ''} {job.spec.text}".lower()
    ]
    found.sort(key=lambda job: job.job_id)
    match wanted.sort_by:
        case "name":
            found.sort(key=lambda job: job.spec.name.lower(), reverse=wanted.descending)
        case "updatedAtMs":
            found.sort(key=lambda job: job.updated_at, reverse=wanted.descending)
        case "nextRunAtMs":
            found.sort(key=lambda job: _ms(job.next_at), reverse=wanted.descending)
            found.sort(key=lambda job: job.next_at is None)  # what never comes is last either way
    return _page(found, wanted.limit, wanted.offset)


def page_of_runs(runs: Sequence[CronRun], wanted: RunQuery) -> tuple[list[CronRun], dict[str, Any]]:
    """The runs of a page, and the page's numbers."""
    needle = wanted.query.strip().lower()
    found = [
        run
        for run in runs
        if (not wanted.statuses or run.state in wanted.statuses)
        and (not wanted.deliveries or run.delivery in wanted.deliveries)
        and needle in f"{run.spec.name} {run.summary} {run.error}".lower()
    ]
    if not wanted.descending:
        found.reverse()
    return _page(found, wanted.limit, wanted.offset)


def _page(found: list[T], limit: int, offset: int) -> tuple[list[T], dict[str, Any]]:
    limit = max(1, min(limit, MOST))
    page = found[offset : offset + limit]
    end = offset + len(page)
    has_more = end < len(found)
    numbers = {"total": len(found), "offset": offset, "limit": limit, "hasMore": has_more}
    return page, numbers | {"nextOffset": end if has_more else None}


def _ms(moment: datetime | None) -> int:
    return 0 if moment is None else unix_ms(moment)
