"""One run of the audit: gathered, checked, scored, compared with the runs before it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.audit.catalogue import CATALOGUE, fingerprint
from gateway.audit.chain import Chain, note_policies
from gateway.audit.content_checks import contents, skill_folders, standing_files
from gateway.audit.facts import Asked, Facts
from gateway.audit.gather import gather
from gateway.audit.policy import Profile
from shared.audit.models import Report
from shared.audit.runner import run_checks
from shared.audit.score import score
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.secrets.files import write_private

RELEASED: Final = "1a7696f376e46e77"
"""The released catalogue's fingerprint; a program whose checks differ gives no number (§10)."""
FRESH: Final = timedelta(hours=24)
_KEPT: Final = 60


@dataclass(frozen=True, slots=True)
class Audit:
    """A run and what surrounds it.

    Attributes:
        worst: lowest score of the last 24 hours, this run included; None when some run was incomplete.
        before: score of the run before; None when there was none or it was incomplete.
        is_first: nobody has looked before.
    """

    report: Report
    profile: Profile
    worst: int | None
    before: int | None
    is_first: bool

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and the runs' file; the same state gives the same bytes but for the moment."""
        return {
            "at": self.report.at.isoformat(),
            "catalogue": fingerprint(),
            "score": self.report.score,
            "complete": self.report.score is not None,
            "worst_24h": self.worst,
            "open": dict(self.report.counts()),
            "profile": self.profile.as_json(),
            "findings": [finding.as_json() for finding in self.report.findings],
        }


async def run_audit(paths: Paths, *, clock: Clock = SYSTEM_CLOCK, keep: bool = True) -> Audit:
    """Look at everything, and remember the result.

    Args:
        paths: the installation's.
        clock: dates the run.
        keep: write the run down; False for a look that changes nothing.

    Raises:
        ConfigError: a policy file cannot be used.
        Unavailable: the result cannot be written down.
    """
    facts = await asyncio.to_thread(gather, paths, clock=clock)
    if keep:
        facts = await asyncio.to_thread(_first_look, facts, Chain(paths, clock=clock))
    return await judge(facts, await asyncio.to_thread(read_runs, paths), clock=clock, keep=keep)


async def judge(
    facts: Facts, runs: Sequence[Mapping[str, Any]], *, clock: Clock = SYSTEM_CLOCK, keep: bool = False
) -> Audit:
    """Check and score what was gathered."""
    report = await run_checks(CATALOGUE, facts, clock=clock)
    last = runs[-1] if runs else None
    since: Mapping[str, str] = last["since"] if last else {}
    findings = tuple(
        replace(
            finding,
            waiver=facts.policy.waiver_of(finding.id, finding.severity, finding.evidence, facts.now)
            if finding.is_open
            else None,
            since=_since(since.get(finding.id), facts.now) if finding.is_open else None,
        )
        for finding in report.findings
    )
    number = score(findings, catalogue=len(CATALOGUE)) if fingerprint() == RELEASED else None
    recent = [run["score"] for run in runs if facts.now - datetime.fromisoformat(run["at"]) <= FRESH]
    worst = None if number is None or None in recent else min([number, *recent])
    audit = Audit(
        Report(report.at, findings, number),
        facts.profile,
        worst,
        last["score"] if last else None,
        is_first=last is None,
    )
    if keep:
        opened = {finding.id: finding.since.isoformat() for finding in findings if finding.since}
        run = {"at": report.at.isoformat(), "score": number, "since": opened}
        await asyncio.to_thread(_keep, facts.paths, [*runs, run][-_KEPT:])
    return audit


def _since(known: str | None, now: datetime) -> datetime:
    return datetime.fromisoformat(known) if known else now


def read_runs(paths: Paths) -> list[dict[str, Any]]:
    """The newest runs, oldest first; a file that cannot be read is no reason not to look."""
    try:
        runs = json.loads(paths.audit_runs.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [run for run in runs if isinstance(run, dict)] if isinstance(runs, list) else []


def _keep(paths: Paths, runs: Sequence[Mapping[str, Any]]) -> None:
    write_private(paths.audit_runs, json.dumps(runs, ensure_ascii=False, separators=(",", ":")) + "\n")


def _first_look(facts: Facts, chain: Chain) -> Facts:
    """Before anything was accepted, what a new installation has is; afterwards only a person accepts."""
    note_policies(facts.paths, chain)
    _note_profile(facts, chain)
    # Tenants put their first files in place as they start: before all of them answer there is nothing to take as given.
    is_whole = all(part.answer is not None for part in facts.tenants.values())
    if is_whole and chain.newest("content.accepted") is None:
        found = current_contents(facts)
        chain.accept(found, actor="first look at a new installation")
        return replace(facts, accepted=Asked(found))
    return facts


def _note_profile(facts: Facts, chain: Chain) -> None:
    now = json.dumps(facts.profile.as_json(), sort_keys=True)
    newest = chain.newest("profile.changed")
    if newest is None or newest["detail"] != now:
        chain.note("profile.changed", actor="policies, and what is seen to run", subject="audit profile", detail=now)


def current_contents(facts: Facts) -> dict[str, str]:
    """Standing files and skills as they are."""
    return {**contents(facts, standing_files(facts)), **contents(facts, skill_folders(facts))}
