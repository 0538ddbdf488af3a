"""``openclaw onboard``: sign-ins at model providers, handed over to the gateway."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from shared.cli import state_option
from shared.config.process import is_tenants_container
from shared.errors import Invalid, Unavailable


def sign_in(provider: str, state: Path | None) -> int:
    """Hand over to ``clawgate auth``: sign-ins belong to the gateway, and this tenant never holds one.

    Raises:
        Unavailable: this is the tenant's own container, which cannot reach that part of the gateway.
    """
    if is_tenants_container():
        raise Unavailable(
            "sign-ins belong to the gateway, and this container sees nothing of them. Beside compose.yaml, run: "
            f"docker compose exec gateway clawgate auth login {provider}",
            code="sign_in.elsewhere",
        )
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
