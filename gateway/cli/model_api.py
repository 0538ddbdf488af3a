"""``clawgate model-api``: the port of the model API, closed and opened while the gateway goes on."""

from __future__ import annotations

from pathlib import Path

import click

from shared.cli import paths_of, state_option


@click.group()
def cli() -> None:
    """The model API's port; `systemctl stop copilot-api` and `… start copilot-api` call these."""


@cli.command("open")
@state_option
def open_(state: Path | None) -> None:
    """Listen again, with the keys file as it is now; when it listens already, nothing changes."""
    from shared.lifecycle.control import call

    port = call(paths_of(state).control_socket("gateway"), "model_api_open")["port"]
    click.echo(f"the model API listens on {port}")


@cli.command()
@state_option
def close(state: Path | None) -> None:
    """Listen no longer, until it is opened or the gateway starts; assistants go on."""
    from shared.lifecycle.control import call

    call(paths_of(state).control_socket("gateway"), "model_api_close")
    click.echo("the model API is closed")
