"""``openclaw gateway``: speak to the gateway directly."""

from __future__ import annotations

import json
from typing import Any

import click

from openclaw.cli_target import Target, json_option, target_options
from shared.cli import print_json
from shared.errors import GatewayError, Invalid


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


@cli.command("status")
@target_options
@json_option
def gateway_status(target: Target, *, as_json: bool) -> None:
    """Show where the gateway listens and whether it answers; exit 0 also when it does not."""
    report: dict[str, Any] = {"rpc": {"ok": False, "url": target.url or ""}}
    try:
        url, _ = target.address()
        report["rpc"]["url"] = url
        target.request("status")
        report["rpc"]["ok"] = True
    except GatewayError as error:
        report["rpc"]["error"] = error.detail
    if as_json:
        print_json(report)
        return
    click.echo(f"Gateway: bind=loopback {report['rpc']['url']}")
    click.echo(f"RPC probe: {'ok' if report['rpc']['ok'] else 'failed: ' + report['rpc']['error']}")
