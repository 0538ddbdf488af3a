"""What is done, and said, when a run fails: retry or give up, and one sentence for the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Literal

from nanoclaw.agent.errors import WorkerLost
from nanoclaw.agent.stream import Done
from shared.errors import Busy, DeadlineExceeded, GatewayError

FaultKind = Literal[
    "worker_lost",
    "silent",
    "timeout",
    "no_worker",
    "busy",
    "disk",
    "refused",
    "credential",
    "limit",
    "model_down",
    "defect",
]

_FINAL: frozenset[FaultKind] = frozenset({"silent", "timeout", "disk", "refused", "credential"})
_SENTENCES: dict[FaultKind, str] = {
    "worker_lost": "Sorry, the agent stopped before it could answer.",
    "silent": "Sorry, the agent did not say anything for too long and was stopped.",
    "timeout": "Sorry, this took longer than a run may take and was stopped.",
    "no_worker": "Sorry, no agent can be started right now.",
    "busy": "Sorry, all agents are busy.",
    "disk": "Sorry, there is too much on disk: {said}.",
    "refused": "Sorry, the model refused this request{status}.",
    "credential": "Sorry, the model did not accept our credential{status}; the operator has to sign in again.",
    "limit": "Sorry, the model's usage limit is reached{resets}.",
    "model_down": "Sorry, the model is not available right now{status}.",
    "defect": "Sorry, something went wrong on our side.",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a try gave no answer.

    Attributes:
        detail: for the log and the dead letter; shown in a chat for ``disk`` alone, where people have to clear away.
        status: the provider's HTTP status, 0 when there was none.
        resets_at: Unix seconds at which a usage limit ends, 0 when unknown.
        wait_s: least wait somebody asked for.
        for_place: all workers are taken; the end of any run may change that.
    """

    kind: FaultKind
    detail: str
    status: int = 0
    resets_at: int = 0
    wait_s: float = 0.0
    for_place: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a fault.

    Attributes:
        retry: try again after `delay_s` seconds; otherwise the messages become dead letters.
        note: what the person is told now; empty when nothing, because they know already.
        reason: what the inbox remembers.
    """

    retry: bool
    delay_s: float
    note: str
    reason: str


def fault_of_error(error: GatewayError) -> Fault:
    """Classify an error raised on the way to an answer."""
    if error.code == "worker.disk":
        return Fault("disk", error.detail)
    if isinstance(error, WorkerLost):
        return Fault("worker_lost", error.detail)
    if isinstance(error, DeadlineExceeded):
        return Fault("silent", error.detail)
    if isinstance(error, Busy):
        return Fault("busy", error.detail, wait_s=error.retry_after_s, for_place=error.code == "worker.full")
    if error.retryable:
        return Fault("no_worker", error.detail)
    return Fault("defect", f"{error.code}: {error.detail}")


def fault_of_result(done: Done, *, resets_at: int = 0) -> Fault:
    """Classify a result that says the model gave no answer."""
    detail = f"the model's answer was an error ({done.reason or 'no reason'}, HTTP {done.status or 'none'})"
    if done.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Fault("credential", detail, done.status)
    if done.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Fault("limit", detail, done.status, resets_at)
    if HTTPStatus.BAD_REQUEST <= done.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return Fault("refused", detail, done.status)
    return Fault("model_down", detail, done.status)


def decide_fault(fault: Fault, *, attempt: int, delays_s: Sequence[float], run_id: str) -> Verdict:
    """Say whether to try again, when, and what the person is told.

    Being busy is nobody's fault: it is waited out without a word and without giving up. Otherwise the person hears
    about the first failure, and about the end.

    Args:
        fault: what happened.
        attempt: which try this was, from 1.
        delays_s: waits before the second, third, … try.
        run_id: named in the note, so that the operator can find the run.
    """
    if fault.kind == "busy":
        return Verdict(retry=True, delay_s=max(fault.wait_s, 0.5), note="", reason=fault.detail)
    sentence = _SENTENCES[fault.kind].format(
        status=f" (HTTP {fault.status})" if fault.status else "",
        resets=f" until {_utc(fault.resets_at)}" if fault.resets_at else "",
        said=fault.detail,
    )
    if fault.kind in _FINAL or attempt > len(delays_s):
        tries = "" if attempt == 1 else f" I gave up after {attempt} tries."
        note = f"{sentence}{tries} Your message is kept for the operator (run `{run_id}`)."
        return Verdict(retry=False, delay_s=0.0, note=note, reason=f"given up after try {attempt}: {fault.detail}")
    delay_s = max(delays_s[attempt - 1], fault.wait_s)
    note = f"{sentence} I will try again (run `{run_id}`)." if attempt == 1 else ""
    return Verdict(retry=True, delay_s=delay_s, note=note, reason=f"try {attempt} failed: {fault.detail}")


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
