"""``clawgate install``: makes an installation a service of the machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from shared.cli import json_option, paths_of, print_json, state_option


@click.group()
def cli() -> None:
    """Make this installation a service of the machine."""


@cli.command()
@state_option
@click.option(
    "--dry-run", "mode", flag_value="dry-run", default="dry-run", help="Show what would change (the default)."
)
@click.option(
    "--apply", "mode", flag_value="apply", help="Write the units and have them start at boot; starts nothing."
)
@click.option(
    "--uninstall", "mode", flag_value="uninstall", help="Stop the services and remove the units; keeps all data."
)
@click.option(
    "--replace",
    is_flag=True,
    help="Also files that somebody changed or others wrote; each is kept beside, what others' units run is stopped.",
)
@click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/"),
    help="Write below another folder and start nothing, for images.",
)
@click.option(
    "--vault-keys",
    type=click.Path(path_type=Path, exists=True, dir_okay=False, resolve_path=True),
    default=None,
    help="File with the vault's keys, handed to the gateway as a credential.",
)
@json_option
def systemd(state: Path | None, mode: str, root: Path, vault_keys: Path | None, *, replace: bool, as_json: bool) -> int:
    """Install, compare or remove systemd units: gateway, tenants, tunnel, each with rights of its own.

    With --dry-run the exit code is 1 while something differs, and 0 when all is as it should be.
    """
    from gateway.settings import Settings
    from gateway.units.install import apply, installation_of, look, remove

    if mode == "uninstall":
        return _say(remove(root, replace=replace), as_json=as_json)
    installation = installation_of(Settings.load(paths_of(state)), root, vault_keys=vault_keys)
    changes = look(installation, root)
    if mode == "apply":
        return _say(apply(changes, installation, root, replace=replace), as_json=as_json)
    if as_json:
        print_json([{"path": str(change.target), "standing": change.standing} for change in changes])
    else:
        for change in changes:
            click.echo(f"# {change.target}: {change.standing}")
            click.echo(change.diff(), nl=False)
    return 0 if all(change.standing == "same" for change in changes) else 1


def _say(lines: Iterator[str], *, as_json: bool) -> int:
    if as_json:
        print_json(list(lines))
        return 0
    for line in lines:
        click.echo(line)
    return 0


@cli.command()
@state_option
@click.option("--uid", type=click.IntRange(1), default=1000, show_default=True, help="User id of all containers.")
@click.option("--gid", type=click.IntRange(1), default=1000, show_default=True, help="Its group id.")
@click.option(
    "--engine",
    type=click.Path(path_type=Path),
    default=Path("/var/run/docker.sock"),
    show_default=True,
    help="The container engine's socket.",
)
@click.option("--apply", "is_applied", is_flag=True, help="Make the folders too, owned by that user.")
def compose(state: Path | None, uid: int, gid: int, engine: Path, *, is_applied: bool) -> None:
    """Print the variables of compose.yaml, for the file `.env` beside it; with --apply make the folders."""
    from gateway.settings import Settings
    from gateway.units.compose import ComposeSetup
    from shared.config.parse import parse_zone
    from shared.config.paths import Paths

    place = paths_of(state).state
    policy = Settings.policy_of(paths_of(state))
    setup = ComposeSetup(
        Paths.resolve(place, place / "run"),
        uid,
        gid,
        engine,
        tuple(name for name, tenant in policy.tenants.items() if tenant.enabled),
        parse_zone(policy.workers.timezone),
    )
    lines = list(setup.variables())
    if is_applied:
        setup.prepare()
    for line in lines:
        click.echo(line)
