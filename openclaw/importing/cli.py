"""``openclaw import``: take over an original's state directory."""

from __future__ import annotations

from pathlib import Path

import click

from openclaw.cli_target import TENANT
from shared.cli import json_option, paths_of, print_import, state_option


@click.command()
@click.argument("source", type=click.Path(path_type=Path, file_okay=False))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--tenant", default=TENANT, show_default=True, help="Which OpenClaw takes it over.")
@state_option
@json_option
def cli(source: Path, state: Path | None, tenant: str, *, dry_run: bool, as_json: bool) -> int:
    """Take over the original OpenClaw's state directory SOURCE (usually ~/.openclaw), which stays as it is.

    OpenClaw must be stopped meanwhile. Repeating it is safe: what is here already stays. Tokens and sign-ins go to the
    gateway. Exit 1 when something was refused.
    """
    import asyncio

    from openclaw.importing.service import run_import

    report = asyncio.run(run_import(source.expanduser(), tenant, paths_of(state), dry_run=dry_run))
    return print_import(report, as_json=as_json)
