"""``openclaw logs``: the newest log lines."""

from __future__ import annotations

import json

import click

from openclaw.cli_target import Target, json_option, target_options


@click.command()
@click.option("--limit", type=click.IntRange(1, 5000), default=200, show_default=True, help="How many lines.")
@target_options
@json_option
def cli(target: Target, limit: int, *, as_json: bool) -> None:
    """Show the newest log lines."""
    found = target.request("logs.tail", {"limit": limit})
    if as_json:
        meta = {key: found[key] for key in ("file", "cursor", "size")}
        click.echo(json.dumps({"type": "meta", **meta}))
    for line in found["lines"]:
        click.echo(json.dumps({"type": "log", "raw": line}) if as_json else line)
