"""Every command of all three programs that prints a result can print it for a program."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from gateway.cli.main import cli as clawgate
from nanoclaw.cli import cli as nanoclaw
from openclaw.cli import cli as openclaw

FOREGROUND = "runs until it is stopped"
ARTIFACT = "what it prints is a file to be stored as it is"
DIALOGUE = "a sign-in, which speaks with a person"

EXCEPTIONS = {
    "clawgate up": FOREGROUND,
    "clawgate gateway": FOREGROUND,
    "clawgate sandbox": FOREGROUND,
    "clawgate copilot-api start": FOREGROUND,
    "nanoclaw run": FOREGROUND,
    "openclaw run": FOREGROUND,
    "openclaw gateway run": FOREGROUND,
    "clawgate completion": ARTIFACT,
    "clawgate install compose": ARTIFACT,
    "clawgate tunnel config": ARTIFACT,
    "openclaw config schema": ARTIFACT,
    "clawgate copilot-api auth": DIALOGUE,
    "openclaw onboard": DIALOGUE,
    "openclaw models auth login-github-copilot": DIALOGUE,
}


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from commands(child, f"{path} {name}")


@pytest.mark.parametrize(("program", "cli"), [("clawgate", clawgate), ("nanoclaw", nanoclaw), ("openclaw", openclaw)])
def test_every_command_that_prints_a_result_has_json(program, cli):
    found = dict(commands(cli, program))
    without = {path for path, command in found.items() if not any("--json" in one.opts for one in command.params)}
    assert len(found) > 20
    assert without == {path for path in EXCEPTIONS if path.split()[0] == program}
