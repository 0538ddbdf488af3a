"""``clawgate tenants``: the assistants of this installation, each a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli import json_option, paths_of, print_done, print_json, print_table, state_option

if TYPE_CHECKING:
    from gateway.tenants.models import Done
    from gateway.tenants.names import TenantKind


@click.group("tenants")
def cli() -> None:
    """List, add and remove assistants: any number of NanoClaws and OpenClaws, each with its own bot and state."""


@cli.command("list")
@state_option
@json_option
def list_(state: Path | None, *, as_json: bool) -> None:
    """Show all tenants."""
    from gateway.tenants.service import list_tenants

    found = list_tenants(paths_of(state))
    if as_json:
        print_json([tenant.as_json() for tenant in found])
        return
    print_table(
        ("TENANT", "KIND", "STATE", "PORT", "USER", "TOKEN", "ITS OWN POLICY"),
        [(t.name, t.kind, t.state, t.port, t.user or None, "yes" if t.has_token else "no", t.policy) for t in found],
        empty="There is none. Add one: clawgate tenants add NAME --kind nanoclaw",
    )


@cli.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(["nanoclaw", "openclaw"]), required=True, help="Which product it runs.")
@click.option(
    "--port", type=click.IntRange(1024, 65535), default=None, help="An OpenClaw's port; default: the first free one."
)
@click.option("--called", default="", help="A NanoClaw's name in chats (@NAME); default: the tenant's name.")
@state_option
@json_option
def add(name: str, kind: TenantKind, port: int | None, called: str, state: Path | None, *, as_json: bool) -> None:
    """Add a tenant NAME; with `clawgate up` running it starts at once, and the others go on undisturbed."""
    from gateway.tenants import service

    if port is not None and kind == "nanoclaw":
        raise click.UsageError("--port is for an OpenClaw: a NanoClaw listens nowhere")
    if called and kind == "openclaw":
        raise click.UsageError("--called is for a NanoClaw; an OpenClaw's name is agent.name of its policy file")
    _show(service.add(paths_of(state), name, kind, port=port, called=called), as_json=as_json)


@cli.command()
@click.argument("name")
@click.option("--purge", is_flag=True, help="Delete its conversations, files and secrets too.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting.")
@state_option
@json_option
def remove(name: str, state: Path | None, *, purge: bool, yes: bool, as_json: bool) -> None:
    """Stop the tenant NAME for good; its state stays unless --purge, and `tenants add` takes it up again."""
    from gateway.tenants import service

    paths = paths_of(state)
    if purge and not yes:
        question = f"This deletes {paths.tenant(name)} and its secrets for good. Type the tenant's name to go on"
        if click.prompt(question, default="", show_default=False).strip() != name:
            raise click.Abort
    _show(service.remove(paths, name, purge=purge), as_json=as_json)


@cli.command()
@state_option
@json_option
def apply(state: Path | None, *, as_json: bool) -> None:
    """Have what runs take up the tenants of policies/gateway.toml, after they were edited by hand."""
    from gateway.tenants.service import take_up

    told = take_up(paths_of(state))
    words = {
        "supervisor": "done: new tenants were started, removed ones stopped",
        "gateway": "the gateway knows; start and stop the tenants' own services",
        "nobody": "nothing runs now; it counts from the next start",
    }
    print_done({"taken_up_by": told}, words[told], as_json=as_json)


def _show(done: Done, *, as_json: bool) -> None:
    if as_json:
        print_json(done.as_json())
        return
    for line in done.lines:
        click.echo(line)
    if done.next_steps:
        click.echo("next:")
        for step in done.next_steps:
            click.echo(f"  {step}")
