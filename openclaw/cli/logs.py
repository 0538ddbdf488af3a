"""``openclaw logs``: the newest log lines, and what comes after them."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from openclaw.cli_target import Target, target_options
from shared.cli import json_option

if TYPE_CHECKING:
    from shared.openclawclient.client import OpenClawClient

_POLL_S: Final = 1.0
_NAMES: Final = {"time": "ts", "level": "level", "message": "event", "subsystem": "process"}
_NOT_FACTS: Final = frozenset({"ts", "level", "event", "process", "time", "_meta", "0"})
"""Said elsewhere in the line, or a copy for clients of the original."""


@click.command()
@click.option("--limit", type=click.IntRange(1, 5000), default=200, show_default=True, help="How many lines.")
@click.option("--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@target_options
@json_option
def cli(target: Target, limit: int, *, follow: bool, as_json: bool) -> None:
    """Show the newest log lines; as JSON, one object a line with the line itself in ``raw``."""

    async def work(client: OpenClawClient) -> None:
        found = await client.request("logs.tail", {"limit": limit})
        if as_json:
            click.echo(json.dumps({"type": "meta", **{key: found[key] for key in ("file", "cursor", "size")}}))
        elif not found["lines"]:
            click.echo(f"No lines yet in {found['file']}.", err=True)
        while True:
            for line in found["lines"]:
                click.echo(json.dumps(_record(line), ensure_ascii=False) if as_json else _words(line))
            if not follow:
                return
            await asyncio.sleep(_POLL_S)
            found = await client.request("logs.tail", {"limit": 5000, "cursor": found["cursor"]})

    target.with_client(work)


def _fields(line: str) -> dict[str, Any]:
    """What a line says, when it is one of ours; else nothing."""
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) and "event" in entry else {}


def _record(line: str) -> dict[str, Any]:
    """A line with its time, level and message, where it is one of ours."""
    entry = _fields(line)
    found = {name: entry[key] for name, key in _NAMES.items() if entry.get(key) is not None}
    return {"type": "log", **found, "raw": line}


def _words(line: str) -> str:
    """A line for a person: when, how bad, what, and its facts."""
    entry = _fields(line)
    if not entry:
        return line
    facts = [f"{name}={value}" for name, value in entry.items() if name not in _NOT_FACTS]
    try:
        # On the clock it was written by, which is the owner's; the device may be anywhere.
        moment = datetime.fromisoformat(str(entry["ts"])).isoformat(" ", "seconds")
    except (KeyError, ValueError):
        moment = ""
    head = f"{moment} {str(entry.get('level', '')).upper():<7} {entry['event']}"
    return " ".join([head.strip(), *facts])
