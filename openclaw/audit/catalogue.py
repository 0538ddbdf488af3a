"""Every check of OpenClaw's part, and the report in the original's shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from openclaw.audit.exec_checks import EXEC_CHECKS
from openclaw.audit.facts import Facts
from openclaw.audit.network_checks import NETWORK_CHECKS
from openclaw.audit.separation_checks import SEPARATION_CHECKS
from openclaw.audit.state_checks import STATE_CHECKS
from shared.audit.models import Check, Report, Severity
from shared.clock import unix_ms

CATALOGUE: Final[tuple[Check[Facts], ...]] = (*EXEC_CHECKS, *NETWORK_CHECKS, *STATE_CHECKS, *SEPARATION_CHECKS)

_WORDS: Final[Mapping[Severity, Literal["critical", "warn", "info"]]] = {
    "critical": "critical",
    "high": "warn",
    "medium": "warn",
    "low": "info",
}


def report_view(report: Report) -> dict[str, Any]:
    """``{ts, summary, findings}`` as the original's clients read it, with our score and every check beside it.

    Source: reference gateway §18.
    """
    open_ = [finding for finding in report.findings if finding.is_open]
    summary = dict.fromkeys(("critical", "warn", "info"), 0)
    for finding in open_:
        summary[_WORDS[finding.severity]] += 1
    return {
        "ts": unix_ms(report.at),
        "score": report.score,
        "complete": report.score is not None,
        "summary": summary,
        "findings": [
            {
                "checkId": finding.id,
                "severity": _WORDS[finding.severity],
                "title": finding.title,
                "detail": finding.evidence,
                "remediation": finding.remediation,
            }
            for finding in open_
        ],
        "checks": [finding.as_json() for finding in report.findings],
    }
