"""``openclaw models``: models and the sign-ins behind them."""

from __future__ import annotations

from pathlib import Path

import click

from openclaw.cli.sign_in import sign_in
from shared.cli import state_option


@click.group()
def cli() -> None:
    """Models and the sign-ins behind them."""


@cli.group(name="auth")
def models_auth() -> None:
    """Sign-ins at model providers."""


@models_auth.command(name="login-github-copilot")
@state_option
def login_github_copilot(state: Path | None) -> int:
    """Sign in at GitHub for Copilot (the policy's spelling of `clawgate auth login copilot`)."""
    return sign_in("copilot", state)
