"""``openclaw exec``: what an agent may run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from shared.cli import json_option, paths_of, print_json, print_table, state_option
from shared.errors import Invalid


@click.group("exec")
def cli() -> None:
    """What an agent may run."""


@cli.command("explain")
@click.argument("command", required=False)
@click.option("--batch", is_flag=True, help="Read JSON lines {id, command, env?, cwd?, path?, …} from standard input.")
@click.option("--cwd", default="", help="The command's working directory.")
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="A variable of the command.")
@state_option
@json_option
def exec_explain(
    command: str | None, cwd: str, variables: tuple[str, ...], state: Path | None, *, batch: bool, as_json: bool
) -> None:
    """Say what would happen to COMMAND, and which rule decides. Nothing runs, and nothing needs to be running."""
    from openclaw import exec_explain as explaining
    from shared.execpolicy.policy import load_exec_policy

    policy = load_exec_policy(paths_of(state))
    if batch:
        for answer in explaining.explain_batch(sys.stdin, policy):
            click.echo(json.dumps(answer, ensure_ascii=False))
        return
    if command is None:
        raise Invalid("name a command in quotes, or use --batch")
    env = dict(pair.partition("=")[::2] for pair in variables)
    decision = explaining.explain(explaining.Question(command=command, env=env, cwd=cwd), policy)
    told = explaining.as_json(decision)
    if as_json:
        print_json(told)
        return
    click.echo(f"{decision.verdict.upper()}: {decision.reason} (rule {decision.rule})")
    click.echo(f"argv: {json.dumps(told['argv'], ensure_ascii=False) if told['argv'] else 'none, it cannot run'}")
    if told["hosts"]:
        click.echo(f"hosts: {', '.join(told['hosts'])}")
    rows = [(finding.verdict, finding.rule, finding.reason) for finding in decision.findings]
    print_table(("SAYS", "RULE", "WHY"), rows, empty="")
