"""``openclaw sessions``: conversations and what they use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from openclaw.cli_target import Target, target_options
from shared.cli import json_option, print_json, print_table


@click.group(invoke_without_command=True)
@click.option("--active", type=click.IntRange(min=1), default=None, help="Only those used in the last MINUTES.")
@click.option("--limit", type=click.IntRange(min=1), default=None, help="How many.")
@target_options
@json_option
@click.pass_context
def cli(context: click.Context, /, target: Target, active: int | None, limit: int | None, *, as_json: bool) -> None:
    """List sessions, the latest used first."""
    if context.invoked_subcommand is not None:
        return
    params = {name: value for name, value in (("activeMinutes", active), ("limit", limit)) if value is not None}
    report = target.request("sessions.list", params)
    if as_json:
        print_json(report)
        return
    rows = [
        (row["key"], row.get("label") or row.get("displayName"), row["kind"], _time(row), _used(row), row["model"])
        for row in report["sessions"]
    ]
    columns = ("SESSION", "NAME", "KIND", "USED (UTC)", "CONTEXT", "MODEL")
    print_table(columns, rows, empty="No session yet: write to the bot, or open `openclaw dashboard`.")


def _time(row: dict[str, Any]) -> str:
    return f"{datetime.fromtimestamp(row['updatedAt'] / 1000, UTC):%Y-%m-%d %H:%M}"


def _used(row: dict[str, Any]) -> str:
    window = row.get("contextTokens")
    return f"{row['totalTokens']} of {window}" if window else str(row["totalTokens"])


@cli.command("reset")
@click.argument("key")
@target_options
@json_option
def sessions_reset(target: Target, key: str, *, as_json: bool) -> None:
    """Begin a session anew; its transcript is kept aside."""
    _done(target.request("sessions.reset", {"key": key}), "A new session begins under", as_json=as_json)


@cli.command("compact")
@click.argument("key")
@target_options
@json_option
def sessions_compact(target: Target, key: str, *, as_json: bool) -> None:
    """Keep only the newest lines of a session's transcript."""
    _done(target.request("sessions.compact", {"key": key}), "Compacted", as_json=as_json)


@cli.command("delete")
@click.argument("key")
@click.option("--yes", is_flag=True, required=True, help="Really delete it.")
@target_options
@json_option
def sessions_delete(target: Target, key: str, *, yes: bool, as_json: bool) -> None:  # noqa: ARG001 - only to be given
    """Delete a session; its transcript is archived."""
    _done(target.request("sessions.delete", {"key": key}), "Deleted", as_json=as_json)


def _done(answer: dict[str, Any], words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{words} {answer['key']}")
