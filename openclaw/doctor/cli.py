"""``openclaw doctor``: would a start work, and is everything that is configured in force?"""

from __future__ import annotations

from pathlib import Path

import click

from openclaw.cli_target import TENANT
from shared.cli import json_option, paths_of, print_json, state_option
from shared.errors import ExitCode


@click.command()
@click.option("--tenant", default=TENANT, show_default=True, help="Which OpenClaw, if there are several.")
@state_option
@json_option
def cli(tenant: str, state: Path | None, *, as_json: bool) -> int:
    """Examine OpenClaw with the code of its own start; exit 78 when a start refuses or old settings are in force."""
    from openclaw.doctor.examine import EXAMINATIONS, Patient
    from shared.doctor.rows import examine

    rows = list(examine(EXAMINATIONS, Patient.of(paths_of(state), tenant)))
    failed = any(row.level == "fail" for row in rows)
    if as_json:
        print_json({"ok": not failed, "rows": [row.as_json() for row in rows]})
    else:
        for row in rows:
            click.echo(row.told())
    return int(ExitCode.CONFIG) if failed else 0
