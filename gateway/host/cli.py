"""``clawgate host``: the machine below."""

from __future__ import annotations

from pathlib import Path

import click

from shared.cli import json_option, paths_of, print_json, state_option
from shared.doctor.rows import MARKS


@click.group()
def cli() -> None:
    """The machine below: ports, firewall, memory, swap and disk."""


@cli.command()
@state_option
@json_option
def check(state: Path | None, *, as_json: bool) -> int:
    """Say who reaches our ports, and whether there is room; exit 1 when strangers may."""
    from gateway.host.service import examine

    rows = examine(paths_of(state))
    failed = any(row.level == "fail" for row in rows)
    if as_json:
        print_json({"ok": not failed, "rows": [row.as_json() for row in rows]})
    else:
        for row in rows:
            click.echo(f"{MARKS[row.level]}  {row.id}: {row.detail}" + (f"\n      fix: {row.fix}" if row.fix else ""))
    return int(failed)
