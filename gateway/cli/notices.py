"""``clawgate notices``: what the owner was told in a chat, and what still waits to be."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli import json_option, paths_of, print_json, print_table, state_option

if TYPE_CHECKING:
    from gateway.notices.models import StoredNotice
    from shared.config.paths import Paths

_SHOWN_CHARS = 70


@click.group()
def cli() -> None:
    """What the owner is told in a chat when something needs a person."""


@cli.command("list")
@click.option("--waiting", is_flag=True, help="Only those nobody was told yet.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@state_option
@json_option
def list_(state: Path | None, limit: int, *, waiting: bool, as_json: bool) -> int:
    """Show notices, newest first; exit 1 while one waits to be told.

    Reads the gateway's database, so it works whether or not the gateway runs.
    """
    notices = asyncio.run(_read(paths_of(state), limit, waiting=waiting))
    if as_json:
        print_json([_json(notice) for notice in notices])
    else:
        rows = [
            (
                f"{n.created_at:%Y-%m-%d %H:%M} UTC",
                n.kind,
                _state(n),
                n.text.partition("\n")[0].strip("*")[:_SHOWN_CHARS],
            )
            for n in notices
        ]
        print_table(("WHEN", "WHAT", "STATE", "NOTICE"), rows, empty="Nothing needed a person.")
        for notice in notices:
            if notice.state == "waiting":
                click.echo(f"\n{notice.text}")
    return 1 if any(notice.state == "waiting" for notice in notices) else 0


async def _read(paths: Paths, limit: int, *, waiting: bool) -> list[StoredNotice]:
    from gateway.notices.store import NoticeStore
    from gateway.reading import existing_database

    async with existing_database(paths) as database:
        if database is None:
            return []
        store = NoticeStore(database)
        return (await store.waiting())[::-1][:limit] if waiting else await store.recent(limit)


def _title(notice: StoredNotice) -> str:
    return notice.text.partition("\n")[0].strip("*")[:_SHOWN_CHARS]


def _state(notice: StoredNotice) -> str:
    if notice.state == "delivered":
        return f"told in {notice.chat} by {notice.tenant}"
    return f"{notice.state}: {notice.reason}" if notice.reason else notice.state


def _json(notice: StoredNotice) -> dict[str, str | None]:
    times = {"created_at": notice.created_at, "settled_at": notice.settled_at}
    return {**asdict(notice), **{name: moment.isoformat() if moment else None for name, moment in times.items()}}
