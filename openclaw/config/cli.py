"""``openclaw config``: read and change ``openclaw.json``. Works on the file, whether the gateway runs or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from openclaw.cli_target import TENANT, source_of
from shared.cli import json_option, print_done, print_json, print_table, state_option
from shared.errors import ConfigError, Invalid

if TYPE_CHECKING:
    from openclaw.config.changing import Written
    from openclaw.config.snapshot import Source

_TENANT = click.option("--tenant", default=TENANT, show_default=True, help="Which OpenClaw, if there are several.")
_APPLIED = "A running gateway takes it up by itself."


@click.group()
def cli() -> None:
    """Read and change OpenClaw's own configuration, openclaw.json.

    The reviewed files in policies/ are its ceiling: what is in force is the stricter of both (`get --effective`).
    """


@cli.command()
@click.argument("path", required=False, default="")
@click.option("--effective", is_flag=True, help="What is in force, and which file decided.")
@_TENANT
@state_option
@json_option
def get(path: str, tenant: str, state: Path | None, *, effective: bool, as_json: bool) -> None:
    """Show the value at PATH (everything without one); works on a file that is not valid, too."""
    source = source_of(state, tenant)
    if effective:
        _get_effective(source, path, as_json=as_json)
        return
    from openclaw.config.editing import get_value, parse_path
    from openclaw.config.masking import masked

    where = parse_path(path) if path else ()
    document = source.check().document
    if document.issues and not document.parsed:
        raise ConfigError(document.issues[0].told(), code="config.syntax")
    value = masked(get_value(document.resolved or document.parsed, where), where)
    if as_json or not isinstance(value, str):
        click.echo(json.dumps(value, ensure_ascii=False, indent=None if as_json and where else 2))
    else:
        click.echo(value)


def _get_effective(source: Source, path: str, *, as_json: bool) -> None:
    snapshot = source.check().required()
    found = [row for row in snapshot.decisions if not path or (row.path + ".").startswith(path.rstrip(".") + ".")]
    if not found:
        raise Invalid(f"no policy bounds {path!r}: see `openclaw config get {path}`", code="config.path_missing")
    if as_json:
        print_json([row.as_json() for row in found])
        return
    rows = [(row.path, json.dumps(row.value, ensure_ascii=False), row.decided_by, row.reason) for row in found]
    print_table(("PATH", "IN FORCE", "DECIDED BY", "WHY"), rows, empty="")


@cli.command(name="set")
@click.argument("path")
@click.argument("value")
@click.option("--strict-json", is_flag=True, help="VALUE must be JSON5; without this, what is not is taken as text.")
@click.option("--json", "strict_alias", is_flag=True, help="The original's name for --strict-json.")
@_TENANT
@state_option
def set_(path: str, value: str, tenant: str, state: Path | None, *, strict_json: bool, strict_alias: bool) -> None:
    """Set the value at PATH. The whole result is checked as at a start before anything is written."""
    from openclaw.config.changing import edit_config, setting
    from openclaw.config.editing import parse_path, parse_value

    where = parse_path(path)
    parsed = parse_value(value, strict=strict_json or strict_alias)
    source = source_of(state, tenant)
    _wrote(source, edit_config(source, setting(where, parsed), _writer("config set")), f"Updated {path}.")


@cli.command()
@click.argument("path")
@_TENANT
@state_option
@json_option
def unset(path: str, tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Take the value at PATH out; also the way to remove an unknown key from a file that is not valid."""
    from openclaw.config.changing import edit_config, unsetting
    from openclaw.config.editing import parse_path

    source = source_of(state, tenant)
    edit = unsetting(parse_path(path), source.check().document)
    _wrote(source, edit_config(source, edit, _writer("config unset")), f"Removed {path}.", as_json=as_json)


def _writer(how: str) -> Any:  # noqa: ANN401 - imported lazily
    from openclaw.config.files import Writer
    from openclaw.config.policy import OPERATOR

    return Writer(OPERATOR, how)


def _wrote(source: Source, written: Written, done: str, *, as_json: bool = False) -> None:
    if as_json:
        print_json(
            {
                "path": str(source.path),
                "changed": written.changed,
                "before": written.before,
                "after": written.after,
                "comments_lost": written.comments_lost,
                "issues": [issue.as_json() for issue in written.left],
            }
        )
        return
    if not written.changed:
        click.echo(f"{source.path} says so already.")
        return
    click.echo(f"{done} {_APPLIED}")
    before = (written.before or "no file")[:12]
    backup = f", backup {source.path.name}.bak" if written.before else ""
    click.echo(f"{source.path}: sha256 {before} -> {written.after[:12]}{backup}", err=True)
    if written.comments_lost:
        click.echo(f"comments are lost where a program writes the file: the old text is {source.path}.bak", err=True)
    for issue in written.left:
        click.echo(f"still wrong: {issue.told()}", err=True)


@cli.command()
@_TENANT
@state_option
@json_option
def validate(tenant: str, state: Path | None, *, as_json: bool) -> int:
    """Check the file as a start would; exit 78 when it would refuse."""
    source = source_of(state, tenant)
    checked = source.check()
    warnings = checked.snapshot.warnings() if checked.snapshot is not None else []
    if as_json:
        print_json(
            {
                "valid": checked.snapshot is not None,
                "path": str(source.path),
                "exists": checked.document.exists,
                "issues": [issue.as_json() for issue in checked.issues],
                "warnings": [issue.as_json() for issue in warnings],
            }
        )
    else:
        for issue in checked.issues:
            click.echo(f"error: {issue.told()}")
        for issue in warnings:
            click.echo(f"note: {issue.told()}")
        state_word = "valid" if checked.snapshot is not None else "not valid: a start would refuse"
        click.echo(f"{source.path}: {state_word if checked.document.exists else 'not there, the defaults hold'}")
    return 0 if checked.snapshot is not None else int(ConfigError.exit_code)


@cli.command()
def schema() -> None:
    """Print the JSON Schema of openclaw.json, for editors."""
    from openclaw.config.shape import json_schema

    click.echo(json.dumps(json_schema(), ensure_ascii=False, indent=2))


@cli.command()
@click.option("--effective", is_flag=True, help="Where what is in force differs from what the file asks for.")
@click.option("--backup", type=click.IntRange(0, 4), default=0, show_default=True, help="Which backup to compare with.")
@_TENANT
@state_option
@json_option
def diff(tenant: str, state: Path | None, backup: int, *, effective: bool, as_json: bool) -> None:
    """Compare the file with its newest backup, or with what is in force."""
    source = source_of(state, tenant)
    if effective:
        held = [row for row in source.check().required().decisions if row.reason]
        if as_json:
            print_json([row.as_json() for row in held])
            return
        rows = [
            (row.path, json.dumps(row.wanted, default=list), json.dumps(row.value, default=list), row.decided_by)
            for row in held
        ]
        print_table(("PATH", "ASKED FOR", "IN FORCE", "DECIDED BY"), rows, empty="Everything asked for is in force.")
        return
    changes = _changes(source, backup)
    if as_json:
        print_json(changes)
        return
    lines = [(c["path"], json.dumps(c["before"]), json.dumps(c["after"])) for c in changes]
    print_table(("PATH", "BACKUP", "NOW"), lines, empty="The file says what its backup says.")


def _changes(source: Source, backup: int) -> list[dict[str, Any]]:
    from openclaw.config.editing import differences
    from openclaw.config.files import STAMP, backup_file
    from openclaw.config.issues import dotted
    from openclaw.config.masking import masked
    from shared.config.json5 import parse_json5
    from shared.errors import NotFound

    old = backup_file(source.path, backup)
    if not old.exists():
        raise NotFound(f"there is no backup {old}", code="config.backup")
    now = source.check().document.parsed
    return [
        {"path": dotted(path), "before": masked(was, path), "after": masked(new, path)}
        for path, was, new in differences(parse_json5(old.read_text(encoding="utf-8")).value, now)
        if path[:1] != STAMP
    ]


@cli.command(name="file")
@_TENANT
@state_option
@json_option
def file_(tenant: str, state: Path | None, *, as_json: bool) -> None:
    """Print where openclaw.json lies."""
    path = str(source_of(state, tenant).path)
    print_done({"path": path}, path, as_json=as_json)
