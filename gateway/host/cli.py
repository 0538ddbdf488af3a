"""``clawgate host``: the machine below."""

from __future__ import annotations

from pathlib import Path

import click

from shared.cli import paths_of, print_json, state_option

_MARKS = {"ok": "ok  ", "note": "note", "warn": "warn", "fail": "FAIL"}


@click.group()
def cli() -> None:
    """The machine below: ports, firewall, memory, swap and disk."""


@cli.command()
@state_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(state: Path | None, *, as_json: bool) -> int:
    """Say who reaches our ports, and whether there is room; exit 1 when strangers may."""
    from gateway.host.models import worst
    from gateway.host.service import examine

    findings = examine(paths_of(state))
    failed = worst(findings) == "fail"
    if as_json:
        print_json({"ok": not failed, "findings": [finding.as_json() for finding in findings]})
    else:
        for one in findings:
            click.echo(f"{_MARKS[one.level]}  {one.id}: {one.detail}" + (f"\n      fix: {one.fix}" if one.fix else ""))
    return int(failed)
