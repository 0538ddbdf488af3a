"""``openclaw import``: take over an original's state directory."""

from __future__ import annotations

from pathlib import Path

import click

from openclaw.cli_target import TENANT
from shared.cli import paths_of, print_json, print_table, state_option


@click.command()
@click.argument("source", type=click.Path(path_type=Path, file_okay=False))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--tenant", default=TENANT, show_default=True, help="Which OpenClaw takes it over.")
@state_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def cli(source: Path, state: Path | None, tenant: str, *, dry_run: bool, as_json: bool) -> int:
    """Take over the original OpenClaw's state directory SOURCE (usually ~/.openclaw), which stays as it is.

    OpenClaw must be stopped meanwhile. Repeating it is safe: what is here already stays. Tokens and sign-ins go to the
    gateway. Exit 1 when something was refused.
    """
    import asyncio
    from collections import Counter
    from dataclasses import asdict

    from openclaw.importing.service import run_import

    report = asyncio.run(run_import(source.expanduser(), tenant, paths_of(state), dry_run=dry_run))
    if as_json:
        print_json({"dryRun": report.dry_run, "items": [asdict(item) for item in report.items]})
    else:
        rows = [(item.outcome.upper(), item.kind, item.name, item.note or None) for item in report.items]
        print_table(("OUTCOME", "WHAT", "NAME", "NOTE"), rows, empty="The folder holds nothing to take over.")
        counts = Counter(item.outcome for item in report.items)
        click.echo(", ".join(f"{number} {outcome}" for outcome, number in counts.items()))
        if report.dry_run:
            click.echo("Nothing was written. Run it again without --dry-run to do this.")
    return 1 if any(item.outcome == "refused" for item in report.items) else 0
