"""The score cannot be gamed. Each property is one of the reference's (security-audit §10)."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.audit.models import Check, Finding, Waiver, passed, unknown
from shared.audit.runner import run_checks
from shared.audit.score import score
from shared.errors import Unavailable

SEVERITIES = ("critical", "high", "medium", "low")


def finding(number, severity, result):
    return Finding(f"T-{number:03d}", severity, "openclaw", result, "t", "e", "r", "auto")


STATES = st.lists(
    st.tuples(st.sampled_from(SEVERITIES), st.sampled_from(("pass", "fail", "unknown"))), min_size=1, max_size=40
).map(lambda rows: [finding(n, severity, result) for n, (severity, result) in enumerate(rows)])


def of(findings):
    return score(findings, catalogue=len(findings))


@settings(deadline=None)
@given(STATES)
def test_only_everything_passed_is_a_hundred(state):
    assert (of(state) == 100) == all(row.result == "pass" for row in state)


@settings(deadline=None)
@given(STATES, st.data())
def test_mending_never_lowers_and_breaking_never_raises(state, data):
    position = data.draw(st.integers(0, len(state) - 1))
    broken = [replace(row, result="fail") if n == position else row for n, row in enumerate(state)]
    mended = [replace(row, result="pass") if n == position else row for n, row in enumerate(state)]
    assert of(broken) <= of(state) <= of(mended)


@settings(deadline=None)
@given(STATES)
def test_an_open_critical_finding_dominates(state):
    is_open = any(row.severity == "critical" and row.result != "pass" for row in state)
    assert (of(state) <= 39) == is_open


@settings(deadline=None)
@given(STATES)
def test_not_knowing_is_as_bad_as_failing(state):
    failed = [replace(row, result="fail") if row.result == "unknown" else row for row in state]
    assert of(state) == of(failed)


WAIVER = Waiver("me", "reviewed elsewhere", date(2026, 12, 31))
WITH_WAIVERS = st.lists(
    st.tuples(st.sampled_from(SEVERITIES), st.sampled_from(("pass", "fail", "unknown", "waived"))),
    min_size=1,
    max_size=40,
).map(
    lambda rows: [
        replace(finding(n, severity, "fail"), waiver=WAIVER)
        if result == "waived" and severity != "critical"
        else finding(n, severity, "pass" if result == "waived" else result)
        for n, (severity, result) in enumerate(rows)
    ]
)


@given(WITH_WAIVERS)
def test_a_waiver_is_worth_less_than_a_pass_and_not_less_than_a_failure(state):
    passing = [replace(row, result="pass", waiver=None) if row.waiver else row for row in state]
    failing = [replace(row, waiver=None) for row in state]
    assert of(failing) <= of(state) <= of(passing)
    assert (of(state) == 100) == all(row.result == "pass" for row in state)


@given(WITH_WAIVERS, st.data())
def test_mending_never_lowers_with_waivers_about(state, data):
    position = data.draw(st.integers(0, len(state) - 1))
    broken = [replace(row, result="fail", waiver=None) if n == position else row for n, row in enumerate(state)]
    mended = [replace(row, result="pass", waiver=None) if n == position else row for n, row in enumerate(state)]
    assert of(broken) <= of(state) <= of(mended)


@given(WITH_WAIVERS, st.data())
def test_taking_an_input_away_never_raises_it(state, data):
    position = data.draw(st.integers(0, len(state) - 1))
    blind = [replace(row, result="unknown", waiver=None) if n == position else row for n, row in enumerate(state)]
    assert of(blind) <= of(state)


@given(WITH_WAIVERS, st.randoms(use_true_random=False))
def test_the_order_of_findings_means_nothing(state, random):
    shuffled = list(state)
    random.shuffle(shuffled)
    assert of(shuffled) == of(state)


@given(st.lists(st.sampled_from(SEVERITIES), min_size=1, max_size=60))
def test_a_state_without_an_open_critical_check_is_never_below_one_with(severities):
    all_open = [
        finding(n, severity, "pass" if severity == "critical" else "fail") for n, severity in enumerate(severities)
    ]
    one_open = [finding(999, "critical", "fail"), *(finding(n, s, "pass") for n, s in enumerate(severities))]
    assert of(one_open) <= 39 < 40 <= of(all_open)


def test_inapplicable_checks_count_neither_way():
    state = [finding(1, "high", "pass"), finding(2, "critical", "not_applicable")]
    assert of(state) == 100


@pytest.mark.parametrize(
    ("open_", "expected"),
    [(["high"], 79), (["medium"], 94), (["high", "high", "medium"], 76), (["low"], 99), (["critical"], 39)],
)
def test_sample_values(open_, expected):
    passing = [finding(n, "critical", "pass") for n in range(50)]
    state = passing + [finding(100 + n, severity, "fail") for n, severity in enumerate(open_)]
    assert of(state) == expected


def test_too_little_of_the_catalogue_gives_no_number():
    state = [finding(n, "low", "pass") for n in range(90)]
    assert score(state, catalogue=100) is None
    assert score(state, catalogue=94) == 100
    assert score([finding(1, "low", "not_applicable")], catalogue=1) is None


class Sample(Check[str]):
    severity = "high"
    title = "t"
    remediation = "r"

    def __init__(self, id_, look):
        self.id = id_
        self.look = look

    def run(self, facts):
        return self.look(facts)


def boom(_facts):
    raise RuntimeError("with a secret in it")


def down(_facts):
    raise Unavailable("nothing is running")


async def test_each_check_has_one_result_whatever_happens():
    checks = [
        Sample("T-4", lambda _: time.sleep(0.3) or passed("late")),
        Sample("T-1", passed),
        Sample("T-2", boom),
        Sample("T-3", down),
        Sample("T-5", lambda _: unknown("token ghp_" + "a" * 30)),
    ]
    report = await run_checks(checks, "seen", deadline_s=0.1)
    assert [(row.id, row.result) for row in report.findings] == [
        ("T-1", "pass"),
        ("T-2", "unknown"),
        ("T-3", "unknown"),
        ("T-4", "unknown"),
        ("T-5", "unknown"),
    ]
    evidence = [row.evidence for row in report.findings]
    assert evidence[0] == "seen"
    assert "secret" not in evidence[1]
    assert evidence[2] == "nothing is running"
    assert "ghp_" not in evidence[4]
    with pytest.raises(ValueError, match="same id"):
        await run_checks([checks[0], checks[0]], "x")
