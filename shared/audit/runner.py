"""Runs checks: each for itself, each with a deadline, each with exactly one result."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, TypeVar

from shared.audit.models import Check, Finding, Outcome, Report, unknown
from shared.audit.score import score
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import GatewayError
from shared.obs.redact import redact_text

F = TypeVar("F")

DEADLINE_S: Final = 20.0
_EVIDENCE_CHARS: Final = 2000


async def run_checks(
    checks: Sequence[Check[F]], facts: F, *, clock: Clock = SYSTEM_CLOCK, deadline_s: float = DEADLINE_S
) -> Report:
    """Run every check once; the same state gives the same report, but for the time.

    Args:
        checks: the catalogue.
        facts: what they look at.
        clock: dates the report.
        deadline_s: for one check; a slower one is ``unknown``.

    Raises:
        ValueError: two checks have the same id.
    """
    ordered = sorted(checks, key=lambda check: check.id)
    if len({check.id for check in ordered}) < len(ordered):
        raise ValueError("two checks have the same id")
    findings = tuple([_finding(check, await _outcome(check, facts, deadline_s)) for check in ordered])
    return Report(clock.now(), findings, score(findings, catalogue=len(ordered)))


async def _outcome(check: Check[F], facts: F, deadline_s: float) -> Outcome:
    try:
        async with asyncio.timeout(deadline_s):
            return await asyncio.to_thread(check.run, facts)
    except TimeoutError:
        return unknown(f"no answer within {deadline_s:g} s")
    except GatewayError as error:
        return unknown(error.detail)
    except Exception as error:  # noqa: BLE001 - a check that fails says nothing good about what it looks at
        return unknown(f"the check failed: {type(error).__name__}")


def _finding(check: Check[F], outcome: Outcome) -> Finding:
    return Finding(
        id=check.id,
        severity=check.severity,
        subject=check.subject,
        result=outcome.result,
        title=check.title,
        evidence=redact_text(outcome.evidence)[:_EVIDENCE_CHARS],
        remediation=check.remediation,
        fix=check.fix,
        refs=check.refs,
    )
