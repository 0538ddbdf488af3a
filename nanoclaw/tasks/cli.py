"""``nanoclaw tasks``: what is scheduled, and what came of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import click

from nanoclaw.atrest import ask_or_read
from nanoclaw.operator import ask, common
from shared.cli import json_option, print_json, print_table

_TASK_COLUMNS = ("ID", "GROUP", "STATUS", "NEXT RUN", "SCHEDULE", "CONTEXT", "PROMPT")
_RUN_COLUMNS = ("SCHEDULED FOR", "TASK", "GROUP", "STATE", "SECONDS", "TOKENS", "USD", "OUTCOME")


def _read(state: Path | None, tenant: str, op: str, **params: Any) -> Any:  # noqa: ANN401 - JSON
    from nanoclaw.tasks.answers import READS
    from nanoclaw.tasks.store import TaskRows

    return ask_or_read(state, tenant, op, lambda c, tables: READS[op](TaskRows(c, tables), params), **params)


@click.group()
def tasks() -> None:
    """Prompts that are sent on a schedule."""


@tasks.command("list")
@common
@click.option("--group", default="", help="Only those of one group (folder or chat).")
@click.option("--all", "over", is_flag=True, help="Completed and cancelled ones too.")
@json_option
def tasks_list(state: Path | None, tenant: str, group: str, *, over: bool, as_json: bool) -> None:
    """Show the tasks, the next one to run first."""
    found = _read(state, tenant, "tasks.list", group=group, over=over)
    if as_json:
        print_json(found)
        return
    rows = [
        (t["id"], t["group"], t["status"], t["next_local"], t["schedule"]["text"], t["context"], _preview(t["prompt"]))
        for t in found
    ]
    empty = (
        "No task is scheduled. Ask the agent for one in its chat, or: "
        'nanoclaw tasks add GROUP "PROMPT" --cron "0 9 * * *"'
    )
    print_table(_TASK_COLUMNS, rows, empty=empty)


@tasks.command("show")
@common
@click.argument("task_id")
@json_option
def tasks_show(state: Path | None, tenant: str, task_id: str, *, as_json: bool) -> None:
    """Show one task in full, with its latest runs."""
    task = _read(state, tenant, "tasks.show", id=task_id)
    if as_json:
        print_json(task)
        return
    facts = {
        "task": task["id"],
        "group": task["group"],
        "status": f"{task['status']} ({task['reason']})" if task["reason"] else task["status"],
        "schedule": f"{task['schedule']['type']}, {task['schedule']['text']}",
        "next run": task["next_local"] or "none",
        "context": task["context"],
        "if missed": task["if_missed"] or "as the policy says",
        "made by": f"{task['made_by']}, {task['created_local']}",
    }
    for name, value in facts.items():
        click.echo(f"{name:<10}{value}")
    click.echo(f"\n{task['prompt']}\n")
    _print_runs(task["runs"])


@tasks.command("add")
@common
@click.argument("group")
@click.argument("prompt")
@click.option("--cron", default="", metavar="FIELDS", help="Repeat at times of day: '0 9 * * 1-5', or @daily.")
@click.option("--every", default="", metavar="DURATION", help="Repeat every so long: 30m, '2 hours'.")
@click.option("--at", default="", metavar="TIME", help="Once: '2030-05-01 09:00' on the owner's clock.")
@click.option(
    "--context",
    type=click.Choice(["isolated", "group"]),
    default="isolated",
    show_default=True,
    help="A conversation of its own for each run, or the group's.",
)
@click.option("--if-missed", type=click.Choice(["run_once", "skip"]), default=None, help="Instead of the policy's.")
@json_option
def tasks_add(
    state: Path | None,
    tenant: str,
    group: str,
    prompt: str,
    cron: str,
    every: str,
    at: str,
    context: str,
    if_missed: Literal["run_once", "skip"] | None,
    *,
    as_json: bool,
) -> None:
    """Have the agent of GROUP (folder or chat) do what PROMPT says; `-` reads PROMPT from standard input."""
    given = [(kind, value) for kind, value in (("cron", cron), ("interval", every), ("once", at)) if value]
    if len(given) != 1:
        raise click.UsageError("say when, with exactly one of --cron, --every and --at")
    [(kind, value)] = given
    task = ask(
        state,
        tenant,
        "tasks.add",
        group=group,
        prompt=sys.stdin.read() if prompt == "-" else prompt,
        schedule_type=kind,
        schedule_value=value,
        context=context,
        if_missed=if_missed,
    )
    _print_change(task, as_json=as_json)


@tasks.command("pause")
@common
@click.argument("task_id")
@json_option
def tasks_pause(state: Path | None, tenant: str, task_id: str, *, as_json: bool) -> None:
    """Let a task rest; a run that waits is taken back."""
    _print_change(ask(state, tenant, "tasks.pause", id=task_id), as_json=as_json)


@tasks.command("resume")
@common
@click.argument("task_id")
@json_option
def tasks_resume(state: Path | None, tenant: str, task_id: str, *, as_json: bool) -> None:
    """Let a paused task go on with its next time; what it missed is not made up for."""
    _print_change(ask(state, tenant, "tasks.resume", id=task_id), as_json=as_json)


@tasks.command("cancel")
@common
@click.argument("task_id")
@json_option
def tasks_cancel(state: Path | None, tenant: str, task_id: str, *, as_json: bool) -> None:
    """End a task for good; its history stays."""
    _print_change(ask(state, tenant, "tasks.cancel", id=task_id), as_json=as_json)


@tasks.command("run-now")
@common
@click.argument("task_id")
@json_option
def tasks_run_now(state: Path | None, tenant: str, task_id: str, *, as_json: bool) -> None:
    """Start a run of a task beside its schedule."""
    run = ask(state, tenant, "tasks.run_now", id=task_id)
    if as_json:
        print_json(run)
    else:
        click.echo(f"run {run['id']} waits for its turn in {run['chat']}")


@tasks.command("history")
@common
@click.argument("task_id", required=False, default="")
@click.option("--group", default="", help="Only runs of one group's tasks (folder or chat).")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many runs.")
@json_option
def tasks_history(state: Path | None, tenant: str, task_id: str, group: str, limit: int, *, as_json: bool) -> None:
    """Show the newest runs of all tasks or of one: outcome, duration, cost."""
    runs = _read(state, tenant, "tasks.history", id=task_id, group=group, limit=limit)
    if as_json:
        print_json(runs)
    else:
        _print_runs(runs)


def _print_change(task: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(task)
        return
    then = f", next run {task['next_local']}" if task["next_local"] else ""
    click.echo(f"{task['id']} of {task['group']} is {task['status']}{then} ({task['schedule']['text']})")


def _print_runs(runs: list[dict[str, Any]]) -> None:
    rows = [
        (
            run["scheduled_local"],
            run["task"],
            run["group"],
            run["state"],
            run["duration_s"],
            run["input_tokens"] + run["output_tokens"],
            f"{run['cost_usd']:.4f}",
            _preview(run["result"]) or run["reason"],
        )
        for run in runs
    ]
    print_table(_RUN_COLUMNS, rows, empty="No run yet: the list of tasks says when the next one is due.")


def _preview(text: str) -> str:
    from nanoclaw.tasks.views import preview

    return preview(text)
