"""``clawgate upgrade``: a new version is tried on copies before it takes over; one that fails changes nothing."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli import json_option, paths_of, print_json, state_option

if TYPE_CHECKING:
    from gateway.upgrade.models import Report


@click.group("upgrade")
def cli() -> None:
    """Try a new version, and put it in the old one's place."""


@cli.command()
@click.option("--build", is_flag=True, help="Build the worker image that this version needs if it is missing.")
@state_option
@json_option
def check(state: Path | None, *, build: bool, as_json: bool) -> int:
    """Would this version take over the installation? Run it with the new version's own program.

    Policies are read, databases are copied and migrated, everything is started on the copies in the sandbox. The
    installation may run meanwhile and stays as it is. Exit 1 when it would not.
    """
    from gateway.upgrade.check import check as try_it
    from shared.obs.log import configure_logging

    configure_logging("clawgate", level="ERROR")
    with tempfile.TemporaryDirectory(prefix="clawgate-upgrade-") as folder:
        report = asyncio.run(try_it(paths_of(state), Path(folder), builds_image=build))
    if as_json:
        print_json(report.as_json())
    else:
        _show(report)
    return 0 if report.ok else 1


@cli.command()
@click.option(
    "--to",
    "source",
    type=click.Path(path_type=Path, exists=True, resolve_path=True),
    required=True,
    help="A wheel (installed beside the version in use), or a Python environment that has the new version.",
)
@state_option
@json_option
def run(source: Path, state: Path | None, *, as_json: bool) -> int:
    """Install beside, try, keep copies of the databases, set the link `current`, restart. Exit 1: the old one runs on.

    Works for environments side by side, under `clawgate up` and systemd (docs/upgrade.md); in Compose the images are
    built anew.
    """
    from gateway.upgrade import swap
    from shared.errors import GatewayError

    def say(line: str) -> None:
        click.echo(line, err=as_json)

    paths = paths_of(state)
    target, is_made = swap.prepare(source, say)
    say(f"trying {target}")
    try:
        report = swap.tried(target, paths)
    except GatewayError:
        if is_made:
            shutil.rmtree(target)
        raise
    if not as_json:
        _show(report)
    if not report.ok:
        if is_made:
            shutil.rmtree(target)
        if as_json:
            print_json(report.as_json())
        else:
            click.echo("The old version runs on; nothing was changed.")
        return 1
    kept = swap.keep_databases(paths)
    link, before = swap.put_in_place(target)
    say(f"{link} leads to {target} (before: {before}); the databases before it are in {kept}")
    did_restart = swap.restart(target, paths, say)
    if as_json:
        places = {"link": str(link), "before": str(before), "kept": str(kept), "restarted": did_restart}
        print_json(report.as_json() | places)
    elif did_restart:
        click.echo(f"version {report.version} runs")
    else:
        click.echo(f"Nothing of it runs here; start it: {link}/bin/clawgate up{paths.state_option}")
    return 0


def _show(report: Report) -> None:
    for step in report.steps:
        click.echo(f"{'ok  ' if step.ok else 'FAIL'}  {step.name}: {step.detail}")
    click.echo(f"version {report.version} {'can take over' if report.ok else 'cannot take over'}")
