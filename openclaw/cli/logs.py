"""``openclaw logs``: the newest log lines, and what comes after them."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final

import click

from openclaw.cli_target import Target, json_option, target_options

if TYPE_CHECKING:
    from shared.openclawclient.client import OpenClawClient

_POLL_S: Final = 1.0


@click.command()
@click.option("--limit", type=click.IntRange(1, 5000), default=200, show_default=True, help="How many lines.")
@click.option("--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@target_options
@json_option
def cli(target: Target, limit: int, *, follow: bool, as_json: bool) -> None:
    """Show the newest log lines; as JSON, one object a line."""

    async def work(client: OpenClawClient) -> None:
        found = await client.request("logs.tail", {"limit": limit})
        if as_json:
            click.echo(json.dumps({"type": "meta", **{key: found[key] for key in ("file", "cursor", "size")}}))
        elif not found["lines"]:
            click.echo(f"No lines yet in {found['file']}.", err=True)
        while True:
            for line in found["lines"]:
                click.echo(json.dumps(_record(line)) if as_json else line)
            if not follow:
                return
            await asyncio.sleep(_POLL_S)
            found = await client.request("logs.tail", {"limit": 5000, "cursor": found["cursor"]})

    target.with_client(work)


def _record(line: str) -> dict[str, Any]:
    """A line with its time, level and message, where it is one of ours."""
    record: dict[str, Any] = {"type": "log", "raw": line}
    try:
        entry = json.loads(line)
    except ValueError:
        return record
    if isinstance(entry, dict):
        names = {"time": "timestamp", "level": "level", "message": "event", "subsystem": "logger"}
        record |= {name: entry[key] for name, key in names.items() if key in entry}
    return record
