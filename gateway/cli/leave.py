"""``clawgate export`` and ``clawgate uninstall``: your data out, and the product off the machine."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from shared.cli import json_option, paths_of, print_json, state_option
from shared.config.paths import Paths


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@state_option
@json_option
def export(folder: Path, state: Path | None, *, as_json: bool) -> None:
    """Copy everything but secrets into FOLDER, readable without Clawgate; processes may run meanwhile."""
    from gateway.setup import leave

    done = asyncio.run(leave.export(paths_of(state), folder.absolute()))
    if as_json:
        print_json({"ok": True, "folder": str(folder.absolute()), "tenants": done})
        return
    for name, what in done.items():
        click.echo(f"{name}: {what['files']} files, {what['bytes'] / 1e6:.1f} MB")
    click.echo(f"{folder} holds it all; README.md there says what is what.")


@click.command("uninstall")
@state_option
@click.option("--purge", is_flag=True, help="Delete the state directory too: conversations, sign-ins, everything.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def uninstall(state: Path | None, *, purge: bool, yes: bool, as_json: bool) -> None:
    """Remove containers and sockets of a stopped installation; data stays unless --purge.

    Services go first: clawgate install systemd --uninstall.
    """
    paths = paths_of(state)
    if purge and not yes:
        typed = click.prompt(
            f"This deletes {paths.state} for good. Type its name to go on", default="", show_default=False
        )
        if typed.strip() not in {paths.state.name, str(paths.state)}:
            raise click.Abort
    asyncio.run(_say(paths, purge=purge, as_json=as_json))


async def _say(paths: Paths, *, purge: bool, as_json: bool) -> None:
    from gateway.setup import leave

    done = []
    async for line in leave.uninstall(paths, purge=purge):
        done.append(line)
        if not as_json:
            click.echo(line)  # at once: it may take a while
    if as_json:
        print_json({"done": done})
