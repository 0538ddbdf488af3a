"""``clawgate maintenance``: what every process does by itself, when, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from gateway.maintenance.report import Process, jobs_of, processes_of
from shared.cli import json_option, on_clock, paths_of, print_json, print_table, state_option
from shared.config.paths import Paths
from shared.errors import GatewayError, NotFound

_RUN_LIMIT_S = 900.0


@click.group()
def cli() -> None:
    """Jobs that run by themselves: logs, databases, tokens, disk."""


@cli.command("list")
@state_option
@json_option
def list_(state: Path | None, *, as_json: bool) -> int:
    """Show every process's jobs: next run, last run and what came of it; exit 1 while one has failed.

    A process that is down is read from its database.
    """
    paths = paths_of(state)
    jobs = [
        {"process": process.name, **job}
        for process in processes_of(paths)
        for job in jobs_of(process, paths, say=_note)
    ]
    if as_json:
        print_json(jobs)
    else:
        print_table(
            ("JOB", "NEXT", "LAST", "TOOK", "OUTCOME", "WHAT CAME OF IT"),
            [
                (
                    f"{job['process']}/{job['name']}",
                    "runs now" if job["running"] else on_clock(job["next_at"], ZoneInfo(job["zone"])),
                    on_clock(job["ended_at"], ZoneInfo(job["zone"])),
                    f"{job['duration_ms']} ms" if job["ended_at"] else None,
                    job["outcome"] or "has not run",
                    job["detail"],
                )
                for job in jobs
            ],
            empty=f"No process has run with state in {paths.state} yet. Start it with `clawgate up`.",
        )
    return 1 if any(job["failures"] for job in jobs) else 0


@cli.command()
@click.argument("name")
@state_option
@json_option
def run(name: str, state: Path | None, *, as_json: bool) -> int:
    """Run a job now and wait for it; exit 1 when it fails.

    NAME is a job such as `logs.rotate`, in every process that has it, or `nanoclaw/logs.rotate` for one process.
    """
    paths = paths_of(state)
    wanted, _, job = name.rpartition("/")
    results = [_run(process, paths, job) for process in _having(paths, wanted, job)]
    if as_json:
        print_json(results)
    else:
        for result in results:
            click.echo(f"{result['process']}/{result['name']}: {result['outcome']}, {result['detail']}")
    return 0 if all(result["outcome"] == "ok" for result in results) else 1


def _note(line: str) -> None:
    click.echo(line, err=True)


def _having(paths: Paths, wanted: str, job: str) -> list[Process]:
    processes = [process for process in processes_of(paths) if wanted in {"", process.name}]
    having = [p for p in processes if any(found["name"] == job for found in jobs_of(p, paths, say=_note))]
    if not having:
        where = f"{wanted} has" if wanted else "there is"
        raise NotFound(f"{where} no job {job!r}: see `clawgate maintenance list`", code="job.unknown")
    return having


def _run(process: Process, paths: Paths, job: str) -> dict[str, Any]:
    from shared.lifecycle.control import call

    try:
        done = call(paths.control_socket(process.name), "maintenance.run", timeout_s=_RUN_LIMIT_S, name=job)
        return {"process": process.name, **done}
    except GatewayError as error:
        return {"process": process.name, "name": job, "outcome": "failed", "detail": error.detail}
