"""``clawgate doctor``: would everything start, and what is weaker than it should be?"""

from __future__ import annotations

from pathlib import Path

import click

from shared.cli import json_option, print_json, state_option


@click.command()
@click.option("--offline", is_flag=True, help="Ask nobody outside this machine: no upstreams, no bots, no clock.")
@click.option("--quiet", is_flag=True, help="Show only what is not well.")
@state_option
@json_option
def cli(state: Path | None, *, offline: bool, quiet: bool, as_json: bool) -> int:
    """Examine everything with the code of a start; changes nothing. Exit 1 when something would not start.

    A line is ok, note, warn (works, but weaker or not as meant) or FAIL, with what to do.
    """
    from gateway.doctor.service import GATEWAY, Report, diagnose
    from shared.config.paths import Paths
    from shared.doctor.rows import refused
    from shared.errors import GatewayError

    try:
        report = diagnose(Paths.resolve(state), offline=offline)
    except GatewayError as error:
        report = Report({GATEWAY: [refused("paths", error)]})
    if as_json:
        print_json(report.as_json())
        return 0 if report.is_green else 1
    for name, rows in report.rows.items():
        shown = [row for row in rows if not quiet or row.level in {"warn", "fail"}]
        if shown:
            click.echo(f"{name}:")
        for row in shown:
            click.echo("  " + row.told().replace("\n", "\n  "))
    levels = [row.level for rows in report.rows.values() for row in rows]
    click.echo(f"{levels.count('fail')} to mend before a start, {levels.count('warn')} to know about")
    return 0 if report.is_green else 1
