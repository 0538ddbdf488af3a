"""The score: 100 means that everything applicable passed, and nothing else gives 100.

Source: security-audit reference §10. The catalogue is the denominator, so adding or taking away files never helps; a
severity dominates those below it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.audit.models import Finding, Severity

WEIGHTS: Final[Mapping[Severity, int]] = {"critical": 40, "high": 10, "medium": 4, "low": 1}
CRITICAL_CAP: Final = 39
HIGH_CAP: Final = 79
HIGH_STEP: Final = 3
"""Taken off for each further open high finding."""
FLOOR: Final = 40
"""No state in which every critical check passes scores less."""
MEDIUM_CAP: Final = 94
LOW_CAP: Final = 99
COMPLETE: Final = 0.95
"""The part of the catalogue that must have been run for a number to mean anything."""


def score(findings: Sequence[Finding], *, catalogue: int) -> int | None:
    """The score of a run; None, told as ``incomplete``, when too little of the catalogue was run.

    Args:
        findings: one for each check that was run.
        catalogue: how many checks there are.
    """
    if not catalogue or len(findings) < COMPLETE * catalogue:
        return None
    applicable = [finding for finding in findings if finding.result != "not_applicable"]
    if not applicable:
        return None
    whole = sum(WEIGHTS[finding.severity] for finding in applicable)
    # In halves, so that a waiver's half needs no fraction and the same state gives the same number everywhere.
    lost = sum(WEIGHTS[finding.severity] * _halves(finding) for finding in applicable)
    raw = 100 * (2 * whole - lost) // (2 * whole)
    open_ = [finding.severity for finding in applicable if finding.is_open]
    if "critical" in open_:
        return min(raw, CRITICAL_CAP)
    caps = [100]
    if highs := open_.count("high"):
        caps.append(HIGH_CAP - HIGH_STEP * (highs - 1))
    if "medium" in open_:
        caps.append(MEDIUM_CAP)
    if "low" in open_ or any(_halves(finding) == 1 for finding in applicable):
        caps.append(LOW_CAP)
    return max(FLOOR, min(raw, *caps))


def _halves(finding: Finding) -> int:
    return 2 if finding.is_open else 1 if finding.waiver and finding.result in ("fail", "unknown") else 0
