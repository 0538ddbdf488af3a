"""Values of an audit. Source: security-audit reference §8 and §10."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, ClassVar, Generic, Literal, TypeVar

Severity = Literal["critical", "high", "medium", "low"]
Result = Literal["pass", "fail", "unknown", "not_applicable"]
"""``unknown``: no input, an error, too slow. It counts as failed, so that taking something away never helps."""

Fix = Literal["auto", "guided", "manual"]
Subject = Literal["gateway", "nanoclaw", "openclaw", "host"]

F = TypeVar("F")
"""The facts that the checks of one catalogue look at."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one check found.

    Attributes:
        evidence: what was seen, in words; never a secret.
    """

    result: Result
    evidence: str


def passed(evidence: str) -> Outcome:
    """The check holds."""
    return Outcome("pass", evidence)


def failed(evidence: str) -> Outcome:
    """The check does not hold."""
    return Outcome("fail", evidence)


def unknown(evidence: str) -> Outcome:
    """Nobody can say; counted as failed."""
    return Outcome("unknown", evidence)


def holds(problems: Sequence[str], otherwise: str, *, most: int = 10) -> Outcome:
    """Failed with the first problems and the number of the others, else passed.

    Args:
        problems: what a person is told of each.
        otherwise: the evidence when there is none.
        most: so many are named.
    """
    if not problems:
        return passed(otherwise)
    more = f"; and {len(problems) - most} more" if len(problems) > most else ""
    return failed("; ".join(problems[:most]) + more)


class Check(ABC, Generic[F]):
    """One check: a stable id, and a look at the effective state.

    Attributes:
        id: never used again for something else.
        subject: whose state is looked at.
        title: what holds when it passes.
        remediation: what a person does about it.
        fix: whether a program may do it.
        refs: classes of other catalogues that it maps to.
    """

    id: ClassVar[str]
    severity: ClassVar[Severity]
    subject: ClassVar[Subject] = "openclaw"
    title: ClassVar[str]
    remediation: ClassVar[str]
    fix: ClassVar[Fix] = "guided"
    refs: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def run(self, facts: F) -> Outcome:
        """Look; may take its time and may fail: both become ``unknown``."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """An owner's word that an open finding stays as it is for a while. Counts half, and keeps the score below 100.

    Attributes:
        resource: what the evidence must name for the waiver to count; one check and one resource each.
    """

    owner: str
    reason: str
    expires: date
    resource: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result with all that a reader needs.

    Attributes:
        since: when it opened, aware UTC; None when it is not open, or nobody has looked before.
        waiver: the valid one, if there is one.
    """

    id: str
    severity: Severity
    subject: Subject
    result: Result
    title: str
    evidence: str
    remediation: str
    fix: Fix
    refs: tuple[str, ...] = ()
    since: datetime | None = None
    waiver: Waiver | None = None

    @property
    def is_open(self) -> bool:
        """It counts against the score in full."""
        return self.result in ("fail", "unknown") and self.waiver is None

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "id": self.id,
            "severity": self.severity,
            "subject": self.subject,
            "result": self.result,
            "title": self.title,
            "evidence": self.evidence,
            "remediation": self.remediation if self.is_open else None,
            "fix": self.fix,
            "refs": list(self.refs),
            "since": self.since.isoformat() if self.since else None,
            "waiver": (
                {"owner": self.waiver.owner, "reason": self.waiver.reason, "expires": self.waiver.expires.isoformat()}
                if self.waiver
                else None
            ),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """A whole run, in the order of the ids.

    Attributes:
        score: 0 to 100; None when the run is incomplete.
    """

    at: datetime
    findings: tuple[Finding, ...]
    score: int | None

    def counts(self) -> Mapping[str, int]:
        """Open findings by severity."""
        found = dict.fromkeys(("critical", "high", "medium", "low"), 0)
        for finding in self.findings:
            found[finding.severity] += finding.is_open
        return found
