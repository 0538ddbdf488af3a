"""``clawgate secrets``: what lies in the vault, by name. Values come from a prompt or a pipe, never from argv."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli import paths_of, print_json, print_table, state_option

if TYPE_CHECKING:
    from shared.secrets.vault import Vault

_TENANT = click.option("--tenant", default="gateway", show_default=True, help="Whose secret it is.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def open_vault(state: Path | None) -> Vault:
    """The vault of an installation, with keys from wherever this process is given them."""
    from shared.config.process import environment
    from shared.secrets.keyring import KEYS_VARIABLE
    from shared.secrets.vault import Vault

    return Vault.at(
        paths_of(state).gateway / "vault",
        environment=environment(KEYS_VARIABLE),
        credentials_directory=environment("CREDENTIALS_DIRECTORY"),
    )


@click.group()
def cli() -> None:
    """Secrets in the gateway's vault: names and dates are shown, values never."""


@cli.command("list")
@click.option("--tenant", default=None, help="Only this tenant's.")
@state_option
@_JSON
def list_(tenant: str | None, state: Path | None, *, as_json: bool) -> int:
    """Show names, versions and dates; exit 1 when something cannot be opened."""
    entries = asyncio.run(open_vault(state).names(tenant))
    if as_json:
        print_json(
            [
                {
                    "tenant": entry.tenant,
                    "name": entry.name,
                    "version": entry.version,
                    "versions": entry.versions,
                    "key": entry.key_id,
                    "written_at": entry.written_at and entry.written_at.isoformat(timespec="seconds"),
                    "problem": entry.problem or None,
                }
                for entry in entries
            ]
        )
    else:
        rows = [
            (
                entry.tenant,
                entry.name,
                entry.version,
                entry.versions,
                entry.key_id,
                f"{entry.written_at:%Y-%m-%d %H:%M} UTC" if entry.written_at else f"PROBLEM: {entry.problem}",
            )
            for entry in entries
        ]
        columns = ("TENANT", "NAME", "VERSION", "KEPT", "KEY", "WRITTEN")
        print_table(columns, rows, empty="The vault is empty. Add a secret with: clawgate secrets set NAME")
    return 1 if any(entry.problem for entry in entries) else 0


@cli.command("set")
@click.argument("name")
@_TENANT
@state_option
def set_(name: str, tenant: str, state: Path | None) -> None:
    """Store a secret; type it at the prompt, or pipe it in."""
    from shared.errors import Invalid

    if "=" in name:
        raise Invalid(
            "give the name only; the value is asked for, or piped in, so that it shows in no process list or history. "
            "If that value was real, consider it seen",
            code="secrets.value_in_argv",
        )
    value = _read_value(name)
    asyncio.run(open_vault(state).put(tenant, name, value.encode()))
    click.echo(f"{tenant}/{name} is stored")


@cli.command()
@click.argument("name")
@_TENANT
@state_option
def unset(name: str, tenant: str, state: Path | None) -> None:
    """Remove a secret and its kept versions."""
    from shared.errors import NotFound

    if not asyncio.run(open_vault(state).remove(tenant, name)):
        raise NotFound(f"the vault has no {tenant}/{name}: see `clawgate secrets list`")
    click.echo(f"{tenant}/{name} is removed")


@cli.command("import-env")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", "names", multiple=True, help="Only this name; may be given more than once.")
@click.option("--all", "everything", is_flag=True, help="Also names that do not look like secrets.")
@_TENANT
@state_option
def import_env(file: Path | None, names: tuple[str, ...], tenant: str, state: Path | None, *, everything: bool) -> None:
    """Copy secrets from a .env file (default: the gateway's own) into the vault; the file stays as it is."""
    from shared.config.envfile import read_env
    from shared.errors import NotFound

    file = file or paths_of(state).env_file
    if not file.exists():
        raise NotFound(f"{file} does not exist: name the .env file to import")
    values = read_env(file)
    if missing := sorted(set(names) - set(values)):
        raise NotFound(f"{file} has no {', '.join(missing)}; nothing was imported")
    chosen = {name: values[name] for name in names or values if names or everything or _looks_secret(name)}
    vault = open_vault(state)

    async def store() -> int:
        changed = 0
        for name, value in chosen.items():
            if await vault.get(tenant, name) != value.encode():
                await vault.put(tenant, name, value.encode())
                changed += 1
        return changed

    changed = asyncio.run(store())
    skipped = len(values) - len(chosen)
    click.echo(f"{changed} of {len(chosen)} imported as {tenant}'s, the others were there already; {skipped} skipped")


@cli.command("rotate-key")
@state_option
@_JSON
def rotate_key(state: Path | None, *, as_json: bool) -> None:
    """Make a new vault key, seal everything with it, and drop the old ones."""
    done = asyncio.run(open_vault(state).rotate())
    if as_json:
        print_json({"key": done.key_id, "resealed": done.resealed, "dropped": list(done.dropped)})
        return
    click.echo(f"{done.resealed} sealed files now use key {done.key_id}")
    if done.dropped:
        click.echo(f"dropped: {', '.join(done.dropped)}. Backups made before today still need the old key file")
    else:
        click.echo("The keys come from outside: remove all but the first there; to change it, put a new one before it")


def _read_value(name: str) -> str:
    from shared.errors import Invalid

    if sys.stdin.isatty():
        value = str(click.prompt(name, hide_input=True, err=True))
    else:
        try:
            value = sys.stdin.read()
        except UnicodeDecodeError:
            raise Invalid("what was piped in is not text; nothing was stored") from None
    # An editor's or echo's line end is not part of a secret; line ends inside (a PEM file) are.
    value = value.rstrip("\r\n")
    if not value.strip():
        raise Invalid(f"no value for {name} was given; nothing was stored")
    return value


def _looks_secret(name: str) -> bool:
    from shared.obs.redact import HIDDEN, redact

    return bool(redact("x", key=name) == HIDDEN)
