"""``clawgate logs``: every process's lines on one timeline."""

from __future__ import annotations

from pathlib import Path

import click

from shared.cli import paths_of, state_option
from shared.errors import NotFound


@click.command()
@state_option
@click.option("-f", "--follow", "follows", is_flag=True, help="Go on with what is written next.")
@click.option(
    "-n", "--lines", "count", type=click.IntRange(0, 100_000), default=50, show_default=True, help="How many."
)
@click.option("--tenant", "names", multiple=True, help="Only this tenant, or gateway; may be given more than once.")
@click.option("--run", default="", help="Only one run: its id, or the beginning of it.")
@click.option(
    "--level", type=click.Choice(["debug", "info", "warning", "error"]), default="debug", help="This level and worse."
)
@click.option("--json", "as_json", is_flag=True, help="The lines as they are: one JSON object each.")
def cli(
    state: Path | None, count: int, names: tuple[str, ...], run: str, level: str, *, follows: bool, as_json: bool
) -> None:
    """Show the newest log lines of all processes, in the order of their time. Nothing people said is in them."""
    import json

    from gateway.logs import Source, Wanted, follow, newest, readable
    from gateway.maintenance.report import processes_of
    from shared.config.zone import owner_zone

    paths = paths_of(state)
    known = [process.name for process in processes_of(paths)]
    if unknown := [name for name in names if name not in known]:
        raise NotFound(f"there is no process {unknown[0]!r}; there are: {', '.join(known)}", code="logs.process")
    sources = [Source(paths.process_log(name)) for name in known]
    zone = owner_zone(paths)
    wanted = Wanted(frozenset(names), run, level)

    def show(line: dict[str, object]) -> None:
        click.echo(json.dumps(line, ensure_ascii=False) if as_json else readable(line, zone))

    first = newest(sources, wanted, count)
    for line in first:
        show(line)
    if not first and not follows:
        what = f" of run {run}" if run else ""
        click.echo(f"No lines{what} yet, in {paths.process_log('gateway')} and those of the tenants.", err=True)
    if follows:
        for line in follow(sources, wanted):
            show(line)
