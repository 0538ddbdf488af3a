"""``nanoclaw workers``: the containers the agents run in."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nanoclaw.operator import ask, common
from nanoclaw.runlog import newest_runs, show_runs
from shared.cli import json_option, on_clock, paths_of, print_json, print_json_line, print_table
from shared.config.zone import owner_zone

if TYPE_CHECKING:
    from nanoclaw.workers.files import Life

_REBUILD_TIMEOUT_S = 900.0
_STOP_TIMEOUT_S = 120.0


@click.group()
def workers() -> None:
    """The containers the agents run in."""


@workers.command("list")
@common
@json_option
def workers_list(state: Path | None, tenant: str, *, as_json: bool) -> None:
    """Show running workers. A paused one holds its memory and no processor; standby means started ahead."""
    found = ask(state, tenant, "workers.list")
    if as_json:
        print_json(found)
        return
    zone = owner_zone(paths_of(state))
    times = [on_clock(w["started_at"], zone, seconds=True) for w in found]
    rows = [
        (w["group"], w["container"], _state(w), w["run_id"] or None, w["memory_mb"] or None, since)
        for w, since in zip(found, times, strict=True)
    ]
    print_table(
        ("GROUP", "CONTAINER", "STATE", "RUN", "MB", "STARTED"),
        rows,
        empty="No worker runs; one starts with the next message.",
    )
    for worker in found:
        for note in worker["notes"]:
            click.echo(f"{worker['group']}: {note}")


def _state(worker: dict[str, Any]) -> str:
    kind = "standby" if worker["standby"] else "isolated" if worker["isolated"] else ""
    return f"{worker['state']} ({kind})" if kind else str(worker["state"])


@workers.command("stop-all")
@common
@json_option
def workers_stop_all(state: Path | None, tenant: str, *, as_json: bool) -> None:
    """Stop all workers; conversations go on in new ones, and a message being answered is tried again."""
    done = ask(state, tenant, "workers.stop_all", timeout_s=_STOP_TIMEOUT_S)
    print_json(done) if as_json else click.echo(f"stopped {done['stopped']} workers")


@workers.command("rebuild")
@common
@json_option
def workers_rebuild(state: Path | None, tenant: str, *, as_json: bool) -> None:
    """Build the worker image anew; resting workers of the old one end."""
    built = ask(state, tenant, "workers.rebuild", timeout_s=_REBUILD_TIMEOUT_S)
    if as_json:
        print_json(built)
        return
    click.echo(f"built {built['tag']}, {_megabytes(built['size_bytes'])}, named {built['image']} ({built['id'][:19]})")
    if built["ended_workers"]:
        click.echo(f"ended {built['ended_workers']} resting workers of the old image")


@workers.command("prune")
@common
@json_option
def workers_prune(state: Path | None, tenant: str, *, as_json: bool) -> None:
    """Empty the engine's build cache (docker builder prune -af) and remove outdated worker images of ours."""
    done = ask(state, tenant, "workers.prune", timeout_s=_REBUILD_TIMEOUT_S)
    if as_json:
        print_json(done)
        return
    removed = len(done["images"]) + done["nameless_images"]
    click.echo(
        f"freed {_megabytes(done['freed_bytes'])}: build cache {_megabytes(done['cache_bytes'])}, "
        f"{removed} worker images {_megabytes(done['image_bytes'])}"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"


@workers.command("logs")
@common
@click.argument("group", required=False, default="")
@click.option(
    "--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="Without GROUP: how many runs."
)
@click.option("--lives", type=click.IntRange(1, 100), default=1, show_default=True, help="How many workers back.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written from now on, until Ctrl-C.")
@json_option
def workers_logs(
    state: Path | None, tenant: str, group: str, limit: int, lives: int, *, follow: bool, as_json: bool
) -> None:
    """Show the log of GROUP's newest worker: its runs, how it ended, its last words; never what was said.

    With -f and --json it is one JSON object a line: the file, and what is new in it.

    The files are groups/GROUP/logs/container-TIME.log, one for each worker's life, and are read whether or not
    NanoClaw runs. Without GROUP: the newest runs of all groups.
    """
    if not group and follow:
        raise click.UsageError("-f needs a GROUP: the runs of all groups are not followed")
    if not group:
        show_runs(newest_runs(state, tenant, "", limit), owner_zone(paths_of(state)), as_json=as_json)
        return
    from nanoclaw.workers.files import WorkerFiles

    files = WorkerFiles(paths_of(state), tenant, group)
    found = files.lives(lives)
    if as_json and not follow:
        print_json([_told(life) for life in found])
        return
    seen = ""
    for life in chain(found, files.follow(found) if follow else ()):
        if as_json:
            print_json_line(_told(life))
        else:
            click.echo(life.text if life.file == seen else f"==> {life.file}\n{life.text}", nl=False)
        seen = life.file


def _told(life: Life) -> dict[str, str]:
    return {"file": life.file, "text": life.text}


@workers.command("debug")
@common
@click.argument("group")
@json_option
def workers_debug(state: Path | None, tenant: str, group: str, *, as_json: bool) -> None:
    """Print the debug log of GROUP's agent, as docker exec NAME cat /home/node/.claude/debug/latest does.

    It works for a paused or ended worker too, where docker exec does not.
    """
    from nanoclaw.workers.files import WorkerFiles

    text = WorkerFiles(paths_of(state), tenant, group).debug_log().decode(errors="replace")
    print_json({"group": group, "text": text}) if as_json else click.echo(text, nl=False)
