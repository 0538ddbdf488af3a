"""The root of the ``openclaw`` command; every group lives in a module of its own, imported when it is called.

Gateway commands are real clients of the WebSocket on 18789, with a device identity of their own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click

from openclaw.cli_target import TENANT
from shared.cli import LazyGroup, guarded, state_option

MODULES: Final = {
    "agents": "openclaw.cli.agents",
    "approvals": "openclaw.approvals.cli",
    "config": "openclaw.config.cli",
    "channels": "openclaw.cli.channels",
    "cron": "openclaw.cron.cli",
    "dashboard": "openclaw.cli.status:dashboard",
    "devices": "openclaw.cli.devices",
    "doctor": "openclaw.doctor.cli",
    "exec": "openclaw.cli.exec_explain",
    "gateway": "openclaw.cli.gateway",
    "health": "openclaw.cli.status:health",
    "import": "openclaw.importing.cli",
    "logs": "openclaw.cli.logs",
    "memory": "openclaw.cli.memory",
    "message": "openclaw.cli.message",
    "models": "openclaw.cli.models",
    "onboard": "openclaw.cli.sign_in:onboard",
    "pairing": "openclaw.cli.pairing",
    "sessions": "openclaw.cli.sessions",
    "security": "openclaw.audit.cli",
    "status": "openclaw.cli.status:status",
}
"""Command → module, or module:name where it is not called ``cli``. A new command adds its line here."""


@click.group(cls=LazyGroup, modules=MODULES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="clawgate", prog_name="openclaw")
def cli() -> None:
    """Speak to OpenClaw: its gateway, its devices, and who may write to its bot."""


@cli.command(hidden=True)
@click.option("--tenant", default=TENANT)
@state_option
def run(state: Path | None, tenant: str) -> int:
    """Run the tenant process; the supervisor and the service unit call this."""
    from openclaw.cli.status import run_tenant_process

    return run_tenant_process(tenant, state)


def main() -> None:
    """Entry of the ``openclaw`` command."""
    sys.exit(guarded(lambda: cli.main(standalone_mode=False), prog="openclaw"))
