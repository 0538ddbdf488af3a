"""``openclaw onboard``: sign-ins at model providers, which the gateway makes and keeps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import click

from openclaw.cli_target import TENANT
from shared.cli import paths_of, state_option
from shared.config.process import is_tenants_container
from shared.errors import Invalid
from shared.signing_in import Step, talk

_CALL_S: Final = 90.0  # above what the tenant gives the gateway


def sign_in(provider: str, state: Path | None) -> int:
    """Sign in at a provider; the token is the gateway's, and this tenant never holds one.

    In the tenant's own container the running tenant hands the steps on to the gateway, elsewhere ``clawgate auth``
    does it all.

    Raises:
        GatewayError: a step did not work; the tenant does not run, or the gateway or the provider says no.
    """
    if is_tenants_container():
        from shared.lifecycle.control import call

        socket = paths_of(state).control_socket(TENANT)

        def ask(step: Step, /, **params: str) -> Any:  # noqa: ANN401 - JSON
            return call(socket, f"sign_in.{step}", timeout_s=_CALL_S, provider=provider, **params)

        finish = f"docker compose exec gateway clawgate auth login {provider} --resume"
        return talk(ask, provider, finish=finish)
    where = ["--state", str(state)] if state else []
    command = [sys.executable, "-m", "gateway.cli.main", "auth", "login", provider, *where]
    return subprocess.run(command, check=False).returncode


@click.command()
@click.option("--auth-choice", type=click.Choice(["openai-codex", "github-copilot"]), required=True, help="Provider.")
@click.option("--accept-risk", is_flag=True, required=True, help="You know that an agent will act with this account.")
@state_option
def onboard(state: Path | None, auth_choice: str, *, accept_risk: bool) -> int:
    """Sign in at a model provider (the policy's spelling of `clawgate auth login`)."""
    if not accept_risk:
        raise Invalid("an agent will act with this account: repeat the command with --accept-risk")
    return sign_in({"openai-codex": "codex", "github-copilot": "copilot"}[auth_choice], state)
