"""``openclaw message``: say something in a chat, as the bot."""

from __future__ import annotations

from uuid import uuid4

import click

from openclaw.cli_target import Target, target_options
from shared.cli import json_option, print_json


@click.group()
def cli() -> None:
    """Messages from the operator, not from the agent."""


@cli.command("send")
@click.option("--target", "-t", "place", required=True, help="Where: channel:ID or user:ID.")
@click.option("--message", "-m", "text", required=True, help="The text.")
@click.option("--channel", type=click.Choice(["discord"]), default="discord", show_default=True, help="Platform.")
@click.option("--key", default=None, help="Idempotency key: sent again with the same one, it is said once.")
@target_options
@json_option
def message_send(target: Target, place: str, text: str, channel: str, key: str | None, *, as_json: bool) -> None:
    """Send a message."""
    params = {"to": place, "message": text, "channel": channel, "idempotencyKey": key or str(uuid4())}
    answer = target.request("send", params)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"Sent: message {answer['messageId']} in {answer['channelId']}")
