"""The sandbox, started on a copy of an installation's state: does it come up, and is everything still there?

Used by the restore drill and by upgrades. Nothing of the installation the copy came from is touched, and nothing of the
world outside is reached.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Final

from shared.config.paths import Paths
from shared.config.process import child_environment
from shared.errors import GatewayError, Unavailable
from shared.lifecycle.control import call

_READY_S = 180.0
_STOP_S = 60.0
_COUNTED: Final = ("group", "task", "session", "inbox", "outbox")
"""Tables whose rows must still be there."""

_LEFT_OUT: Final = ("backup.toml", "upstreams.toml", "tunnel.toml")
"""Policies that would lead the sandbox to the world outside."""


async def run_canary(fresh: Paths, folder: Path, *, docker_host: str = "", code: str) -> None:
    """Start everything on a copied state, ask each process how it is, and stop it.

    Args:
        fresh: the copy; policies that lead outside are taken out of it.
        folder: for what it says.
        docker_host: engine for the sandbox; it starts no worker unless somebody speaks.
        code: of the error when it does not come up.

    Raises:
        Unavailable: it did not start, or somebody did not answer.
    """
    for name in _LEFT_OUT:
        (fresh.policies / name).unlink(missing_ok=True)
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
                    raise Unavailable(f"the sandbox did not start on the copy: {_last_words(output)}", code=code)
                await asyncio.sleep(0.1)
        tenants = [name for name in json.loads(ready.read_text()) if fresh.control_socket(name).exists()]
        for name in tenants:
            await asyncio.to_thread(call, fresh.control_socket(name), "status", timeout_s=30.0)
    except TimeoutError:
        raise Unavailable(f"the sandbox did not start on the copy within {_READY_S:.0f} s", code=code) from None
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


def rows_of(database: Path) -> dict[str, int]:
    """How many rows the tables have whose rows a person would miss; empty without a database. Blocks."""
    if not database.exists():
        return {}
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {
            table: connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608 - ours
            for table in sorted(tables.intersection(_COUNTED))
        }


def lost_rows(before: Mapping[str, int], database: Path) -> tuple[dict[str, int], str]:
    """Rows now, and what is gone since, in words; empty when nothing is. Blocks."""
    try:
        after = rows_of(database)
    except (sqlite3.Error, GatewayError) as error:
        return {}, f"its database cannot be read after the start: {error}"
    lost = [
        f"{number - after.get(table, 0)} rows of {table}"
        for table, number in before.items()
        if after.get(table, 0) < number
    ]
    return after, f"lost {', '.join(lost)}" if lost else ""
