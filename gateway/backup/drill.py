"""The restore drill: every backup into a fresh state directory, the sandbox started on it, what it knows compared.

Nothing of the running installation is touched. In the fresh directory no remote is configured, so that the drill cannot
back itself up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway.backup.policy import BackupPolicy
from gateway.backup.service import OWN, fetch, restore
from gateway.sandbox.canary import lost_rows, rows_of, run_canary
from shared.config.paths import Paths
from shared.errors import Internal, NotFound


@dataclass(frozen=True, slots=True)
class Compared:
    """One tenant's part of a drill.

    Attributes:
        restored: rows by table, right after the restore.
        served: rows by table after the sandbox ran on it.
        problem: empty when all is well.
    """

    tenant: str
    files: int
    restored: Mapping[str, int]
    served: Mapping[str, int]
    problem: str

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


async def drill(policy: BackupPolicy, paths: Paths, folder: Path, *, docker_host: str = "") -> list[Compared]:
    """Restore everything that has a remote and see that it works.

    Args:
        policy: where the backups are.
        paths: of the installation whose key opens them.
        folder: empty; everything happens in it.
        docker_host: engine for the sandbox; it starts no worker unless somebody speaks.

    Raises:
        NotFound: no remote is configured.
        Unavailable: the sandbox did not start on what was restored.
    """
    if not policy.remotes:
        raise NotFound(
            "no remote is configured in policies/backup.toml, so there is nothing to restore", code="backup.none"
        )
    fresh = Paths(folder / "state", folder / "run")
    counts: dict[str, tuple[int, Mapping[str, int]]] = {}
    for tenant, remote in policy.remotes.items():
        reading = await fetch(tenant, remote, folder / f"{tenant}.git", paths)
        target = fresh.state if tenant == OWN else fresh.tenant(tenant)
        done = await asyncio.to_thread(restore, reading, target, beside=tenant == OWN)
        counts[tenant] = done["files"], await asyncio.to_thread(rows_of, _database(fresh, tenant))
    await run_canary(fresh, folder, docker_host=docker_host, code="backup.drill")
    return [
        await asyncio.to_thread(_compare, tenant, files, before, _database(fresh, tenant))
        for tenant, (files, before) in counts.items()
    ]


def as_sentence(found: list[Compared]) -> str:
    """What came of a drill, for the job.

    Raises:
        Internal: something was lost.
    """
    if lost := [one for one in found if one.problem]:
        raise Internal("; ".join(f"{one.tenant}: {one.problem}" for one in lost), code="backup.drill")
    return "; ".join(f"{one.tenant}: {one.files} files, {sum(one.served.values())} rows" for one in found)


def _database(fresh: Paths, tenant: str) -> Path:
    return fresh.gateway_db if tenant == OWN else fresh.tenant_db(tenant)


def _compare(tenant: str, files: int, before: Mapping[str, int], database: Path) -> Compared:
    after, problem = lost_rows(before, database)
    return Compared(tenant, files, before, after, problem)
