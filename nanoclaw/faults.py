"""What is done, and said, when a run fails: retry or give up, and one sentence for the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
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

_FINAL: frozenset[FaultKind] = frozenset({"silent", "timeout", "disk", "refused"})
_SIGN_IN_LOOK_S = 120.0
LONGEST_REST_S = 600.0
"""Longest wait before a further try: limits are lifted early, and clocks are set."""
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
        counts: it was one of the tries there are; otherwise it is only looked again later.
    """

    retry: bool
    delay_s: float
    note: str
    reason: str
    counts: bool = True


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


@dataclass(frozen=True, slots=True)
class Patience:
    """How long messages are kept for an answer.

    Attributes:
        delays_s: waits before the second, third, … try.
        limit_s: how long a message waits in all for what only time or the operator can mend.
    """

    delays_s: Sequence[float]
    limit_s: float


def decide_fault(
    fault: Fault, *, attempt: int, patience: Patience, run_id: str, now: datetime, waited_s: float
) -> Verdict:
    """Say whether to try again, when, and what the person is told.

    Being busy is nobody's fault: it is waited out without a word and without giving up. A usage limit and a missing
    sign-in are waited out too, for as long as policy says. Otherwise the person hears about the first failure, and
    about the end.

    Args:
        fault: what happened.
        attempt: which try this was, from 1.
        patience: of the policy.
        run_id: named in the note, so that the operator can find the run.
        now: in the owner's zone.
        waited_s: since the oldest message came.
    """
    if fault.kind == "busy":
        return Verdict(retry=True, delay_s=max(fault.wait_s, 0.5), note="", reason=fault.detail)
    sentence = _SENTENCES[fault.kind].format(
        status=f" (HTTP {fault.status})" if fault.status else "",
        resets=f" until {_local(fault.resets_at, now)}" if fault.resets_at else "",
        said=fault.detail,
    )
    delays_s = patience.delays_s
    if waited_s < patience.limit_s and (delay_s := _waited_out_s(fault, attempt, delays_s, now)):
        note = f"{sentence} I keep your message and answer it after that (run `{run_id}`)."
        return Verdict(retry=True, delay_s=delay_s, note=note, reason=f"waits: {fault.detail}", counts=False)
    if fault.kind in _FINAL or fault.kind == "credential" or attempt > len(delays_s):
        tries = "" if attempt == 1 else f" I gave up after {attempt} tries."
        note = f"{sentence}{tries} Your message is kept for the operator (run `{run_id}`)."
        return Verdict(retry=False, delay_s=0.0, note=note, reason=f"given up after try {attempt}: {fault.detail}")
    delay_s = max(delays_s[attempt - 1], fault.wait_s)
    note = f"{sentence} I will try again (run `{run_id}`)." if attempt == 1 else ""
    return Verdict(retry=True, delay_s=delay_s, note=note, reason=f"try {attempt} failed: {fault.detail}")


def _waited_out_s(fault: Fault, attempt: int, delays_s: Sequence[float], now: datetime) -> float:
    """When to look again whether something is over that trying cannot mend; 0 for what is tried as usual first."""
    if fault.kind == "credential":
        return _SIGN_IN_LOOK_S
    if fault.kind != "limit":
        return 0.0
    if fault.resets_at:
        return min(max(fault.resets_at - now.timestamp(), delays_s[0] if delays_s else 1.0), LONGEST_REST_S)
    return LONGEST_REST_S if attempt > len(delays_s) else 0.0


def _local(seconds: int, now: datetime) -> str:
    return datetime.fromtimestamp(seconds, now.tzinfo).strftime("%Y-%m-%d %H:%M %Z")
