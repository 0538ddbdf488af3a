"""``clawgate audit``: what is not as safe as it should be, its score, and the chain of security-relevant events."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import click

from shared.cli import json_option, paths_of, print_json, print_table, state_option
from shared.config.paths import Paths

_RUN_LIMIT_S: Final = 300.0


@click.group(invoke_without_command=True)
@state_option
@json_option
@click.option("--fix", "does_fix", is_flag=True, help="Mend what can be mended safely, and look again.")
@click.option("--dry-run", is_flag=True, help="With --fix: only show what would be done.")
@click.option("--all", "shows_all", is_flag=True, help="Show what passed, too.")
@click.pass_context
def cli(
    context: click.Context, state: Path | None, *, as_json: bool, does_fix: bool, dry_run: bool, shows_all: bool
) -> int:
    """Look at the security of the whole installation and score it.

    Exit 0 when nothing is open, 2 with an open critical finding, else 1. A running gateway does the run and writes it
    down; without one, what it would have been asked counts as failed.
    """
    if context.invoked_subcommand is not None:
        return 0
    paths = paths_of(state)
    if does_fix:
        return _fix(paths, dry_run=dry_run, as_json=as_json)
    from gateway.audit.legacy import exit_code

    audit = ask_for_run(paths)
    if as_json:
        print_json(audit)
    else:
        _show(audit, paths, shows_all=shows_all)
    return exit_code(audit)


@cli.command()
@state_option
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="The newest so many.")
@json_option
def log(state: Path | None, limit: int, *, as_json: bool) -> None:
    """Show the chain of security-relevant events, oldest first."""
    from gateway.audit.chain import Chain

    rows = Chain(paths_of(state)).rows()[-limit:]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("ROW", "WHEN", "PROCESS", "WHAT", "WHO", "TO WHAT", "DETAIL"),
        [
            tuple(str(row[name])[:80] for name in ("seq", "at", "process", "kind", "actor", "subject", "detail"))
            for row in rows
        ],
        empty="Nothing was written down yet.",
    )


@cli.command()
@state_option
@json_option
def verify(state: Path | None, *, as_json: bool) -> int:
    """Check that no row of the chain was changed, removed, added or cut off; exit 1 names the row."""
    from gateway.audit.chain import Chain

    verdict = Chain(paths_of(state)).verify()
    if as_json:
        print_json(verdict.as_json())
    else:
        for problem in verdict.problems:
            click.echo(problem)
        said = "holds" if not verdict.problems else "DOES NOT HOLD: compare it with the newest backup's"
        click.echo(f"{verdict.rows} rows; the chain {said}. Head: {verdict.head}")
    return 1 if verdict.problems else 0


@cli.command()
@state_option
@click.option("--by", default="operator", show_default=True, help="Who read it.")
@json_option
def accept(state: Path | None, by: str, *, as_json: bool) -> None:
    """Accept the agents' standing files and skills as they are now; read what changed first."""
    from gateway.audit.chain import Chain
    from gateway.audit.gather import gather
    from gateway.audit.service import current_contents

    paths = paths_of(state)
    found = current_contents(gather(paths))
    Chain(paths).accept(found, actor=by)
    if as_json:
        print_json(found)
    else:
        click.echo(f"{len(found)} files and skills are accepted as they are")


def ask_for_run(paths: Paths) -> dict[str, Any]:
    """A run by the gateway, else by this command; one that the gateway did not do is not written down."""
    from gateway.audit.service import run_audit
    from shared.errors import Unavailable
    from shared.lifecycle.control import call

    try:
        found: dict[str, Any] = call(paths.control_socket("gateway"), "audit.run", timeout_s=_RUN_LIMIT_S)
    except Unavailable as error:
        if error.code != "control.not_running":
            raise
        return asyncio.run(run_audit(paths, keep=False)).as_json()
    return found


def _show(audit: dict[str, Any], paths: Paths, *, shows_all: bool) -> None:
    from gateway.audit.legacy import legacy_line

    number = f"{audit['score']} of 100" if audit["complete"] else "incomplete"
    counts = ", ".join(f"{count} {word}" for word, count in audit["open"].items())
    click.echo(f"Security audit of {paths.state} ({audit['profile']['deployment']})")
    click.echo(f"Score: {number} ({counts} open; of {len(audit['findings'])} checks)")
    if audit["worst_24h"] is not None and audit["worst_24h"] != audit["score"]:
        click.echo(f"Lowest of the last 24 hours: {audit['worst_24h']}")
    click.echo(legacy_line(audit))
    for row in audit["findings"]:
        if row["result"] in {"pass", "not_applicable"}:
            if shows_all:
                click.echo(f"{row['result']:15} {row['id']} {row['title']}")
            continue
        waived = f" (waived until {row['waiver']['expires']} by {row['waiver']['owner']})" if row["waiver"] else ""
        click.echo(f"\n{row['severity'].upper()} {row['id']} {row['title']}{waived}")
        click.echo(f"  {'not known' if row['result'] == 'unknown' else 'found'}: {row['evidence']}")
        if row["remediation"]:
            click.echo(f"  fix ({row['fix']}): {row['remediation']}")


def _fix(paths: Paths, *, dry_run: bool, as_json: bool) -> int:
    from gateway.audit.fixes import apply, plan

    steps = asyncio.run(plan(paths))
    done = [step.as_json() for step in steps] if dry_run else [d.as_json() for d in apply(paths, steps, ask_for_run)]
    if as_json:
        print_json(done)
    elif not done:
        click.echo("Nothing that can be mended safely is open.")
    else:
        for row in done:
            click.echo(f"{row['outcome']:12} {row['check']} {row['what']}")
    return 1 if any(row["outcome"] == "rolled back" for row in done) else 0
