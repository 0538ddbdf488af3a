"""``openclaw security``: what is not as safe as it should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from openclaw.cli_target import TENANT
from shared.cli import json_option, paths_of, print_done, print_json, state_option

if TYPE_CHECKING:
    from shared.audit.models import Report


_WHOLE_LIMIT_S = 300.0


@click.group()
def cli() -> None:
    """Look at OpenClaw's security."""


@cli.command()
@click.option("--deep", is_flag=True, help="Accepted for compatibility; the running gateway is always asked.")
@click.option("--tenant", default=TENANT, show_default=True, help="Which OpenClaw, if there are several.")
@state_option
@json_option
def audit(tenant: str, state: Path | None, *, deep: bool, as_json: bool) -> int:  # noqa: ARG001 - a flag of the original
    """Check what is in force; exit 0 when nothing is open, 2 with an open critical finding, else 1.

    What cannot be checked counts as failed; some checks need OpenClaw to be running.
    """
    import asyncio

    from openclaw.audit.catalogue import CATALOGUE, report_view
    from openclaw.audit.facts import Facts
    from shared.audit.runner import run_checks

    report = asyncio.run(run_checks(CATALOGUE, Facts(paths_of(state), tenant)))
    if as_json:
        print_json(report_view(report))
    else:
        _show(report)
    counts = report.counts()
    return 2 if counts["critical"] else 1 if any(counts.values()) else 0


@cli.command("quick-audit")
@click.option("--tenant", default=TENANT, show_default=True, help="Which OpenClaw, if there are several.")
@state_option
@json_option
def quick_audit(tenant: str, state: Path | None, *, as_json: bool) -> int:
    """Show the audit of the whole installation as the original's quick-audit.sh did; exit 0, 2 or 1 likewise.

    The running gateway is asked; a run is done anew at most once an hour.
    """
    from shared.lifecycle.control import call

    answer = call(paths_of(state).control_socket(tenant), "audit.whole", timeout_s=_WHOLE_LIMIT_S)
    if as_json:
        print_json(answer)
    else:
        for line in answer["lines"]:
            click.echo(line)
    return int(answer["exit"])


@cli.command("quick-harden")
@click.option("--tenant", default=TENANT, show_default=True, help="Which OpenClaw, if there are several.")
@state_option
@json_option
def quick_harden(tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Tighten this tenant's own files, as the original's quick-harden.sh did; the rest is `clawgate audit --fix`."""
    from openclaw.audit.harden import harden

    done = list(harden(paths_of(state), tenant))
    rest = f"Applied {len(done)} hardening changes; on the host, `clawgate audit --fix` mends the rest"
    print_done({"changes": done}, *(f"🔧 {line}" for line in done), rest, as_json=as_json)


def _show(report: Report) -> None:
    counts = report.counts()
    click.echo("OpenClaw security audit")
    number = "incomplete" if report.score is None else f"{report.score} of 100"
    click.echo(f"Score: {number} ({', '.join(f'{count} {word}' for word, count in counts.items())} open)")
    for finding in report.findings:
        if not finding.is_open:
            continue
        click.echo(f"\n{finding.severity.upper()} {finding.id} {finding.title}")
        click.echo(f"  {'not known' if finding.result == 'unknown' else 'found'}: {finding.evidence}")
        click.echo(f"  fix: {finding.remediation}")
