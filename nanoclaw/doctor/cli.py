"""``nanoclaw doctor``: would a start work?"""

from __future__ import annotations

from pathlib import Path

import click

from nanoclaw.operator import common
from shared.cli import json_option, paths_of, print_json
from shared.errors import ExitCode


@click.command()
@common
@click.option("--setting", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the gateway's .env.")
@json_option
def doctor(tenant: str, settings: tuple[str, ...], state: Path | None, *, as_json: bool) -> int:
    """Examine NanoClaw with the code of its own start; exit 78 when a start refuses.

    `clawgate doctor` asks this, too, and hands over the settings that come from the gateway.
    """
    from nanoclaw.doctor.examine import EXAMINATIONS, Patient
    from shared.doctor.rows import examine

    given = {name: value for name, _, value in (setting.partition("=") for setting in settings)}
    rows = list(examine(EXAMINATIONS, Patient.of(paths_of(state), tenant, given)))
    failed = any(row.level == "fail" for row in rows)
    if as_json:
        print_json({"ok": not failed, "rows": [row.as_json() for row in rows]})
    else:
        for row in rows:
            click.echo(row.told())
    return int(ExitCode.CONFIG) if failed else 0
