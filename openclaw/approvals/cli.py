"""``openclaw approvals``: see what waits, decide it, and take back what was allowed for good."""

from __future__ import annotations

import json
from typing import Any

import click

from openclaw.cli_target import Target, json_option, target_options
from shared.cli import print_json, print_table
from shared.errors import Invalid

_COMMAND_CHARS = 60


@click.group()
def cli() -> None:
    """Decide about commands that policies/exec.toml does not cover."""


@cli.command("list")
@click.option("--all", "show_all", is_flag=True, help="Decided and expired requests, too.")
@target_options
@json_option
def approvals_list(target: Target, *, show_all: bool, as_json: bool) -> None:
    """List requests that wait."""
    found = target.control("approvals.list", all=show_all)
    if as_json:
        print_json(found)
        return
    rows = [(row["id"], row["state"], _one_line(row["command"]), row["session"], row["expires_at"]) for row in found]
    print_table(("ID", "STATE", "COMMAND", "SESSION", "EXPIRES"), rows, empty="No command waits for an approval.")


@cli.command("show")
@click.argument("approval_id")
@target_options
@json_option
def approvals_show(target: Target, approval_id: str, *, as_json: bool) -> None:
    """Show everything about a request."""
    row = target.control("approvals.show", id=approval_id)
    if as_json:
        print_json(row)
        return
    click.echo(f"{row['id']}: {row['state']}{' by ' + row['decided_by'] if row['decided_by'] else ''}")
    click.echo(f"command:   {row['command']!r}")
    click.echo(f"program:   {row['program']}")
    for position, word in enumerate(row["words"]):
        click.echo(f"  word {position:<3} {word!r}")
    click.echo(f"executed:  {json.dumps(row['argv'])}")
    click.echo(f"folder:    {row['cwd'] or 'the workspace of its session'}")
    click.echo(f"variables: {', '.join(row['env_names']) or 'none'}")
    click.echo(f"asked:     {row['reason']} (rule {row['rule']})")
    click.echo(f"always:    {row['always_impossible_because'] or 'exactly these words in this folder'}")
    click.echo(f"session:   {row['session']}")
    click.echo(f"expires:   {row['expires_at']}")
    if row["outcome"]:
        click.echo(f"outcome:\n{row['outcome']}")


def _one_line(text: str) -> str:
    shown = repr(text)[1:-1]
    return shown if len(shown) <= _COMMAND_CHARS else f"{shown[:_COMMAND_CHARS]}…"


def _decide(target: Target, approval_id: str, answer: str, *, as_json: bool, **more: Any) -> None:  # noqa: ANN401 - the operation's own
    row = target.control("approvals.decide", id=approval_id, answer=answer, **more)
    if as_json:
        print_json(row)
    else:
        click.echo(f"{row['id']}: {row['state']}. The conversation is told what comes of it.")


@cli.command("allow")
@click.argument("approval_id")
@target_options
@json_option
def approvals_allow(target: Target, approval_id: str, *, as_json: bool) -> None:
    """Let a command run once."""
    _decide(target, approval_id, "allow", as_json=as_json)


@cli.command("always")
@click.argument("approval_id")
@click.option(
    "--hole",
    "holes",
    multiple=True,
    metavar="N=PREFIX",
    help="Word N of the agent's command may change after PREFIX (curl only).",
)
@target_options
@json_option
def approvals_always(target: Target, approval_id: str, holes: tuple[str, ...], *, as_json: bool) -> None:
    """Let exactly this command run now and in future."""
    pairs = []
    for hole in holes:
        position, equals, prefix = hole.partition("=")
        if not position.isdecimal() or not equals:
            raise Invalid(f"--hole {hole}: write N=PREFIX, such as 2=https://host/path/", code="approvals.holes")
        pairs.append([int(position), prefix])
    _decide(target, approval_id, "always", as_json=as_json, holes=pairs)


@cli.command("deny")
@click.argument("approval_id")
@target_options
@json_option
def approvals_deny(target: Target, approval_id: str, *, as_json: bool) -> None:
    """Refuse a command."""
    _decide(target, approval_id, "deny", as_json=as_json)


@cli.command("grants")
@target_options
@json_option
def approvals_grants(target: Target, *, as_json: bool) -> None:
    """List what was allowed for good."""
    found = target.control("approvals.grants")
    if as_json:
        print_json(found)
        return
    rows = [
        (row["id"], " ".join(_word(word) for word in row["words"]), row["cwd"] or "workspace", row["created_by"])
        for row in found
    ]
    print_table(("ID", "WORDS", "FOLDER", "BY"), rows, empty="Nothing was allowed for good.")


def _word(word: str | dict[str, str]) -> str:
    return repr(word) if isinstance(word, str) else f"<{word['prefix']}…>"


@cli.command("revoke")
@click.argument("grant_id")
@target_options
@json_option
def approvals_revoke(target: Target, grant_id: str, *, as_json: bool) -> None:
    """Take back what was allowed for good."""
    answer = target.control("approvals.revoke", id=grant_id)
    if as_json:
        print_json(answer)
    else:
        click.echo(f"Revoked {answer['revoked']}: the agent has to ask again.")
