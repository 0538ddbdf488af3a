"""``openclaw memory``: the agent's notes and earlier conversations."""

from __future__ import annotations

import click

from openclaw.cli_target import Target, target_options
from shared.cli import json_option, print_json, print_table


@click.group()
def cli() -> None:
    """Search what the agent noted and what was said before."""


@cli.command("search")
@click.argument("words", nargs=-1, required=True)
@click.option("--source", type=click.Choice(["all", "memory", "sessions"]), default="all", show_default=True)
@click.option("--limit", type=click.IntRange(1, 30), default=8, show_default=True, help="How many places.")
@target_options
@json_option
def memory_search(target: Target, words: tuple[str, ...], source: str, limit: int, *, as_json: bool) -> None:
    """Find notes and conversations by words; the beginning of a word is enough."""
    found = target.control("memory.search", query=" ".join(words), source=source, max_results=limit)
    if as_json:
        print_json(found)
        return
    print_table(("WHERE", "WORDS"), [(row["where"], row["snippet"]) for row in found], empty="Nothing was found.")
