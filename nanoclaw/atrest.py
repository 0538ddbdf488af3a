"""Reading commands: the running process is asked, or its database is read when it is down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from nanoclaw.operator import ask
from shared.cli import paths_of
from shared.errors import Unavailable

if TYPE_CHECKING:
    from nanoclaw.schema import NanoclawTables
    from shared.config.paths import Paths

T = TypeVar("T")


def ask_or_read(
    state: Path | None,
    tenant: str,
    op: str,
    at_rest: Callable[[Any, NanoclawTables], Any],
    **params: Any,  # noqa: ANN401 - JSON
) -> Any:  # noqa: ANN401 - JSON
    """What the process says, or what `at_rest` finds in its database; then standard error says that it does not run.

    Raises:
        NotFound: it does not run and has stored nothing yet.
    """
    try:
        return ask(state, tenant, op, **params)
    except Unavailable as error:
        if error.code != "control.not_running":
            raise
    click.echo(f"{tenant} is not running (`clawgate up` starts it); this is what it has stored", err=True)
    return read_stored(paths_of(state), tenant, at_rest)


def read_stored(paths: Paths, tenant: str, at_rest: Callable[[Any, NanoclawTables], T]) -> T:
    """What `at_rest` finds in a tenant's database; nothing is written.

    Raises:
        NotFound: there is no database yet.
        ConfigError: it is of another version (code ``config.database_schema``).
    """
    from nanoclaw.schema import MIGRATIONS, declare
    from shared.storage import Database

    tables = declare()
    return Database(paths.tenant_db(tenant), migrations=MIGRATIONS).read_at_rest(
        lambda connection: at_rest(connection, tables)
    )
