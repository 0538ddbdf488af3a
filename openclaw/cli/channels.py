"""``openclaw channels``: how the chat channels are doing."""

from __future__ import annotations

from typing import Any

import click

from openclaw.cli_target import Target, json_option, target_options
from shared.cli import print_json, print_table
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


@cli.command("log")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many messages.")
@click.option("--chat", default="", help="Only of this chat, such as dc:123.")
@target_options
@json_option
def channels_log(target: Target, limit: int, chat: str, *, as_json: bool) -> None:
    """Show what became of the newest messages, and why; their text is not shown."""
    found = target.control("channels.log", limit=limit, chat=chat)
    if as_json:
        print_json(found)
        return
    rows = [
        (
            row["at"][:19].replace("T", " "),
            row["chatName"] or row["chat"],
            row["senderName"],
            row["fate"],
            row["reason"],
        )
        for row in found
    ]
    print_table(("AT (UTC)", "CHAT", "FROM", "FATE", "WHY"), rows, empty="No message has come yet.")
