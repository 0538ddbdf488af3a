"""``openclaw approvals``: see what waits, decide it, and take back what was allowed for good."""

from __future__ import annotations

import json
import sys
from typing import Any, TextIO

import click

from openclaw.cli_target import Target, target_options
from shared.cli import json_option, print_json, print_table
from shared.errors import Invalid, NotFound

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


@cli.command("get")
@click.option("--gateway", is_flag=True, help="Accepted for compatibility; it is always the gateway's.")
@target_options
@json_option
def approvals_get(target: Target, *, gateway: bool, as_json: bool) -> None:  # noqa: ARG001 - a flag of the original
    """Show how commands are decided, and what was allowed for good, as the original's approvals file."""
    found = target.request("exec.approvals.get", {})
    if as_json:
        print_json(found)
        return
    click.echo(f"Decided by policies/exec.toml: {', '.join(f'{k}={v}' for k, v in found['file']['defaults'].items())}")
    rows = [(agent, entry["id"], entry["pattern"]) for agent, entry in _entries(found)]
    print_table(("AGENT", "ID", "ALLOWED"), rows, empty="Nothing was allowed for good.")


def _entries(snapshot: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    agents = snapshot["file"]["agents"].items()
    return [(agent, entry) for agent, rules in agents for entry in rules["allowlist"]]


@cli.command("set")
@click.option("--file", "source", type=click.File("r"), help="The approvals file as JSON; - reads standard input.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read it from standard input.")
@click.option("--gateway", is_flag=True, help="Accepted for compatibility; it is always the gateway's.")
@target_options
@json_option
def approvals_set(target: Target, source: TextIO | None, *, from_stdin: bool, gateway: bool, as_json: bool) -> None:  # noqa: ARG001 - a flag of the original
    """Replace the approvals file: entries can be taken away, never added."""
    stream = sys.stdin if from_stdin else source
    if stream is None:
        raise Invalid("give the file with --file NAME, or --stdin")
    try:
        file = json.load(stream)
    except ValueError as error:
        raise Invalid(f"the approvals file is not JSON: {error}", code="approvals.file") from None
    _write(target, file, "Updated", as_json=as_json)


def _write(target: Target, file: object, words: str, *, as_json: bool, base_hash: str = "") -> None:
    base = base_hash or target.request("exec.approvals.get", {})["hash"]
    answer = target.request("exec.approvals.set", {"file": file, "baseHash": base})
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{words}: {len(_entries(answer))} entries are allowed for good.")


@cli.group("allowlist")
def approvals_allowlist() -> None:
    """What was allowed for good."""


@approvals_allowlist.command("list")
@target_options
@json_option
def allowlist_list(target: Target, *, as_json: bool) -> None:
    """List the entries."""
    found = _entries(target.request("exec.approvals.get", {}))
    if as_json:
        print_json([{"agent": agent, **entry} for agent, entry in found])
        return
    rows = [(agent, entry["id"], entry["pattern"]) for agent, entry in found]
    print_table(("AGENT", "ID", "ALLOWED"), rows, empty="Nothing was allowed for good.")


def _change(target: Target, agent: str, pattern: str, *, remove: bool, as_json: bool) -> None:
    found = target.request("exec.approvals.get", {})
    allowlist = found["file"]["agents"].setdefault(agent, {"allowlist": []})["allowlist"]
    kept = [entry for entry in allowlist if pattern not in (entry["id"], entry["pattern"])]
    if remove and len(kept) == len(allowlist):
        raise NotFound(f"nothing that was allowed for good is {pattern!r}: openclaw approvals allowlist list")
    found["file"]["agents"][agent]["allowlist"] = kept if remove else [*allowlist, {"pattern": pattern}]
    words = "Removed" if remove else "Added"
    _write(target, found["file"], words, as_json=as_json, base_hash=found["hash"])


_agent_option = click.option("--agent", default="main", show_default=True, help="Whose.")
_gateway_flag = click.option("--gateway", is_flag=True, help="Accepted for compatibility; it is always the gateway's.")


@approvals_allowlist.command("add")
@click.argument("pattern")
@_agent_option
@_gateway_flag
@target_options
@json_option
def allowlist_add(target: Target, pattern: str, agent: str, *, gateway: bool, as_json: bool) -> None:  # noqa: ARG001 - a flag of the original
    """Refused in words: programs are allowed in policies/exec.toml, exact commands by answering "always"."""
    _change(target, agent, pattern, remove=False, as_json=as_json)


@approvals_allowlist.command("remove")
@click.argument("pattern")
@_agent_option
@_gateway_flag
@target_options
@json_option
def allowlist_remove(target: Target, pattern: str, agent: str, *, gateway: bool, as_json: bool) -> None:  # noqa: ARG001 - a flag of the original
    """Take an entry away, by its id or its text: the agent has to ask again."""
    _change(target, agent, pattern, remove=True, as_json=as_json)
