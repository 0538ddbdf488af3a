"""``openclaw agents``: who answers."""

from __future__ import annotations

import click

from openclaw.cli_target import Target, target_options
from shared.cli import json_option, print_json, print_table


@click.group()
def cli() -> None:
    """Agents and their files."""


@cli.command("list")
@target_options
@json_option
def agents_list(target: Target, *, as_json: bool) -> None:
    """List agents."""
    report = target.request("agents.list", {})
    if as_json:
        print_json(report)
        return
    rows = [
        (row["id"], row.get("name"), "default" if row["id"] == report["defaultId"] else "") for row in report["agents"]
    ]
    print_table(("AGENT", "NAME", ""), rows, empty="There is no agent.")


@cli.command("files")
@click.argument("agent", default="main")
@target_options
@json_option
def agents_files(target: Target, agent: str, *, as_json: bool) -> None:
    """List the files that make an agent what it is."""
    report = target.request("agents.files.list", {"agentId": agent})
    if as_json:
        print_json(report)
        return
    rows = [
        (row["name"], "missing" if row["missing"] else f"{row['size']} bytes", row["path"]) for row in report["files"]
    ]
    print_table(("FILE", "SIZE", "PATH"), rows, empty="The workspace holds none of them.")
