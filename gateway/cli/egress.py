"""``clawgate egress``: what agents fetched from the web, and what they were refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from shared.cli import json_option, on_clock, paths_of, print_json, print_table, state_option


@click.group()
def cli() -> None:
    """Web access of agents."""


@cli.command()
@state_option
@click.option("--tenant", default="", help="Only this tenant's requests.")
@click.option("--group", default="", help="Only this group's requests.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="The newest so many.")
@json_option
def log(state: Path | None, tenant: str, group: str, limit: int, *, as_json: bool) -> None:
    """Show web requests, the newest first: host and outcome, never a path or a query.

    Reads the gateway's database, so it works whether or not the gateway runs.
    """
    from gateway.egress.report import read_log
    from shared.config.zone import owner_zone
    from shared.ids import parse_name

    for kind, name in (("tenant", tenant), ("group", group)):
        if name:
            parse_name(kind, name)
    rows = asyncio.run(read_log(paths_of(state), limit, tenant=tenant, group=group))
    if as_json:
        print_json(rows)
        return
    zone = owner_zone(paths_of(state))
    print_table(
        ("AT", "TENANT", "GROUP", "RUN", "KIND", "HOST", "DECISION", "STATUS", "BYTES", "REASON"),
        [
            (
                on_clock(row["at"], zone, seconds=True),
                row["tenant"],
                row["group"],
                row["run_id"],
                row["kind"],
                row["host"] or None,
                row["decision"],
                row["status"] or None,
                row["bytes"],
                row["reason"] or None,
            )
            for row in rows
        ],
        empty="No agent asked for a web page yet. What may be fetched: policies/egress.toml.",
    )
