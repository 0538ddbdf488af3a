"""``openclaw status``, ``health`` and ``dashboard``: how OpenClaw is doing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from openclaw.cli_target import Target, target_options
from shared.cli import json_option, paths_of, print_json
from shared.errors import ExitCode


@click.command()
@target_options
@json_option
def status(target: Target, *, as_json: bool) -> None:
    """Show how OpenClaw is doing."""
    report = target.control("status")
    if as_json:
        print_json(report)
        return
    click.echo(report["summary"])
    click.echo(f"connections {report['connections']}, runs {report['runs']}")
    _say_config(report["config"])
    if report["pending_devices"]:
        click.echo(f"{report['pending_devices']} device(s) wait for approval: openclaw devices list")


@click.command()
@target_options
@json_option
def health(target: Target, *, as_json: bool) -> int:
    """Ask the gateway for its health; 0 only when it is well."""
    return show_health(target, as_json=as_json)


def show_health(target: Target, *, as_json: bool) -> int:
    """Print the health; returns the exit code."""
    report = target.request("health")
    if as_json:
        print_json(report)
        return ExitCode.STOP if report["ok"] else ExitCode.CRASH
    click.echo(f"Agents: {', '.join(row['agentId'] for row in report['agents'])} (default)")
    if not report["channels"]:
        click.echo("Channels: none are switched on (policies/openclaw.toml)")
    for name, channel in report["channels"].items():
        words = "connected" if channel["connected"] else channel["lastError"] or "not connected"
        click.echo(f"{report['channelLabels'].get(name, name)}: {words}")
    _say_config(report["config"])
    click.echo(f"Session store: {report['sessions']['path']} ({report['sessions']['count']} entries)")
    return ExitCode.STOP if report["ok"] else ExitCode.CRASH


@click.command()
@target_options
@click.option("--no-open", is_flag=True, help="Accepted for compatibility; nothing is opened.")
@json_option
def dashboard(target: Target, *, no_open: bool, as_json: bool) -> None:  # noqa: ARG001 - a flag of the original
    """Print the Control UI's address with the token in it."""
    found = target.control("dashboard")
    url = f"{found['http_url']}#token={found['token']}"
    if as_json:
        print_json({"url": url})
    else:
        click.echo(f"Dashboard URL: {url}")


def run_tenant_process(tenant: str, state: Path | None) -> int:
    """Run the tenant until it is told to stop; returns its exit code."""
    import asyncio

    from openclaw.tenant import run

    return asyncio.run(run(tenant, paths_of(state)))


def _say_config(state: dict[str, Any]) -> None:
    """What is wrong with the configuration file while the last good one is in force."""
    for issue in state["issues"]:
        where = f"{issue['file']}:{issue['line']}" if issue["line"] else issue["file"]
        click.echo(f"configuration pending invalid, the last good one is in force: {where}: {issue['message']}")
    if state["waitsForRestart"]:
        click.echo(f"waits for a restart: {', '.join(state['waitsForRestart'])}")
