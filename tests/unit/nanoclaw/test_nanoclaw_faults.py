"""What follows from a failed try."""

from __future__ import annotations

import pytest

from nanoclaw.agent.errors import WorkerLost
from nanoclaw.agent.stream import Done
from nanoclaw.faults import Fault, decide_fault, fault_of_error, fault_of_result
from shared.errors import Busy, DeadlineExceeded, Denied, Unavailable

DELAYS = (5, 10, 20, 40, 80)


def decide(kind, attempt, **more):
    return decide_fault(Fault(kind, "why", **more), attempt=attempt, delays_s=DELAYS, run_id="run_x")


def test_tries_are_spaced_as_the_policy_says_and_end():
    verdicts = [decide("worker_lost", attempt) for attempt in range(1, 7)]
    assert [verdict.delay_s for verdict in verdicts] == [5, 10, 20, 40, 80, 0]
    assert [verdict.retry for verdict in verdicts] == [True] * 5 + [False]


def test_the_person_hears_of_the_first_failure_and_of_the_end_only():
    notes = [decide("worker_lost", attempt).note for attempt in range(1, 7)]
    assert [bool(note) for note in notes] == [True, False, False, False, False, True]
    assert all("run_x" in note for note in notes if note)


@pytest.mark.parametrize("kind", ["refused", "credential", "silent"])
def test_what_trying_again_cannot_help_is_kept_for_the_operator_at_once(kind):
    verdict = decide(kind, 1)
    assert not verdict.retry
    assert "kept for the operator" in verdict.note


def test_being_busy_never_ends_a_message_and_says_nothing():
    verdict = decide("busy", 99, wait_s=3)
    assert (verdict.retry, verdict.delay_s, verdict.note) == (True, 3, "")


def test_a_limit_names_when_it_ends():
    assert "2026-01-01 00:00 UTC" in decide("limit", 1, resets_at=1767225600).note


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (WorkerLost("x"), "worker_lost"),
        (DeadlineExceeded("x"), "silent"),
        (Busy("x", retry_after_s=2), "busy"),
        (Unavailable("x"), "no_worker"),
        (Denied("x"), "defect"),
    ],
)
def test_errors_are_told_apart(error, kind):
    assert fault_of_error(error).kind == kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, "credential"),
        (403, "credential"),
        (429, "limit"),
        (400, "refused"),
        (500, "model_down"),
        (0, "model_down"),
    ],
)
def test_results_are_told_apart_by_the_providers_status(status, kind):
    assert fault_of_result(Done("prose", "s", is_error=True, status=status)).kind == kind
