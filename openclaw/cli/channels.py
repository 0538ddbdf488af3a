"""``openclaw channels``: how the chat channels are doing."""

from __future__ import annotations

from typing import Any

import click

from openclaw.cli_target import Target, target_options
from shared.cli import json_option, print_json, print_table
from shared.errors import ExitCode, Unavailable

_OF_THE_TIMEOUT = 0.8
"""How much of the command's time the platform gets, so that the gateway can still say that it did not answer."""


@click.group()
def cli() -> None:
    """How the chat channels are doing."""


@cli.command("status")
@target_options
@click.option("--probe", is_flag=True, help="Ask the platform itself, too: who the bot is, and what it may hear.")
@json_option
def channels_status(target: Target, *, probe: bool, as_json: bool) -> int:
    """Show every channel; 69 when the gateway does not answer, 1 when a probed platform does not."""
    params = {"probe": True, "timeoutMs": int(target.timeout_s * _OF_THE_TIMEOUT * 1000)} if probe else {}
    try:
        report = target.request("channels.status", params)
    except Unavailable as error:
        error.detail = f"Gateway not reachable: {error.detail}"
        raise
    rows = [(name, row) for name in report["channelOrder"] for row in report["channelAccounts"][name]]
    failed = probe and not all(row.get("probe", {}).get("ok", True) for _, row in rows)
    code = ExitCode.CRASH if failed else ExitCode.STOP
    if as_json:
        print_json(report)
        return code
    click.echo("Gateway reachable.")
    if not report["channelOrder"]:
        click.echo("No channel is switched on: see [discord] in policies/openclaw.toml.")
    for name, row in rows:
        click.echo(f"- {report['channelLabels'][name]} {row['accountId']}: {', '.join(_words(row))}")
    return code


def _words(row: dict[str, Any]) -> list[str]:
    return [
        "enabled" if row["enabled"] else "disabled",
        "configured" if row["configured"] else "not configured",
        "running" if row["running"] else "stopped",
        *(["connected"] if row.get("connected") else []),
        f"token:{row['tokenSource']}",
        *([f"error:{row['lastError']}"] if row["lastError"] else []),
        *_probe_words(row.get("probe")),
    ]


def _probe_words(probe: dict[str, Any] | None) -> list[str]:
    """What Discord itself said; shown once it was asked."""
    if probe is None:
        return []
    if not probe["ok"]:
        return [f"probe failed: {probe['error']}"]
    content = probe["application"]["intents"]["messageContent"]
    return [f"probe ok in {probe['elapsedMs']} ms", f"bot:@{probe['bot']['username']}", f"message content:{content}"]


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
