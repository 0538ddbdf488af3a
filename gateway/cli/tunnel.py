"""``clawgate tunnel``: the Cloudflare tunnel that brings people to the Control UI (row G6)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from shared.cli import json_option, paths_of, print_json, state_option

file_option = click.option(
    "--file", type=click.Path(path_type=Path, dir_okay=False), default=None, help="cloudflared's file; else policy's."
)


@click.group()
def cli() -> None:
    """The Cloudflare tunnel to the Control UI: its file, checks and state."""


@cli.command()
@state_option
@file_option
@click.option("--write", "writes", is_flag=True, help="Write it, and allow its origin in policies/openclaw.toml.")
def config(state: Path | None, file: Path | None, *, writes: bool) -> None:
    """Print cloudflared's file as policies/tunnel.toml asks for it."""
    from gateway.tunnel import service
    from gateway.tunnel.policy import load_tunnel
    from gateway.tunnel.render import render

    paths = paths_of(state)
    policy = load_tunnel(paths)
    if not writes:
        click.echo(render(policy), nl=False)
        return
    for sentence in service.write(policy, paths, file or Path(policy.config_file)):
        click.echo(sentence)


@cli.command()
@state_option
@file_option
@json_option
def validate(state: Path | None, file: Path | None, *, as_json: bool) -> int:
    """Check cloudflared's file, its credentials and OpenClaw's allowed origins."""
    from gateway.tunnel import service
    from gateway.tunnel.policy import load_tunnel

    paths = paths_of(state)
    policy = load_tunnel(paths)
    place = file or Path(policy.config_file)
    findings = service.validate(policy, paths, place)
    is_bad = service.worst(findings)
    if as_json:
        print_json({"ok": not is_bad, "file": str(place), "findings": [finding.as_json() for finding in findings]})
        return int(is_bad)
    for finding in findings:
        where = f"{place}:{finding.line}" if finding.line else str(place)
        click.echo(f"{finding.level}: {where}: {finding.text}; {finding.fix}")
    if not findings:
        click.echo(f"{place} is as it should be: {policy.hostname} leads to {policy.service}, all else to 404")
    return int(is_bad)


@cli.command()
@state_option
@json_option
def status(state: Path | None, *, as_json: bool) -> int:
    """Ask cloudflared whether visitors can come in; the exit code is 1 when they cannot."""
    from gateway.tunnel import service
    from gateway.tunnel.policy import load_tunnel

    found = asyncio.run(service.ask(load_tunnel(paths_of(state))))
    if as_json:
        print_json(found.as_json())
    elif found.is_up:
        click.echo(f"{found.hostname}: {found.connections} connections to the edge")
    else:
        click.echo(f"{found.hostname}: down; {found.reason}")
    return 0 if found.is_up else 1
