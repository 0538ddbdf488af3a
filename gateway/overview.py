"""``clawgate status``: one screen about everything. What cannot be asked is left out and said."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar

from gateway.ledger import read_usage
from gateway.maintenance.report import jobs_of, processes_of
from gateway.status import collect_status
from shared.clock import SYSTEM_CLOCK
from shared.config.paths import Paths
from shared.errors import GatewayError
from shared.lifecycle.control import call

_PATIENCE_S = 10.0
_NEXT_JOBS: Final = 3
_NO_JOBS: list[dict[str, Any]] = []
_NEED_A_PERSON: Final = frozenset({"login_needed", "unreadable", "expired"})

T = TypeVar("T")


def collect_overview(paths: Paths) -> dict[str, Any]:
    """Everything the screen shows, as JSON.

    Beside what `collect_status` gives: ``sign_ins``, ``workers``, ``waiting`` (messages by process), ``jobs`` (those
    that failed, then the next), ``budgets``, ``disk`` (what
    tenants and groups take), and ``problems``: a sentence each about what needs a person.
    """
    report = collect_status(paths)
    problems: list[str] = []
    running = {process["name"]: process for process in report["processes"] if process["status"]}

    def asked(what: str, work: Callable[[], T], otherwise: T) -> T:
        try:
            return work()
        except GatewayError as error:
            problems.append(f"{what}: {error.detail}")
            return otherwise

    sign_ins: list[dict[str, Any]] = []
    if "gateway" in running:
        control = paths.control_socket("gateway")
        sign_ins = asked("sign-ins", lambda: call(control, "auth_status", timeout_s=_PATIENCE_S), [])
    jobs = [
        {"process": process.name, **job}
        for process in processes_of(paths)
        for job in asked(f"jobs of {process.name}", partial(jobs_of, process, paths), _NO_JOBS)
    ]
    now = SYSTEM_CLOCK.now()
    usage: dict[str, Any] = asked("budgets", lambda: asyncio.run(read_usage(paths, now)), {"budgets": []})
    problems += [
        f"{line['provider']} ({line['tenant']}): a person has to sign in: clawgate auth login {line['provider']}"
        for line in sign_ins
        if line["health"] in _NEED_A_PERSON
    ]
    problems += [f"{job['process']}/{job['name']} failed: {job['detail']}" for job in jobs if job["failures"]]
    disk: list[dict[str, Any]] = running.get("gateway", {}).get("status", {}).get("disk", [])
    problems += [use["detail"] for use in disk if use["detail"]]
    return {
        **report,
        "disk": disk,
        "sign_ins": [line for line in sign_ins if line["health"] != "missing"],
        "workers": running.get("gateway", {}).get("status", {}).get("workers", []),
        "waiting": {name: _waiting(process["status"]) for name, process in running.items() if name != "gateway"},
        "jobs": _chosen(jobs),
        "budgets": usage["budgets"],
        "problems": problems,
    }


def _waiting(status: dict[str, Any]) -> dict[str, int]:
    """Messages that wait for an answer, and those that nobody will answer without a person."""
    inbox, outbox = status.get("inbox") or {}, status.get("outbox") or {}
    dead = int(inbox.get("dead", 0)) + int(outbox.get("dead", 0)) + int(outbox.get("failed", 0))
    return {"waiting": int(inbox.get("new", 0)) + int(inbox.get("claimed", 0)), "dead": dead}


def _chosen(jobs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    failed = [job for job in jobs if job["failures"]]
    coming = sorted((job for job in jobs if not job["failures"]), key=lambda job: str(job["next_at"]))
    return failed + coming[:_NEXT_JOBS]


def time_left(moment: str | None, now: datetime) -> str:
    """How long until a moment: ``12 days``, ``3 h``, ``expired``, or empty."""
    if not moment:
        return ""
    seconds = (datetime.fromisoformat(moment) - now).total_seconds()
    if seconds <= 0:
        return "expired"
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size * (2 if unit == "days" else 1):
            return f"{int(seconds // size)} {unit}"
    return "under a minute"
