"""Getting out: everything of an installation in open formats, and everything of it off the machine but its data."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.app import build_engine
from gateway.backup.archive import read_members
from gateway.backup.service import OWN, OWN_FILES, write_members
from gateway.settings import Settings
from gateway.tenants.service import is_running
from gateway.workers.instance import installation_id
from gateway.workers.spec import LABEL
from shared.backup.plans import selection_of
from shared.backup.snapshot import take_snapshot
from shared.config.paths import Paths
from shared.errors import Conflict, GatewayError

_LARGEST = 200_000_000_000
_README = """\
# What Clawgate held for you

One folder for each tenant, laid out as in its state directory.

- `groups/<name>/`: a group's memory (CLAUDE.md) and files · `data/sessions/`: conversations, JSON lines
- `agents/*/sessions/`: OpenClaw's conversations, JSON lines · `workspace/`: its memory and files
- `*.db`: SQLite databases with messages, tasks and groups: `sqlite3 nanoclaw.db .dump` shows all of it
- `policies/` and `gateway/gateway.db`: what you allowed; model calls and posts

Secrets and sign-ins are not here. They lie in the vault and in .env.
"""


async def export(paths: Paths, target: Path) -> Mapping[str, Mapping[str, int]]:
    """Copy everything but secrets into an empty folder; processes may run meanwhile.

    Returns:
        Files and bytes by tenant.

    Raises:
        Conflict: the folder is not empty.
        Unavailable: the disk refuses.
    """
    settings = await asyncio.to_thread(Settings.load, paths)
    if await asyncio.to_thread(_holds_something, target):
        raise Conflict(f"{target} is not empty; nothing was exported", code="export.target")
    done: dict[str, Mapping[str, int]] = {}
    with TemporaryDirectory(prefix="clawgate-export-") as folder:
        copy = Path(folder) / "copy.tar"
        for name, tenant in settings.enabled_tenants().items():
            selection = selection_of(tenant.kind, name)
            await take_snapshot(copy, paths.tenant(name), selection, most_bytes=_LARGEST)
            done[name] = await asyncio.to_thread(_unpack, copy, target / name)
        await take_snapshot(copy, paths.state, OWN_FILES, most_bytes=_LARGEST)
        done[OWN] = await asyncio.to_thread(_unpack, copy, target)
    await asyncio.to_thread((target / "README.md").write_text, _README, encoding="utf-8")
    return done


def _unpack(copy: Path, target: Path) -> Mapping[str, int]:
    return write_members(read_members(copy), target)


def _holds_something(target: Path) -> bool:
    return target.exists() and any(target.iterdir())


async def uninstall(paths: Paths, *, purge: bool) -> AsyncIterator[str]:
    """Take an installation off the machine; says what was done, a sentence at a time.

    Args:
        paths: whose processes have been stopped.
        purge: its state too.

    Raises:
        Conflict: something of it still runs.
    """
    settings = await asyncio.to_thread(Settings.load, paths)
    for name in ("up", OWN, *settings.enabled_tenants()):
        if await asyncio.to_thread(is_running, paths, name):
            raise Conflict(
                f"{name} runs: stop it first (clawgate down, or clawgate install systemd --uninstall)",
                code="uninstall.runs",
            )
    engine = build_engine(settings)
    try:
        for container in await engine.find({f"{LABEL}instance": installation_id(paths)}):
            await engine.remove(container.id)
            yield f"container {container.name} removed"
    except GatewayError as error:
        yield f"containers were not looked for: {error.detail}"
    finally:
        await engine.close()
    await asyncio.to_thread(shutil.rmtree, paths.runtime, ignore_errors=True)
    yield f"{paths.runtime} removed"
    if purge:
        await asyncio.to_thread(shutil.rmtree, paths.state)
        yield f"{paths.state} removed, with everything in it"
    else:
        yield f"{paths.state} is kept: your data, policies and sign-ins. Delete it with --purge"
