"""What follows from a failed try."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from nanoclaw.agent.errors import WorkerLost
from nanoclaw.agent.stream import Done
from nanoclaw.faults import LONGEST_REST_S, Fault, Patience, decide_fault, fault_of_error, fault_of_result
from shared.errors import Busy, DeadlineExceeded, Denied, Unavailable

DELAYS = (5, 10, 20, 40, 80)
NOW = datetime(2026, 1, 1, 8, 0, tzinfo=ZoneInfo("Asia/Seoul"))
RESETS_AT = 1767225600
"""At nine in Seoul."""


def decide(kind, attempt, **more):
    waited_s = more.pop("waited_s", 0.0)
    return decide_fault(
        Fault(kind, "why", **more),
        attempt=attempt,
        patience=Patience(DELAYS, limit_s=3600),
        run_id="run_x",
        now=NOW,
        waited_s=waited_s,
    )


def test_tries_are_spaced_as_the_policy_says_and_end():
    verdicts = [decide("worker_lost", attempt) for attempt in range(1, 7)]
    assert [verdict.delay_s for verdict in verdicts] == [5, 10, 20, 40, 80, 0]
    assert [verdict.retry for verdict in verdicts] == [True] * 5 + [False]


def test_the_person_hears_of_the_first_failure_and_of_the_end_only():
    notes = [decide("worker_lost", attempt).note for attempt in range(1, 7)]
    assert [bool(note) for note in notes] == [True, False, False, False, False, True]
    assert all("run_x" in note for note in notes if note)


@pytest.mark.parametrize("kind", ["refused", "silent", "timeout"])
def test_what_trying_again_cannot_help_is_kept_for_the_operator_at_once(kind):
    verdict = decide(kind, 1)
    assert not verdict.retry
    assert "kept for the operator" in verdict.note


def test_being_busy_never_ends_a_message_and_says_nothing():
    verdict = decide("busy", 99, wait_s=3)
    assert (verdict.retry, verdict.delay_s, verdict.note) == (True, 3, "")


def test_a_limit_names_when_it_ends():
    assert "2026-01-01 09:00 KST" in decide("limit", 1, resets_at=RESETS_AT).note


def test_a_limit_whose_end_is_known_is_waited_out_without_spending_tries_and_looked_at_again_on_the_way():
    for attempt in (1, 6, 99):
        verdict = decide("limit", attempt, resets_at=RESETS_AT)
        assert (verdict.retry, verdict.counts, verdict.delay_s) == (True, False, LONGEST_REST_S)
        assert "answer it after that" in verdict.note
    assert decide("limit", 1, resets_at=int(NOW.timestamp()) + 30).delay_s == 30
    assert decide("limit", 1, resets_at=int(NOW.timestamp()) - 30).delay_s == DELAYS[0]


def test_a_limit_whose_end_is_unknown_is_tried_as_usual_first():
    verdicts = [decide("limit", attempt) for attempt in range(1, 8)]
    assert [verdict.counts for verdict in verdicts] == [True] * 5 + [False] * 2
    assert [verdict.delay_s for verdict in verdicts] == [*DELAYS, LONGEST_REST_S, LONGEST_REST_S]


@pytest.mark.parametrize("kind", ["limit", "credential"])
def test_patience_ends_and_the_message_is_kept_for_the_operator(kind):
    assert not decide(kind, 6, waited_s=3599).counts
    verdict = decide(kind, 6, waited_s=3600)
    assert not verdict.retry
    assert "kept for the operator" in verdict.note


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
