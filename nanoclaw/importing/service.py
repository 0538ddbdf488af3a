"""Carry an import out: groups, files, conversations, waiting messages, tasks, settings. Safe to repeat."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nanoclaw.atrest import read_stored
from nanoclaw.config import GLOBAL_FOLDER, NanoclawPolicy
from nanoclaw.importing.plan import GroupImport, Plan, Target, decide_import
from nanoclaw.importing.source import CWD_NAME, OldInstallation, read_installation
from nanoclaw.schema import MIGRATIONS, NanoclawTables, declare
from nanoclaw.store import Store, groups, session_folders
from nanoclaw.tasks.store import TaskRows
from shared.channels.inbox import Inbox
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.envwrite import write_back
from shared.config.paths import Paths
from shared.errors import ConfigError, GatewayError, NotFound
from shared.importing import Item, Report, copy_new_files
from shared.lifecycle.singleton import SingleInstance
from shared.secrets.files import Secret
from shared.storage import Database

_SKIPPED_FOLDERS = frozenset({"logs"})


async def run_import(
    root: Path,
    tenant: str,
    paths: Paths,
    policy: NanoclawPolicy,
    *,
    dry_run: bool,
    clock: Clock = SYSTEM_CLOCK,
) -> Report:
    """Take an original's folder over into a tenant that is not running.

    Args:
        root: the original's project folder; it stays as it is.
        tenant: which of ours takes it over.
        paths: of the installation.
        policy: decides which waiting messages ask for an answer.
        dry_run: only say what would happen; nothing is written, and the tenant may run.
        clock: tells how long messages have waited.

    Raises:
        NotFound, Invalid: the folder is not an installation that can be read.
        Occupied: the tenant is running, and this is no dry run.
    """
    source = await asyncio.to_thread(read_installation, root)
    if dry_run:
        target, untold = await asyncio.to_thread(_target_at_rest, paths, tenant)
        return Report((*untold, *decide_import(source, target, policy, clock.now()).items), dry_run=True)
    lock = SingleInstance(paths.pid_file(tenant), what=f"the tenant {tenant}")
    lock.acquire()
    try:
        tables = declare()
        db = Database(paths.tenant_db(tenant), migrations=MIGRATIONS)
        await db.open()
        try:
            store, inbox = Store(db, tables, clock), Inbox(db, tables.channels, clock)
            settings = _settings_there(paths)
            target = await db.read(lambda c: _target(c, tables, settings))
            plan = decide_import(source, target, policy, clock.now())
            problems = await _carry_out(source, plan, tenant, paths, store, inbox)
            await db.write(lambda c: TaskRows(c, tables).add(*plan.tasks))
            return Report((*plan.items, *problems))
        finally:
            await db.close()
    finally:
        lock.release()


def _target(connection: Any, tables: NanoclawTables, settings: frozenset[str]) -> Target:  # noqa: ANN401 - a connection
    keys = TaskRows(connection, tables).creation_keys()
    return Target(tuple(groups(connection, tables)), session_folders(connection, tables), settings, keys)


def _target_at_rest(paths: Paths, tenant: str) -> tuple[Target, tuple[Item, ...]]:
    """What is there already, and what of that cannot be told."""
    settings = _settings_there(paths)
    try:
        return read_stored(paths, tenant, lambda c, tables: _target(c, tables, settings)), ()
    except NotFound:
        return Target(settings=settings), ()
    except ConfigError as error:
        if error.code != "config.database_schema":
            raise
        note = f"{error.detail}. Until then it cannot be told which groups, conversations and tasks are here already"
        return Target(settings=settings), (Item("problem", "database", "kept", f"{note}; those stay as they are"),)


def _settings_there(paths: Paths) -> frozenset[str]:
    from dotenv import dotenv_values

    file = paths.env_file
    return frozenset(name for name, value in dotenv_values(file).items() if value) if file.exists() else frozenset()


async def _carry_out(
    source: OldInstallation, plan: Plan, tenant: str, paths: Paths, store: Store, inbox: Inbox
) -> list[Item]:
    """Files first, a group's own row last: a group whose import was cut off half-way is simply taken again."""
    problems: list[Item] = []
    if source.has_global_memory:
        folder = paths.group(tenant, GLOBAL_FOLDER)
        problems += await asyncio.to_thread(_copy, source.root / "groups" / GLOBAL_FOLDER, folder)
    for wanted in plan.groups:
        problems += await asyncio.to_thread(_copy_group, source.root, wanted, tenant, paths)
        if wanted.session:
            await store.keep_session(wanted.group.folder, wanted.session)
        for entry in plan.messages:
            if entry.message.chat == wanted.group.chat:
                await inbox.append(entry.message, state=entry.state, reason=entry.reason)
        await store.put_group(wanted.group)
    for name, value in plan.settings.items():
        try:
            await asyncio.to_thread(write_back, paths.env_file, (name,), Secret(value))
        except GatewayError as error:
            problems.append(Item("setting", name, "refused", error.detail))
    return problems


def _copy_group(root: Path, wanted: GroupImport, tenant: str, paths: Paths) -> list[Item]:
    problems = _copy(root / "groups" / wanted.old_folder, paths.group(tenant, wanted.group.folder))
    if wanted.session:
        transcripts = Path("projects") / CWD_NAME
        old = root / "data" / "sessions" / wanted.old_folder / ".claude" / transcripts
        problems += _copy(old, paths.group_session(tenant, wanted.group.folder) / transcripts)
    return problems


def _copy(source: Path, target: Path) -> list[Item]:
    return copy_new_files(source, target, skip=_SKIPPED_FOLDERS)
