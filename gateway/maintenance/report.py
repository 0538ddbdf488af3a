"""Every process's jobs, asked for where it runs and read from its database where it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.config.paths import Paths
from shared.errors import NotFound, Unavailable


@dataclass(frozen=True, slots=True)
class Process:
    """One process that has jobs.

    Attributes:
        migrations: of its database, for reading it while the process is down.
    """

    name: str
    migrations: str
    database: Path


def processes_of(paths: Paths) -> list[Process]:
    """The gateway and every tenant that is on."""
    from gateway.settings import Settings

    tenants = Settings.policy_of(paths).tenants
    return [
        Process("gateway", "gateway.migrations", paths.gateway_db),
        *(
            Process(name, f"{tenant.kind}.migrations", paths.tenant_db(name))
            for name, tenant in tenants.items()
            if tenant.enabled
        ),
    ]


def jobs_of(process: Process, paths: Paths, *, say: Callable[[str], None] = lambda _line: None) -> list[dict[str, Any]]:
    """A process's jobs; from its database when it is down, none when it never ran."""
    from shared.lifecycle.control import call

    try:
        found: list[dict[str, Any]] = call(paths.control_socket(process.name), "maintenance.list")
        return found
    except Unavailable as error:
        if error.code != "control.not_running":
            raise
    from shared.maintenance.store import read_jobs
    from shared.storage import Database

    try:
        rows = Database(process.database, migrations=process.migrations).read_at_rest(read_jobs)
    except NotFound:
        return []
    say(f"{process.name} is not running; this is what it has stored")
    return [{**row.as_json(), "running": False} for row in rows]
