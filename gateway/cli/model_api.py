"""``clawgate model-api``: the port of the model API, closed and opened while the gateway goes on."""

from __future__ import annotations

from pathlib import Path

import click

from shared.cli import json_option, paths_of, print_done, state_option


@click.group()
def cli() -> None:
    """The model API's port; `systemctl stop copilot-api` and `… start copilot-api` call these."""


@cli.command("open")
@state_option
@json_option
def open_(state: Path | None, *, as_json: bool) -> None:
    """Listen again, with the keys file as it is now; when it listens already, nothing changes."""
    from shared.lifecycle.control import call

    port = call(paths_of(state).control_socket("gateway"), "model_api_open")["port"]
    print_done({"port": port}, f"the model API listens on {port}", as_json=as_json)


@cli.command()
@state_option
@json_option
def close(state: Path | None, *, as_json: bool) -> None:
    """Listen no longer, until it is opened or the gateway starts; assistants go on."""
    from shared.lifecycle.control import call

    call(paths_of(state).control_socket("gateway"), "model_api_close")
    print_done({"closed": True}, "the model API is closed", as_json=as_json)
