"""``clawgate completion``: what a shell needs to complete the three commands."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

_PROGRAMS = ("clawgate", "nanoclaw", "openclaw")
_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)))
def cli(shell: str) -> None:
    """Print completion for a shell; for bash, append it to ~/.bashrc."""
    for program in _PROGRAMS:
        click.echo(_SHELLS[shell](click.Group(program), {}, program, f"_{program.upper()}_COMPLETE").source())
