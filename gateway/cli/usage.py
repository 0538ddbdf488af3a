"""``clawgate usage``: what models were asked, what it cost, and how far each budget is used."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shared.cli import json_option, on_clock, paths_of, print_json, print_table, state_option

if TYPE_CHECKING:
    from datetime import timedelta, tzinfo

_SINCE = re.compile(r"([1-9][0-9]{0,4})(m|h|d)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@click.command()
@state_option
@click.option("--since", default="", metavar="SPAN", help="Only calls of the last SPAN: 30m, 24h, 7d. Default: all.")
@click.option("--tenant", default="", help="Only this tenant's calls and budgets.")
@json_option
def cli(state: Path | None, since: str, tenant: str, *, as_json: bool) -> None:
    """Show model calls, what they were paid from, and the budgets.

    Reads the gateway's database, so it works whether or not the gateway runs. Costs are estimates at list prices.
    """
    from gateway.ledger import read_usage
    from shared.clock import SYSTEM_CLOCK
    from shared.config.zone import owner_zone
    from shared.ids import parse_name

    if tenant:
        parse_name("tenant", tenant)
    span = _span(since)
    now = SYSTEM_CLOCK.now()
    report = asyncio.run(read_usage(paths_of(state), now, since=now - span if span else None, tenant=tenant))
    if as_json:
        print_json(report)
    else:
        _print(report, owner_zone(paths_of(state)))


def _span(text: str) -> timedelta | None:
    from datetime import timedelta

    if not text:
        return None
    match = _SINCE.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not a span of time such as 30m, 24h or 7d", param_hint="--since")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _print(report: dict[str, Any], zone: tzinfo) -> None:
    calls = [
        (
            row["tenant"],
            row["provider"],
            row["model"],
            row["bucket"],
            row["requests"],
            row["errors"],
            row["input_tokens"],
            row["cached_tokens"],
            row["output_tokens"],
            f"{row['cost_micros'] / 1_000_000:.4f}",
        )
        for row in report["calls"]
    ]
    print_table(
        ("TENANT", "PROVIDER", "MODEL", "BUCKET", "CALLS", "ERRORS", "IN", "CACHED", "OUT", "EST. USD"),
        calls,
        empty="No model was asked yet.",
    )
    used = [row for row in report["buckets"] if row["requests"]]
    if used:
        click.echo()
        print_table(
            ("BUCKET", "KIND", "USED", "OF", "UNIT", "WINDOW", "RESETS"),
            [
                (
                    row["name"],
                    row["kind"],
                    f"{row['used']:g}",
                    row["allowance"],
                    row["unit"],
                    row["window"],
                    on_clock(row["resets_at"], zone),
                )
                for row in used
            ],
            empty="",
        )
    click.echo()
    print_table(
        ("BUDGET", "OF", "USED", "SET ASIDE", "LIMIT", "UNIT", "RESETS"),
        [
            (
                row["name"],
                row["scope"] or "each",
                f"{row['used']:g}",
                f"{row['reserved']:g}",
                f"{row['limit']:g}",
                row["unit"],
                on_clock(row["resets_at"], zone),
            )
            for row in report["budgets"]
        ],
        empty="No budget is set. To set one, see [budgets] in policies/budgets.toml.",
    )
