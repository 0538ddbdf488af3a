"""What all three commands share: how errors and results reach a person.

Answers go to standard output, progress and errors to standard error; every read command has ``--json``.
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from shared.config.paths import Paths
from shared.config.process import log_level
from shared.errors import ExitCode, GatewayError, Internal
from shared.obs.redact import redact_text

if TYPE_CHECKING:
    from shared.importing import Report


class LazyGroup(click.Group):
    """A group whose larger subcommands live in modules of their own, imported when they are called.

    Args:
        modules: command → module whose ``cli`` it is, or ``module:name``.
    """

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, imported or not."""
        return sorted({*super().list_commands(ctx), *self._modules})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by name."""
        if place := self._modules.get(cmd_name):
            module, _, name = place.partition(":")
            command: click.Command = getattr(importlib.import_module(module), name or "cli")
            return command
        return super().get_command(ctx, cmd_name)


def guarded(main: Callable[[], Any], *, prog: str) -> int:
    """Run a command so that no traceback reaches a person.

    Args:
        main: the click entry, called with ``standalone_mode=False``.
        prog: the command's name, for messages.

    Returns:
        The process exit code (see `shared.errors.ExitCode`).
    """
    try:
        result = main()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return int(ExitCode.USAGE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    except GatewayError as error:
        report(error, prog=prog)
        return int(getattr(error, "remote_exit_code", error.exit_code))
    except BrokenPipeError:
        return int(ExitCode.STOP)
    except Exception as error:  # noqa: BLE001 - the last line of defence: no traceback reaches a person
        return _defect(error, prog=prog)
    return result if isinstance(result, int) else int(ExitCode.STOP)


def _defect(error: Exception, *, prog: str) -> int:
    if log_level() == "DEBUG":
        traceback.print_exception(error)
    what = f"{type(error).__name__}: {error}" if not isinstance(error, ExceptionGroup) else repr(error.exceptions[0])
    hint = "this is a defect of ours; set CLAWGATE_LOG_LEVEL=DEBUG to see where"
    report(Internal(f"{redact_text(what)} ({hint})"), prog=prog)
    return int(ExitCode.CRASH)


def report(error: GatewayError, *, prog: str) -> None:
    """Print an error for a person, or as JSON when the command was called with ``--json``."""
    if "--json" in sys.argv:
        click.echo(json.dumps({"ok": False, "code": error.code, "detail": error.detail}, ensure_ascii=False))
        return
    click.secho(f"{prog}: {error.detail}", fg="red" if sys.stderr.isatty() else None, err=True)


def print_json(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """One JSON value on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None, default=str))


def print_json_line(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """One of several JSON values, on a line of its own (NDJSON), and at once."""
    click.echo(json.dumps(value, ensure_ascii=False, default=str))


def print_done(done: Any, *lines: str, as_json: bool) -> None:  # noqa: ANN401 - any JSON value
    """What a command did: as JSON for a program, in `lines` for a person."""
    if as_json:
        print_json(done)
        return
    for line in lines:
        click.echo(line)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """A plain table, or a sentence that says what to do when there is nothing to show."""
    body = [[str(cell) if cell is not None else "-" for cell in row] for row in rows]
    if not body:
        click.echo(empty)
        return
    widths = [max(len(row[i]) for row in [list(columns), *body]) for i in range(len(columns))]
    for row in [list(columns), *body]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def on_clock(moment: datetime | str | None, zone: tzinfo, *, seconds: bool = False) -> str | None:
    """A time for a table, on the owner's clock: ``2026-03-01 09:00 KST``.

    Args:
        moment: aware, or as ``isoformat`` wrote it; UTC when it names no offset.
        zone: see `shared.config.zone.owner_zone`.
        seconds: show them too.
    """
    if not moment:
        return None
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(zone)
    return f"{at:%Y-%m-%d %H:%M:%S %Z}" if seconds else f"{at:%Y-%m-%d %H:%M %Z}"


def print_import(outcome: Report, *, as_json: bool) -> int:
    """What an import did or would do, line by line; returns the exit code: 1 when something was refused."""
    from collections import Counter
    from dataclasses import asdict

    if as_json:
        print_json({"dry_run": outcome.dry_run, "items": [asdict(item) for item in outcome.items]})
    else:
        rows = [(item.outcome.upper(), item.kind, item.name, item.note or None) for item in outcome.items]
        print_table(("OUTCOME", "WHAT", "NAME", "NOTE"), rows, empty="The folder holds nothing to take over.")
        counts = Counter(item.outcome for item in outcome.items)
        click.echo(", ".join(f"{number} {result}" for result, number in counts.items()))
        if outcome.dry_run:
            click.echo("Nothing was written. Run it again without --dry-run to do this.")
    return 1 if any(item.outcome == "refused" for item in outcome.items) else 0


def state_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The ``--state`` option: which installation is meant."""
    return click.option(
        "--state",
        type=click.Path(path_type=Path, file_okay=False),
        default=None,
        help="State directory (default: CLAWGATE_STATE, else the service's or the user's own).",
    )(function)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The ``--json`` option, handed over as ``as_json``: print for a program."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def paths_of(state: Path | None) -> Paths:
    """Directories of the installation a command speaks of."""
    return Paths.resolve(state)
