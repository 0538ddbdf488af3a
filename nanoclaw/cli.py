"""The ``nanoclaw`` command: what an operator asks a running NanoClaw; heavy imports wait until they are needed."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Any, Literal

import click

from nanoclaw.atrest import ask_or_read
from nanoclaw.doctor.cli import doctor
from nanoclaw.operator import ask as _ask
from nanoclaw.operator import common as _common
from nanoclaw.tasks.cli import tasks
from nanoclaw.workers.cli import workers
from shared.cli import (
    guarded,
    json_option,
    on_clock,
    paths_of,
    print_done,
    print_import,
    print_json,
    print_json_line,
    print_table,
    state_option,
)
from shared.config.zone import owner_zone


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clawgate", prog_name="nanoclaw")
def cli() -> None:
    """Speak to NanoClaw: its groups, its workers, and the messages it could not answer."""


@cli.command(hidden=True)
@_common
def run(state: Path | None, tenant: str) -> int:
    """Run the tenant process; the supervisor and the service unit call this."""
    import asyncio

    from nanoclaw.tenant import run as run_tenant

    return asyncio.run(run_tenant(tenant, paths_of(state)))


@cli.command()
@_common
@json_option
def status(state: Path | None, tenant: str, *, as_json: bool) -> int:
    """Show how it is doing; exit 1 when it does not run, or a configured chat platform is not connected."""
    from nanoclaw.control import status_at_rest

    report = ask_or_read(state, tenant, "status", lambda c, tables: status_at_rest(c, tables, tenant))
    if as_json:
        print_json(report)
    else:
        _show_status(report)
    return 0 if report["running"] and all(one["state"] in {"online", "off"} for one in report["channels"]) else 1


def _show_status(report: dict[str, Any]) -> None:
    if not report["running"]:
        click.echo(f"{report['tenant']}: {report['summary']}")
        waiting = [(one["chat"], one["messages"]) for one in report["waiting"]]
        print_table(("CHAT", "WAITING"), waiting, empty="No chat is waiting for an answer.")
        return
    click.echo(f"{report['tenant']} (process {report['pid']}): {report['summary']}")
    for channel in report["channels"]:
        if channel["reason"]:
            click.echo(f"{channel['name']}: {channel['reason']}")
        if channel["dropped"]:
            lost = "could not be stored and were dropped: its log names them (channel.message_dropped)"
            click.echo(f"{channel['name']}: {channel['dropped']} messages {lost}")
    rows = [(lane["chat"], lane["state"], f"{lane['for_s']:.1f}", lane["position"] or None) for lane in report["lanes"]]
    print_table(("CHAT", "STATE", "SECONDS", "POSITION"), rows, empty="No chat is waiting for an answer.")


@cli.command()
@_common
@click.argument("group", required=False, default="")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True, help="How many runs.")
@json_option
def logs(state: Path | None, tenant: str, group: str, limit: int, *, as_json: bool) -> None:
    """Show the newest runs of all groups or of GROUP (its folder): when, how long, how they ended; never what was said.

    What a worker itself wrote: nanoclaw workers logs GROUP.
    """
    from nanoclaw.runlog import newest_runs, show_runs

    show_runs(newest_runs(state, tenant, group, limit), owner_zone(paths_of(state)), as_json=as_json)


@cli.group()
def groups() -> None:
    """The chats that are answered."""


@groups.command("list")
@_common
@json_option
def groups_list(state: Path | None, tenant: str, *, as_json: bool) -> None:
    """Show all groups."""
    from nanoclaw.control import groups_at_rest

    found = ask_or_read(state, tenant, "groups.list", groups_at_rest)
    if as_json:
        print_json(found)
        return
    rows = [
        (g["folder"], g["chat"], g["name"], "no" if not g["requires_trigger"] else "yes", g["added_by"]) for g in found
    ]
    print_table(
        ("FOLDER", "CHAT", "NAME", "TRIGGER", "ADDED BY"),
        rows,
        empty="No chat is registered. Add one: nanoclaw groups register --chat dc:CHANNEL_ID --folder main",
    )


@groups.command("register")
@_common
@click.option("--chat", required=True, help="The chat's address: dc:CHANNEL_ID on Discord, sl:CHANNEL_ID on Slack.")
@click.option("--folder", required=True, help="The group's folder; 'main' is the operator's own group.")
@click.option("--name", default="", help="A name for people.")
@click.option("--pattern", default="", help="A trigger pattern of its own instead of @NAME.")
@click.option(
    "--trigger/--no-trigger", "requires_trigger", default=None, help="Answer only when called, or everything."
)
@json_option
def groups_register(
    state: Path | None,
    tenant: str,
    chat: str,
    folder: str,
    name: str,
    pattern: str,
    *,
    requires_trigger: bool | None,
    as_json: bool,
) -> None:
    """Answer a chat from now on."""
    group = _ask(
        state,
        tenant,
        "groups.register",
        chat=chat,
        folder=folder,
        name=name,
        trigger_pattern=pattern,
        requires_trigger=requires_trigger,
    )
    print_done(group, f"registered {group['chat']} as {group['folder']}", as_json=as_json)


@groups.command("remove")
@_common
@click.argument("group")
@json_option
def groups_remove(state: Path | None, tenant: str, group: str, *, as_json: bool) -> None:
    """Stop answering a chat (GROUP is its folder or address): its run ends, what waits is settled; its folder stays."""
    removed = _ask(state, tenant, "groups.remove", group=group)
    print_done(removed, f"removed {removed['folder']} ({removed['chat']})", as_json=as_json)


@groups.command("new")
@_common
@click.argument("group")
@json_option
def groups_new(state: Path | None, tenant: str, group: str, *, as_json: bool) -> None:
    """Forget a group's conversation and begin a new one (GROUP is its folder or address)."""
    done = _ask(state, tenant, "groups.new", group=group)
    print_done(done, done["said"], as_json=as_json)


@groups.command("stop")
@_common
@click.argument("group")
@json_option
def groups_stop(state: Path | None, tenant: str, group: str, *, as_json: bool) -> None:
    """Stop what runs or waits in a group; none of it is tried again."""
    done = _ask(state, tenant, "groups.stop", group=group)
    print_done(done, done["said"], as_json=as_json)


@groups.command("status")
@_common
@click.argument("group")
@json_option
def groups_status(state: Path | None, tenant: str, group: str, *, as_json: bool) -> None:
    """Show how a group is doing: worker, run, queue, last run, what it used today."""
    report = _ask(state, tenant, "groups.status", group=group)
    text = report.pop("text")
    if as_json:
        print_json(report)
    else:
        click.echo(text)


cli.add_command(workers)


@cli.group()
def deadletters() -> None:
    """Messages that could not be answered or delivered."""


@deadletters.command("list")
@_common
@json_option
def deadletters_list(state: Path | None, tenant: str, *, as_json: bool) -> None:
    """Show them with the reason."""
    from nanoclaw.control import dead_letters_at_rest

    found = ask_or_read(state, tenant, "deadletters.list", dead_letters_at_rest)
    if as_json:
        print_json(found)
        return
    zone = owner_zone(paths_of(state))
    rows = [
        (
            d["id"],
            on_clock(d["at"], zone, seconds=True),
            d["chat"],
            d["who"] or None,
            d["tries"],
            d["reason"],
            d["text"],
        )
        for d in found
    ]
    print_table(("ID", "AT", "CHAT", "WHO", "TRIES", "REASON", "TEXT"), rows, empty="There are no dead letters.")


@deadletters.command("requeue")
@_common
@click.argument("ids", nargs=-1, required=True)
@json_option
def deadletters_requeue(state: Path | None, tenant: str, ids: tuple[str, ...], *, as_json: bool) -> None:
    """Try again what IDS name (in-12, out-3; see the list); with --json a line for each."""
    for one in ids:
        done = _ask(state, tenant, "deadletters.requeue", id=one)
        print_json_line(done) if as_json else click.echo(f"{done['id']} waits again in {done['chat']}")


@cli.group()
def route() -> None:
    """Who answers: the light route without a worker, or the group's agent."""


@route.command("explain")
@state_option
@click.argument("text")
@click.option(
    "--group-route",
    type=click.Choice(["auto", "agent", "light"]),
    default="auto",
    show_default=True,
    help="The group's own setting.",
)
@click.option("--attachments", type=click.IntRange(0, 10), default=0, show_default=True, help="Files sent along.")
@click.option(
    "--since-agent", type=click.FloatRange(0), default=None, metavar="SECONDS", help="When the agent last spoke there."
)
@click.option("--resting", is_flag=True, help="As if the light route were resting after a failure.")
@click.option("--as-if-enabled", is_flag=True, help="As if light.enabled were true.")
@json_option
def route_explain(
    state: Path | None,
    text: str,
    group_route: Literal["auto", "agent", "light"],
    attachments: int,
    since_agent: float | None,
    *,
    resting: bool,
    as_if_enabled: bool,
    as_json: bool,
) -> None:
    """Say who would answer TEXT, and which rule decides; nothing is sent, and nothing needs to run.

    Uses policies/nanoclaw.toml of the installation; `-` reads TEXT from standard input.
    """
    from nanoclaw.config import load
    from nanoclaw.router import RouteFacts, explain_route

    policy = load(paths_of(state)).light
    if as_if_enabled:
        policy = policy.model_copy(update={"enabled": True})
    told = explain_route(
        sys.stdin.read().rstrip("\n") if text == "-" else text,
        policy,
        group_route=group_route,
        attachments=attachments,
        facts=RouteFacts(light_ready=not resting, since_agent_s=since_agent),
    )
    if as_json:
        print_json(told)
        return
    model = f" ({told['model']})" if told["model"] else ""
    click.echo(f"{told['tier']}{model}: {told['reason']} (rule {told['rule']}, confidence {told['confidence']:g})")
    for candidate in told["candidates"]:
        fate = f"removed by {candidate['removed_by']}: {candidate['why']}" if candidate["removed_by"] else "chosen"
        click.echo(f"  {candidate['tier']}: {fate}")
    rows = [(r["rule"], r["tier"], r["why"] or None, "<-- decides" if r["decides"] else "") for r in told["rules"]]
    print_table(("RULE", "SAYS", "WHY", ""), rows, empty="")


@cli.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@_common
@click.option("--dry-run", is_flag=True, help="Only say what would happen; write nothing.")
@json_option
def import_(source: Path, state: Path | None, tenant: str, *, dry_run: bool, as_json: bool) -> int:
    """Take over the original NanoClaw's project folder SOURCE; the folder itself stays as it is.

    NanoClaw must be stopped meanwhile, but for a dry run. Repeating it is safe: what is here already stays. Exit 1
    when something was refused.
    """
    import asyncio

    from nanoclaw.config import load
    from nanoclaw.importing.service import run_import

    paths = paths_of(state)
    report = asyncio.run(run_import(source, tenant, paths, load(paths, tenant), dry_run=dry_run))
    return print_import(report, as_json=as_json)


cli.add_command(tasks)
cli.add_command(doctor)


def main() -> None:
    """The command's entry."""
    sys.exit(guarded(functools.partial(cli, standalone_mode=False), prog="nanoclaw"))


if __name__ == "__main__":
    main()
