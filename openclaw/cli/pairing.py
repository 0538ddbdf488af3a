"""``openclaw pairing``: who may write to the bot in direct messages."""

from __future__ import annotations

import click

from openclaw.cli_target import Target, target_options
from shared.cli import json_option, print_json, print_table


@click.group()
def cli() -> None:
    """Let people write to the bot in direct messages."""


@cli.command("list")
@click.argument("channel", default="discord")
@target_options
@json_option
def pairing_list(target: Target, channel: str, *, as_json: bool) -> None:
    """List people who were given a code."""
    found = target.control("pairing.list", channel=channel)
    if as_json:
        print_json({"channel": channel, "requests": found})
        return
    rows = [(row["code"], row["id"], row["name"], row["createdAt"]) for row in found]
    print_table(("CODE", "USER ID", "NAME", "ASKED AT"), rows, empty=f"Nobody waits for pairing on {channel}.")


@cli.command("approve")
@click.argument("channel")
@click.argument("code", required=False)
@target_options
@json_option
def pairing_approve(target: Target, channel: str, code: str | None, *, as_json: bool) -> None:
    """Approve a code: openclaw pairing approve discord CODE."""
    if code is None:
        channel, code = "discord", channel
    answer = target.control("pairing.approve", channel=channel, code=code)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"Approved {channel} sender {answer['id']} ({answer['name']}).")
