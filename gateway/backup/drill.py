"""The restore drill: every backup into a fresh state directory, the sandbox started on it, what it knows compared.

Nothing of the running installation is touched. In the fresh directory no remote is configured, so that the drill cannot
back itself up.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from gateway.backup.policy import BackupPolicy
from gateway.backup.service import OWN, fetch, restore
from shared.config.paths import Paths
from shared.config.process import child_environment
from shared.errors import GatewayError, Internal, NotFound, Unavailable
from shared.lifecycle.control import call

_READY_S = 180.0
_STOP_S = 60.0
_COUNTED: Final = ("group", "task", "session", "inbox", "outbox")
"""Tables whose rows a restored tenant must still have."""

_LEFT_OUT: Final = ("backup.toml", "upstreams.toml", "tunnel.toml")
"""Policies that would lead the drill to the world outside."""


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
        reading = await fetch(remote, folder / f"{tenant}.git", paths)
        target = fresh.state if tenant == OWN else fresh.tenant(tenant)
        done = await asyncio.to_thread(restore, reading, target, beside=tenant == OWN)
        counts[tenant] = done["files"], await asyncio.to_thread(_rows, _database(fresh, tenant))
    for name in _LEFT_OUT:
        (fresh.policies / name).unlink(missing_ok=True)
    await _run_sandbox(fresh, folder, docker_host)
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


async def _run_sandbox(fresh: Paths, folder: Path, docker_host: str) -> None:
    """Start everything on the restored state, ask each process how it is, and stop it."""
    ready, output = folder / "ready.json", folder / "output.log"
    words = [sys.executable, "-m", "gateway.cli.main", "sandbox", "--state", str(fresh.state), "--port-base", "0"]
    words += ["--ready-file", str(ready)] + (["--docker-host", docker_host] if docker_host else [])
    with output.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *words,
            env=child_environment(CLAWGATE_RUNTIME=str(fresh.runtime)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        async with asyncio.timeout(_READY_S):
            while not ready.exists():
                if process.returncode is not None:
                    raise Unavailable(
                        f"the sandbox did not start on the backup: {_last_words(output)}", code="backup.drill"
                    )
                await asyncio.sleep(0.1)
        tenants = [name for name in json.loads(ready.read_text()) if fresh.control_socket(name).exists()]
        for name in tenants:
            await asyncio.to_thread(call, fresh.control_socket(name), "status", timeout_s=30.0)
    except TimeoutError:
        raise Unavailable(
            f"the sandbox did not start on the backup within {_READY_S:.0f} s", code="backup.drill"
        ) from None
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            try:
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def _last_words(output: Path) -> str:
    lines = output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return " ".join(lines[-3:])[-300:]


def _rows(database: Path) -> dict[str, int]:
    if not database.exists():
        return {}
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {
            table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608 - ours
            for table in sorted(tables.intersection(_COUNTED))
        }


def _compare(tenant: str, files: int, before: Mapping[str, int], database: Path) -> Compared:
    try:
        after = _rows(database)
    except (sqlite3.Error, GatewayError) as error:
        return Compared(tenant, files, before, {}, f"its database cannot be read after the start: {error}")
    lost = [
        f"{before[table] - after.get(table, 0)} rows of {table}"
        for table in before
        if after.get(table, 0) < before[table]
    ]
    return Compared(tenant, files, before, after, f"lost {', '.join(lost)}" if lost else "")
