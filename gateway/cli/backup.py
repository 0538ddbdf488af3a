"""``clawgate backup``: encrypted copies on git remotes, and the way back (row G5)."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shared.cli import json_option, paths_of, print_done, print_json, print_table, state_option
from shared.config.paths import Paths
from shared.errors import Conflict, GatewayError, NotFound, Unavailable

if TYPE_CHECKING:
    from pyrage import x25519

    from gateway.backup.policy import BackupPolicy, RemotePolicy

_RUN_LIMIT_S = 1800.0

identity_option = click.option(
    "--identity",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    help="File with your age private key; default: the key in this installation's vault.",
)


@click.group()
def cli() -> None:
    """Encrypted backups on git remotes; see docs/backup.md."""


@cli.command()
@click.argument("tenants", nargs=-1)
@state_option
@json_option
def run(tenants: tuple[str, ...], state: Path | None, *, as_json: bool) -> int:
    """Back up now: TENANTS, or everything that has a remote; exit 1 when one fails."""
    paths = paths_of(state)
    policy = _policy(paths)
    results = [_run(paths, tenant) for tenant in tenants or _configured(policy)]
    if as_json:
        print_json(results)
    else:
        for result in results:
            click.echo(f"{result['tenant']}: {result['outcome']}, {result['detail']}")
    return 0 if all(result["outcome"] == "ok" for result in results) else 1


@cli.command("list")
@state_option
@json_option
def list_(state: Path | None, *, as_json: bool) -> int:
    """Show each tenant's remote and newest backup; exit 1 when one is missing or too old.

    Reads the gateway's database, so it works whether or not the gateway runs.
    """
    paths = paths_of(state)
    policy = _policy(paths)
    from gateway.backup.report import backup_rows

    rows = backup_rows(paths, policy)
    if as_json:
        print_json(rows)
    else:
        print_table(
            ("TENANT", "NEWEST (UTC)", "COMMIT", "FILES", "MB", "REMOTE", "SAYS"),
            [
                (
                    row["tenant"],
                    str(row["ok_at"] or "never")[:16].replace("T", " "),
                    row["commit"][:10] or None,
                    row["files"],
                    f"{row['bytes'] / 1e6:.1f}",
                    row["remote"],
                    "too old; " + row["detail"] if row["late"] else row["detail"],
                )
                for row in rows
            ],
            empty="No remote is configured: nothing is backed up. See docs/backup.md.",
        )
    return int(any(row["late"] for row in rows))


@cli.command()
@click.argument("tenant")
@state_option
@identity_option
@json_option
def verify(tenant: str, state: Path | None, identity: Path | None, *, as_json: bool) -> None:
    """Fetch a backup from its remote, decrypt all of it, and check its databases."""
    from gateway.backup import service

    paths = paths_of(state)
    remote = _remote(_policy(paths), tenant)
    with tempfile.TemporaryDirectory(prefix="clawgate-verify-") as folder:
        reading = asyncio.run(service.fetch(tenant, remote, Path(folder) / "copy", paths, _identities(identity)))
        found = service.verify(reading, Path(folder))
    if as_json:
        print_json({"ok": True, "tenant": tenant, **found})
    else:
        click.echo(
            f"{tenant}: {found['files']} files, {found['bytes'] / 1e6:.1f} MB, {found['databases']} databases sound"
        )


@cli.command()
@click.argument("tenant", required=False)
@state_option
@click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), help="An empty folder, laid out as a state directory."
)
@click.option(
    "--from", "source", default="", help="The repository; default: the tenant's remote in policies/backup.toml."
)
@identity_option
@click.option(
    "--drill", "is_drill", is_flag=True, help="Restore everything elsewhere, start the sandbox on it, compare."
)
@json_option
def restore(
    tenant: str | None,
    state: Path | None,
    to: Path | None,
    source: str,
    identity: Path | None,
    *,
    is_drill: bool,
    as_json: bool,
) -> None:
    """Bring a tenant's state back: into a folder of its own, or into this installation while it has none."""
    from gateway.backup import service
    from gateway.backup.policy import RemotePolicy

    paths = paths_of(state)
    policy = _policy(paths)
    if is_drill:
        _drill(policy, paths, as_json=as_json)
        return
    if tenant is None:
        raise click.UsageError("name a TENANT, or --drill for all")
    remote = RemotePolicy(url=source) if source else _remote(policy, tenant)
    target = Paths(to.absolute(), paths.runtime) if to else paths
    if to is None:
        _require_absent(paths, tenant)
    place = target.state if tenant == service.OWN else target.tenant(tenant)
    with tempfile.TemporaryDirectory(prefix="clawgate-restore-") as folder:
        reading = asyncio.run(service.fetch(tenant, remote, Path(folder) / "copy", paths, _identities(identity)))
        done = service.restore(reading, place, beside=tenant == service.OWN)
    if as_json:
        print_json({"ok": True, "tenant": tenant, "target": str(place), **done})
        return
    click.echo(f"{tenant}: {done['files']} files, {done['bytes'] / 1e6:.1f} MB in {place}")
    click.echo("Secrets are in no backup: sign in again (`clawgate auth status`) and fill in .env before the start.")


@cli.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def keygen(file: Path, *, as_json: bool) -> None:
    """Make an age key of your own for opening backups: the private half in FILE, the public half on the screen."""
    from pyrage import x25519

    from shared.secrets.files import write_private

    if file.exists():
        raise Conflict(f"{file} is there already", code="backup.target")
    identity = x25519.Identity.generate()
    public = str(identity.to_public())
    write_private(file, f"# public key: {public}\n{identity}\n")
    print_done({"file": str(file), "public_key": public}, public, as_json=as_json)
    click.echo(f"Add it to recipients in policies/backup.toml, and move {file} off this machine.", err=True)


def _policy(paths: Paths) -> BackupPolicy:
    from gateway.backup.policy import load_backup

    return load_backup(paths)


def _configured(policy: BackupPolicy) -> list[str]:
    if not policy.remotes:
        raise NotFound("no remote is configured: nothing is backed up. See docs/backup.md", code="backup.none")
    return list(policy.remotes)


def _remote(policy: BackupPolicy, tenant: str) -> RemotePolicy:
    try:
        return policy.remotes[tenant]
    except KeyError:
        there = ", ".join(policy.remotes) or "none"
        raise NotFound(
            f"{tenant} has no remote in policies/backup.toml (there are: {there}); give one with --from",
            code="backup.none",
        ) from None


def _identities(file: Path | None) -> list[x25519.Identity]:
    from gateway.backup.sealing import read_identities

    return [] if file is None else read_identities(file)


def _run(paths: Paths, tenant: str) -> dict[str, Any]:
    from shared.lifecycle.control import call

    try:
        done = call(paths.control_socket(tenant), "maintenance.run", timeout_s=_RUN_LIMIT_S, name="backup")
    except GatewayError as error:
        return {"tenant": tenant, "outcome": "failed", "detail": error.detail}
    return {"tenant": tenant, "outcome": done["outcome"], "detail": done["detail"]}


def _require_absent(paths: Paths, tenant: str) -> None:
    """An installation's own state is never replaced: it is moved away by a person first."""
    from gateway.backup.service import OWN

    place = paths.gateway_db if tenant == OWN else paths.tenant(tenant)
    if place.exists() and (place.is_file() or any(place.iterdir())):
        raise Conflict(
            f"{place} is there: stop the process and move it away first, or restore elsewhere with --to FOLDER",
            code="backup.target",
        )
    if paths.control_socket(tenant).exists():
        raise Unavailable(f"{tenant} may be running; stop it first: clawgate down", code="backup.target")


def _drill(policy: BackupPolicy, paths: Paths, *, as_json: bool) -> None:
    from gateway.backup.drill import as_sentence, drill
    from gateway.settings import Settings

    host = Settings.policy_of(paths).engine.host
    with tempfile.TemporaryDirectory(prefix="cg-drill-") as folder:
        found = asyncio.run(drill(policy, paths, Path(folder), docker_host=host))
    sentence = as_sentence(found)
    if as_json:
        print_json({"ok": True, "tenants": [one.as_json() for one in found]})
    else:
        click.echo(sentence)
