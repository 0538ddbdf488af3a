"""``openclaw gateway``: speak to the gateway directly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openclaw.cli.status import run_tenant_process, show_health
from openclaw.cli_target import TENANT, Target, target_options
from shared.cli import json_option, print_json, state_option
from shared.clock import SYSTEM_CLOCK
from shared.errors import ExitCode, GatewayError, Invalid

if TYPE_CHECKING:
    from shared.openclawclient.client import OpenClawClient


@click.group()
def cli() -> None:
    """Speak to the gateway directly."""


@cli.command("call")
@click.argument("method")
@click.option("--params", default="{}", show_default=True, help="Parameters as JSON.")
@target_options
@json_option
def gateway_call(target: Target, method: str, params: str, *, as_json: bool) -> None:
    """Call any method of the protocol."""
    try:
        parsed = json.loads(params)
    except ValueError as error:
        raise Invalid(f"--params is not JSON: {error}", code="openclaw.params") from None
    payload = target.request(method, parsed)
    if as_json:
        print_json(payload)
    else:
        click.echo(f"Gateway call: {method}")
        click.echo(json.dumps(payload, indent=2, ensure_ascii=False))


@cli.command("run")
@click.option("--tenant", default=TENANT, show_default=True, help="Which OpenClaw, if there are several.")
@state_option
def gateway_run(tenant: str, state: Path | None) -> int:
    """Run the gateway in the foreground; `clawgate up` does it for you."""
    return run_tenant_process(tenant, state)


@cli.command("health")
@target_options
@json_option
def gateway_health(target: Target, *, as_json: bool) -> int:
    """Ask the gateway for its health, as `openclaw health` does."""
    return show_health(target, as_json=as_json)


@cli.command("status")
@target_options
@json_option
def gateway_status(target: Target, *, as_json: bool) -> int:
    """Show where the gateway listens and whether it answers; 69 when it does not."""
    report = probe(target, "status")
    if as_json:
        print_json(report)
    else:
        click.echo(f"Gateway:   {report['rpc']['url'] or 'not running'}")
        if report["rpc"]["url"]:
            click.echo(f"Dashboard: {dashboard_of(report['rpc']['url'])}")
        click.echo(f"RPC probe: {'ok' if report['rpc']['ok'] else 'failed: ' + report['rpc']['error']}")
    return ExitCode.STOP if report["rpc"]["ok"] else ExitCode.UNAVAILABLE


@cli.command("probe")
@target_options
@json_option
def gateway_probe(target: Target, *, as_json: bool) -> int:
    """Connect, ask three questions, and say how long it took; 69 when it cannot."""
    report = probe(target, "health", "status", "system-presence")
    if as_json:
        print_json(report)
    elif report["rpc"]["ok"]:
        click.echo(f"{report['rpc']['url']}: ok in {report['rpc']['ms']} ms (connect and three calls)")
    else:
        click.echo(f"{report['rpc']['url'] or 'gateway'}: {report['rpc']['error']}")
    return ExitCode.STOP if report["rpc"]["ok"] else ExitCode.UNAVAILABLE


def probe(target: Target, *methods: str) -> dict[str, Any]:
    """Connect and call methods; ``rpc`` says whether that worked, where, and in how many milliseconds."""
    rpc: dict[str, Any] = {"ok": False, "url": target.url or "", "ms": None, "error": None}

    async def ask(client: OpenClawClient) -> None:
        for method in methods:
            await client.request(method)

    try:
        rpc["url"], _ = target.address()
        began = SYSTEM_CLOCK.monotonic()
        target.with_client(ask)
        rpc["ms"] = round((SYSTEM_CLOCK.monotonic() - began) * 1000)
        rpc["ok"] = True
    except GatewayError as error:
        rpc["error"] = error.detail
    return {"rpc": rpc}


def dashboard_of(url: str) -> str:
    """The Control UI's address beside a WebSocket's."""
    return url.replace("ws", "http", 1)
