"""``clawgate secrets``: what lies in the vault and in ``.env``, by name. Values come from a prompt or a pipe."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.cli import json_option, paths_of, print_done, print_json, print_table, state_option
from shared.config.paths import Paths

if TYPE_CHECKING:
    from shared.gatewayclient.events import EventKind

_TENANT = click.option("--tenant", default="gateway", show_default=True, help="Whose secret it is.")


@click.group()
def cli() -> None:
    """Secrets in the gateway's vault and in .env: names and dates are shown, values never."""


@cli.command("list")
@click.option("--tenant", default=None, help="Only this tenant's.")
@state_option
@json_option
def list_(tenant: str | None, state: Path | None, *, as_json: bool) -> int:
    """Show what is stored in the vault and in .env, and which value counts; exit 1 when something cannot be opened.

    A name in the vault goes before the same name in .env; what is shadowed says by what.
    """
    from gateway.credentials.inventory import inventory

    rows = inventory(paths_of(state), tenant)
    if as_json:
        print_json([row.as_json() for row in rows])
    else:
        print_table(
            ("PLACE", "TENANT", "NAME", "VERSION", "KEPT", "KEY", "WRITTEN", "COUNTS"),
            [
                (
                    row.place,
                    row.tenant,
                    row.name,
                    row.version or None,
                    row.versions or None,
                    row.key_id or None,
                    f"{row.written_at:%Y-%m-%d %H:%M} UTC" if row.written_at else None,
                    row.counts,
                )
                for row in rows
            ],
            empty="Nothing is stored. Add a secret with: clawgate secrets set NAME",
        )
    return 1 if any(row.problem for row in rows) else 0


@cli.command("set")
@click.argument("name")
@_TENANT
@state_option
@json_option
def set_(name: str, tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Store a secret; type it at the prompt, or pipe it in. It goes before the same name in .env."""
    from gateway.credentials.environment import effective_name, is_setting
    from gateway.credentials.inventory import who_reads
    from gateway.credentials.vault import open_vault
    from shared.config.envfile import refuse_forbidden
    from shared.errors import Invalid

    if "=" in name:
        raise Invalid(
            "give the name only; the value is asked for, or piped in, so that it shows in no process list or history. "
            "If that value was real, consider it seen",
            code="secrets.value_in_argv",
        )
    if not is_setting(name):
        raise Invalid(
            f"{name!r} is not a name as .env has them (capital letters, digits, underscores): names in lower case are "
            "sign-ins, which are made with `clawgate auth login`",
            code="secrets.name",
        )
    refuse_forbidden({effective_name(tenant, name): "x", name: "x"}, where="the vault")
    value = _read_value(name)
    asyncio.run(open_vault(paths_of(state)).put(tenant, name, value.encode()))
    _note(paths_of(state), "secret.set", f"{tenant}/{name}")
    counts = who_reads(paths_of(state), tenant, name)
    done = {"tenant": tenant, "name": name, "stored": True, "note": counts}
    print_done(done, f"{tenant}/{name} is stored. {counts}", as_json=as_json)


@cli.command()
@click.argument("name")
@_TENANT
@state_option
@json_option
def unset(name: str, tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Remove a secret and its kept versions."""
    from gateway.credentials.environment import effective_name
    from gateway.credentials.vault import open_vault
    from shared.config.envfile import read_env
    from shared.errors import NotFound

    paths = paths_of(state)
    if not asyncio.run(open_vault(paths).remove(tenant, name)):
        raise NotFound(f"the vault has no {tenant}/{name}: see `clawgate secrets list`")
    _note(paths, "secret.removed", f"{tenant}/{name}")
    lines = [f"{tenant}/{name} is removed"]
    if still_set := effective_name(tenant, name) in read_env(paths.env_file):
        lines.append(f"{paths.env_file} still sets {effective_name(tenant, name)}, which counts from now on")
    done = {"tenant": tenant, "name": name, "removed": True, "still_in_env": still_set}
    print_done(done, *lines, as_json=as_json)


@cli.command("import-env")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", "names", multiple=True, help="Only this name; may be given more than once.")
@click.option("--all", "everything", is_flag=True, help="Also names that do not look like secrets.")
@_TENANT
@state_option
@json_option
def import_env(
    file: Path | None, names: tuple[str, ...], tenant: str, state: Path | None, *, everything: bool, as_json: bool
) -> None:
    """Copy secrets from a .env file (default: the gateway's own) into the vault; the file stays as it is.

    From then on the vault's values count: a change in the file is no longer seen.
    """
    from gateway.credentials.environment import WRITTEN_BACK, is_setting
    from gateway.credentials.vault import open_vault
    from shared.config.envfile import read_env
    from shared.errors import NotFound

    file = file or paths_of(state).env_file
    if not file.exists():
        raise NotFound(f"{file} does not exist: name the .env file to import")
    values = read_env(file)
    if missing := sorted(set(names) - set(values)):
        raise NotFound(f"{file} has no {', '.join(missing)}; nothing was imported")
    sign_ins = [name for name in values if name.endswith(WRITTEN_BACK)]
    wanted = [name for name in names or values if names or everything or _looks_secret(name)]
    chosen = {name: values[name] for name in wanted if is_setting(name) and name not in sign_ins}
    vault = open_vault(paths_of(state))

    async def store() -> int:
        changed = 0
        for name, value in chosen.items():
            if await vault.get(tenant, name) != value.encode():
                await vault.put(tenant, name, value.encode())
                changed += 1
        return changed

    changed = asyncio.run(store())
    if changed:
        _note(paths_of(state), "secret.set", f"{changed} of {tenant} from a file")
    skipped = len(values) - len(chosen)
    lines = [f"{changed} of {len(chosen)} imported as {tenant}'s, the others were there already; {skipped} skipped"]
    for name in sign_ins:
        network = "threads" if "THREADS" in name else "instagram"
        lines.append(f"{name} is a sign-in and was left out: clawgate auth import {network} --tenant T")
    if changed:
        lines.append("They count from the next start: clawgate restart gateway, then each tenant")
    done = {"tenant": tenant, "chosen": sorted(chosen), "changed": changed, "skipped": skipped, "sign_ins": sign_ins}
    print_done(done, *lines, as_json=as_json)


@cli.command("rotate-key")
@state_option
@json_option
def rotate_key(state: Path | None, *, as_json: bool) -> None:
    """Make a new vault key, seal everything with it, and drop the old ones."""
    from gateway.credentials.vault import open_vault

    done = asyncio.run(open_vault(paths_of(state)).rotate())
    _note(paths_of(state), "key.rotated", done.key_id)
    if as_json:
        print_json({"key": done.key_id, "resealed": done.resealed, "dropped": list(done.dropped)})
        return
    click.echo(f"{done.resealed} sealed files now use key {done.key_id}")
    if done.dropped:
        click.echo(f"dropped: {', '.join(done.dropped)}. Backups made before today still need the old key file")
    else:
        click.echo("The keys come from outside: remove all but the first there; to change it, put a new one before it")


def _note(paths: Paths, kind: EventKind, subject: str) -> None:
    """Write into the audit chain what was done; this command works as the gateway's user, gateway or not."""
    from gateway.audit.chain import Chain

    Chain(paths).note(kind, actor="operator", subject=subject)


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
