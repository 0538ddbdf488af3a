"""A backup from the copy a process handed over to a commit on its remote, and back."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.backup.archive import Member, read_members
from gateway.backup.chest import Chest, Open
from gateway.backup.git import Repository, token_of
from gateway.backup.models import Manifest, Outcome
from gateway.backup.policy import BackupPolicy, RemotePolicy, load_backup
from gateway.backup.scan import Scanner, live_secrets
from gateway.backup.sealing import Sealer, open_sealed, own_identity
from gateway.backup.store import BackupStore
from gateway.credentials.environment import load_env
from gateway.credentials.vault import open_vault
from shared.backup.snapshot import Selection, take_snapshot
from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.paths import Paths
from shared.errors import Conflict, GatewayError, Invalid, NotFound, Unavailable
from shared.obs.log import get_logger
from shared.secrets.files import Secret

if TYPE_CHECKING:
    from pyrage import x25519

_log = get_logger(__name__)
OWN = "gateway"
OWN_FILES = Selection(include=("policies", "gateway/audit"), database="gateway/gateway.db")
"""The gateway's own: policies, ledger, posts. The vault is never backed up: its keys would be with it."""

_MEGABYTE = 1_000_000


class Backups:
    """All backups of an installation.

    Args:
        store: remembers the newest.
    """

    def __init__(self, paths: Paths, store: BackupStore, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._paths = paths
        self._store = store
        self._clock = clock
        self._locks: dict[str, asyncio.Lock] = {}

    async def receive(self, tenant: str, chunks: AsyncIterator[bytes]) -> Outcome:
        """Take a tenant's copy and back it up.

        Args:
            tenant: whose; it can hand over nobody else's.
            chunks: a tar file.

        Raises:
            Denied: it holds a secret.
            Invalid: it is too large, or no such file.
            Conflict: a run of this tenant is under way.
            Unavailable: the remote or the disk refuses.
        """
        policy = await asyncio.to_thread(load_backup, self._paths)
        async with self._only(tenant), self._spooled(tenant, chunks, policy.max_mb * _MEGABYTE) as file:
            return await self._recorded(tenant, file, policy)

    async def own(self) -> str:
        """The gateway's own backup, as a job; raises as `receive` does."""
        policy = await asyncio.to_thread(load_backup, self._paths)
        async with self._only(OWN):
            file = self._paths.backup_spool / f"{OWN}.tar"
            try:
                await take_snapshot(file, self._paths.state, OWN_FILES, most_bytes=policy.max_mb * _MEGABYTE)
                return (await self._recorded(OWN, file, policy)).detail
            finally:
                file.unlink(missing_ok=True)

    async def watch(self) -> str:
        """A job: all that should have a backup has a young one.

        Raises:
            Unavailable: some has not; names which and how to look.
        """
        policy = await asyncio.to_thread(load_backup, self._paths)
        known = {record.tenant: record for record in await self._store.all()}
        oldest = self._clock.now() - timedelta(hours=policy.alert_after_hours)
        late = []
        for tenant in policy.remotes:
            record = known.get(tenant)
            if record is None or record.ok_at is None or record.ok_at < oldest:
                why = f" ({record.detail})" if record and record.detail else ""
                late.append(f"{tenant}{why}")
        if late:
            raise Unavailable(
                f"no backup within {policy.alert_after_hours:g} hours: {'; '.join(late)}", code="backup.late"
            )
        return f"{len(policy.remotes)} with a young backup" if policy.remotes else "no remote is configured"

    async def _recorded(self, tenant: str, file: Path, policy: BackupPolicy) -> Outcome:
        try:
            outcome = await self._store_copy(tenant, file, policy)
        except GatewayError as error:
            await self._store.failed(tenant, error.detail, self._clock.now())
            raise
        if tenant in policy.remotes:
            await self._store.succeeded(tenant, outcome, self._clock.now())
        return outcome

    async def _store_copy(self, tenant: str, file: Path, policy: BackupPolicy) -> Outcome:
        remote = policy.remotes.get(tenant)
        if remote is None:
            return Outcome("", 0, 0, f"no remote: add [remotes.{tenant}] to policies/backup.toml (docs/backup.md)")
        sealer = await self._sealer(policy)
        scanner = await asyncio.to_thread(self._scanner, policy)
        # Twice over the file rather than once with all of it in memory: nothing is sealed before all was looked at.
        await asyncio.to_thread(_scan, scanner, file)
        token = await asyncio.to_thread(token_of, self._paths, tenant, remote)
        repository = Repository(self._paths.backup_copy(tenant), remote, token)
        await repository.refresh()
        manifest = await asyncio.to_thread(_put, repository.folder, tenant, file, sealer)
        size = sum(stored.size for stored in manifest.files.values())
        commit = await repository.publish(f"Backup: {len(manifest.files)} files, {size} bytes", policy.author)
        what = f"{len(manifest.files)} files, {size / _MEGABYTE:.1f} MB"
        detail = f"{what}, pushed as {commit[:10]}" if commit else f"{what}, nothing has changed"
        _log.info("backup.done", tenant=tenant, files=len(manifest.files), commit=commit[:10])
        return Outcome(commit, len(manifest.files), size, detail)

    async def _sealer(self, policy: BackupPolicy) -> Sealer:
        return Sealer(await own_identity(open_vault(self._paths)), policy.recipients)

    def _scanner(self, policy: BackupPolicy) -> Scanner:
        stored = open_vault(self._paths).values(lambda _tenant, _name: True)
        return Scanner(live_secrets(load_env(self._paths), stored), policy.accept_patterns_in)

    @asynccontextmanager
    async def _only(self, tenant: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault(tenant, asyncio.Lock())
        if lock.locked():
            raise Conflict(f"a backup of {tenant} is under way", code="backup.running", retryable=True)
        async with lock:
            yield

    @asynccontextmanager
    async def _spooled(self, tenant: str, chunks: AsyncIterator[bytes], most: int) -> AsyncIterator[Path]:
        self._paths.backup_spool.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._paths.backup_spool / f"{tenant}.tar"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            size = 0
            with os.fdopen(descriptor, "wb") as handle:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > most + most // 10:  # a tar file is a little larger than what is in it
                        raise Invalid(f"the copy is larger than {most // _MEGABYTE} MB", code="backup.too_large")
                    await asyncio.to_thread(handle.write, chunk)
            yield file
        except OSError as error:
            raise Unavailable(f"the copy could not be kept: {error.strerror}", code="backup.spool") from None
        finally:
            file.unlink(missing_ok=True)


def _scan(scanner: Scanner, file: Path) -> None:
    for member in read_members(file):
        scanner.check(member.name, member.data)


def _put(folder: Path, tenant: str, file: Path, sealer: Sealer) -> Manifest:
    return Chest(folder).put(tenant, read_members(file), sealer)


# --- back again -----------------------------------------------------------------------------------------------------


class Reading:
    """A backup as it lies on its remote.

    Args:
        folder: of a working copy of our own.
        opened: decrypts.
        sealer: of the installation that wrote it; None on another machine, which cannot tell who wrote it.
    """

    def __init__(self, folder: Path, opened: Open, sealer: Sealer | None) -> None:
        self._chest = Chest(folder)
        self._opened = opened
        self._sealer = sealer

    def manifest(self) -> Manifest:
        """What it consists of; raises as `Chest.manifest` does."""
        return self._chest.manifest(self._opened, self._sealer)

    def files(self) -> Iterator[Member]:
        """Every file, checked; raises as `Chest.files` does."""
        for name, mode, data in self._chest.files(self.manifest(), self._opened, self._sealer):
            yield Member(name, mode, data)


async def fetch(
    tenant: str, remote: RemotePolicy, folder: Path, paths: Paths, identities: Sequence[x25519.Identity] = ()
) -> Reading:
    """A backup from its remote.

    Args:
        tenant: whose; its token opens an HTTPS remote.
        remote: where it is.
        folder: for the working copy; empty.
        paths: of the installation whose key opens it, when no `identities` are given.
        identities: the operator's private keys.

    Raises:
        NotFound: there is nothing on that branch.
        ConfigError: the remote wants a token and there is none.
        Unavailable: the remote does not answer.
    """
    repository = Repository(folder, remote, await asyncio.to_thread(token_of, paths, tenant, remote))
    if not await repository.refresh():
        raise NotFound(f"{remote.url} has no branch {remote.branch}: nothing was backed up there", code="backup.none")
    if identities:
        return Reading(folder, partial(open_sealed, identities=identities), None)
    secret: Secret = await own_identity(open_vault(paths))
    sealer = Sealer(secret)
    return Reading(folder, sealer.open, sealer)


def restore(reading: Reading, target: Path, *, beside: bool = False) -> Mapping[str, int]:
    """Write a backup's files below a folder that is empty or absent. Blocks.

    Args:
        reading: the backup.
        target: where to.
        beside: other tenants' files may lie there; none is replaced.

    Returns:
        Files and bytes written.

    Raises:
        Conflict: something lies there already.
        Unavailable: the disk refuses; what was written is incomplete and said so.
    """
    if not beside and target.exists() and any(target.iterdir()):
        raise Conflict(f"{target} is not empty; nothing was restored", code="backup.target")
    return write_members(reading.files(), target)


def write_members(members: Iterable[Member], target: Path) -> Mapping[str, int]:
    """Write files below a folder, none over another; returns files and bytes. Blocks, and raises as `restore` does."""
    count = size = 0
    try:
        target.mkdir(parents=True, exist_ok=True, mode=0o700)
        for member in members:
            place = target / member.name
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, member.mode)
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(member.data)
            count, size = count + 1, size + len(member.data)
    except FileExistsError as error:
        raise Conflict(f"{error.filename} is there already and was not replaced", code="backup.target") from None
    except OSError as error:
        raise Unavailable(
            f"{target} is incomplete: {error.strerror}; empty it and try again", code="backup.restore"
        ) from None
    return {"files": count, "bytes": size}


def verify(reading: Reading, scratch: Path) -> Mapping[str, int]:
    """Decrypt everything, compare it with what was backed up, and have SQLite check its databases. Blocks.

    Raises:
        Invalid: a file is damaged or not this installation's.
    """
    count = size = databases = 0
    for member in reading.files():
        count, size = count + 1, size + len(member.data)
        if member.name.endswith(".db"):
            copy = scratch / "check.db"
            copy.write_bytes(member.data)
            databases += 1
            try:
                with closing(sqlite3.connect(copy)) as connection:
                    problems = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
            except sqlite3.Error as error:
                problems = [str(error)]
            copy.unlink()
            if problems != ["ok"]:
                raise Invalid(f"{member.name} is a damaged database: {problems[0]}", code="backup.damaged")
    return {"files": count, "bytes": size, "databases": databases}
