"""``openclaw channels``: how the chat channels are doing."""

from __future__ import annotations

from typing import Any

import click

from openclaw.cli_target import Target, json_option, target_options
from shared.cli import print_json
from shared.errors import Unavailable


@click.group()
def cli() -> None:
    """How the chat channels are doing."""


@cli.command("status")
@target_options
@click.option("--probe", is_flag=True, help="Ask the platform, too.")
@json_option
def channels_status(target: Target, *, probe: bool, as_json: bool) -> None:
    """Show every channel; 69 when the gateway does not answer."""
    try:
        report = target.request("channels.status", {"probe": probe})
    except Unavailable as error:
        error.detail = f"Gateway not reachable: {error.detail}"
        raise
    if as_json:
        print_json(report)
        return
    click.echo("Gateway reachable.")
    if not report["channelOrder"]:
        click.echo("No channel is switched on: see [discord] in policies/openclaw.toml.")
    for name in report["channelOrder"]:
        for row in report["channelAccounts"][name]:
            click.echo(f"- {report['channelLabels'][name]} {row['accountId']}: {', '.join(_words(row))}")


def _words(row: dict[str, Any]) -> list[str]:
    return [
        "enabled" if row["enabled"] else "disabled",
        "configured" if row["configured"] else "not configured",
        "running" if row["running"] else "stopped",
        *(["connected"] if row.get("connected") else []),
        f"token:{row['tokenSource']}",
        *([f"error:{row['lastError']}"] if row["lastError"] else []),
    ]
