"""``clawgate status``: processes, bots, workers, what waits, sign-ins, jobs and budgets on one screen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from shared.cli import json_option, paths_of, print_json, print_table, state_option


@click.command()
@state_option
@json_option
def cli(state: Path | None, *, as_json: bool) -> int:
    """Show what runs and how it is doing; exit 1 while a process is not ready."""
    from gateway.overview import collect_overview

    report = collect_overview(paths_of(state))
    if as_json:
        print_json(report)
    else:
        _show(report)
    return 0 if report["ok"] else 1


def _show(report: dict[str, Any]) -> None:
    from gateway.overview import time_left
    from shared.clock import SYSTEM_CLOCK

    print_table(
        ("PROCESS", "STATE", "PID", "RESTARTS", "DETAIL"),
        [(p["name"], p["state"], p["pid"], p["restarts"], p["detail"] or p["reason"]) for p in report["processes"]],
        empty=f"Nothing runs with state in {report['state']}. Start it with `clawgate up` or `clawgate sandbox`.",
    )
    if not report["processes"]:
        return
    now = SYSTEM_CLOCK.now()
    if report["workers"]:
        parts = [f"{worker['tenant']}/{worker['group']} {worker['state']}" for worker in report["workers"]]
        click.echo(f"\nworkers   {', '.join(parts)}")
    else:
        click.echo("\nworkers   none")
    waiting = [
        f"{name} {count['waiting']}" + (f", {count['dead']} dead letters" if count["dead"] else "")
        for name, count in report["waiting"].items()
    ]
    click.echo(f"waiting   {'; '.join(waiting) or 'nothing is known'}")
    tokens = [
        f"{line['provider']}{'' if line['tenant'] == 'gateway' else ' of ' + line['tenant']} {line['health']}"
        + (f" ({left})" if (left := time_left(line["expires_at"], now)) else "")
        for line in report["sign_ins"]
    ]
    click.echo(f"sign-ins  {', '.join(tokens) or 'none'}")
    jobs = [
        f"{job['process']}/{job['name']} "
        + ("failed" if job["failures"] else "runs now" if job["running"] else f"in {time_left(job['next_at'], now)}")
        for job in report["jobs"]
    ]
    click.echo(f"jobs      {', '.join(jobs) or 'none'}")
    disk = [
        f"{use['tenant']} {use['used_bytes'] >> 20} of {use['limit_bytes'] >> 20} MB"
        for use in report["disk"]
        if not use["group"]
    ]
    click.echo(f"disk      {', '.join(disk) or 'not measured yet'}")
    budgets = [
        f"{row['name']} ({row['scope'] or 'each'}) {row['used']:g} of {row['limit']:g} {row['unit']}"
        for row in report["budgets"]
    ]
    click.echo(f"budgets   {', '.join(budgets) or 'none set'}")
    for problem in report["problems"]:
        click.secho(f"! {problem}", fg="red")
