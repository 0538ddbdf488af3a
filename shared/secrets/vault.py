"""Secrets at rest: one folder of sealed files, opened by a key ring.

``<folder>/keys`` is the ring, ``<folder>/sealed/<tenant>/<name>/<version>`` a sealed value. A new value is a new
version; the last few are kept. Removing a value leaves a sealed marker, so that an old file put back later is not
mistaken for the current one. What cannot be opened is an error, never an older version and never plain text.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Invalid, Unavailable
from shared.secrets.cipher import Damaged, Opened, Place, key_id_of, open_sealed, seal
from shared.secrets.files import flush_folder, write_private
from shared.secrets.keyring import KeyMissing, KeyRing, KeySource

T = TypeVar("T")

KEPT_VERSIONS = 5
MAX_BYTES = 1 << 20

_BESIDE = 0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class VaultEntry:
    """What may be told about a stored secret.

    Attributes:
        versions: how many are kept, the current one included.
        written_at: when the current one was written, aware UTC; None when it cannot be opened.
        problem: why it cannot be opened; empty when it can.
    """

    tenant: str
    name: str
    version: int
    versions: int
    key_id: str
    written_at: datetime | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did.

    Attributes:
        key_id: the key that seals from now on.
        resealed: files that were sealed anew.
        dropped: ids of keys that were taken off the ring.
    """

    key_id: str
    resealed: int
    dropped: tuple[str, ...]


class Vault:
    """Secrets by tenant and name. Safe for many tasks and processes at once: a lock file decides who writes.

    Args:
        folder: of mode 700; made when needed.
        keys: where the ring is.
        clock: dates versions.
        keep: versions kept of each secret.
    """

    def __init__(
        self, folder: Path, keys: KeySource, *, clock: Clock = SYSTEM_CLOCK, keep: int = KEPT_VERSIONS
    ) -> None:
        self._folder = folder
        self._sealed = folder / "sealed"
        self._keys = keys
        self._clock = clock
        self._keep = keep

    @classmethod
    def at(
        cls, folder: Path, *, environment: str = "", credentials_directory: str = "", clock: Clock = SYSTEM_CLOCK
    ) -> Vault:
        """The vault in a folder; keys from the given environment value, systemd's directory, or ``<folder>/keys``."""
        source = KeySource(
            folder / "keys", environment=environment, credentials_directory=credentials_directory, clock=clock
        )
        return cls(folder, source, clock=clock)

    async def get(self, tenant: str, name: str) -> bytes | None:
        """The current value; None when there is none.

        Raises:
            Invalid: the names are not names.
            KeyMissing: the key is not there.
            Damaged: the file was changed or moved.
        """
        folder = self._place(tenant, name)
        return await self._run(lambda: self._get(folder, tenant, name), write=False)

    async def put(self, tenant: str, name: str, data: bytes) -> None:
        """Store a new version; when this returns it is on the disk.

        Raises:
            Invalid: the names are not names, or the value is larger than 1 MiB.
            KeyMissing: sealed files exist but no key does.
            Unavailable: the disk is full or the folder cannot be written; what was stored before still is.
        """
        if len(data) > MAX_BYTES:
            raise Invalid(f"{name} is larger than {MAX_BYTES} bytes: that is not a secret", code="vault.too_large")
        folder = self._place(tenant, name)
        await self._run(lambda: self._put(folder, tenant, name, data), write=True)

    async def delete(self, tenant: str, name: str) -> None:
        """Remove a secret and its kept versions; one that is not there is removed already. Raises as `put` does."""
        await self.remove(tenant, name)

    async def remove(self, tenant: str, name: str) -> bool:
        """As `delete`, and says whether there was one."""
        folder = self._place(tenant, name)
        return await self._run(lambda: self._delete(folder, tenant, name), write=True)

    async def names(self, tenant: str | None = None) -> list[VaultEntry]:
        """What is stored, of one tenant or of all; a file that cannot be opened is listed with its problem."""
        if tenant is not None:
            self._place(tenant, "x")
        return await self._run(lambda: self._list(tenant), write=False)

    def values(self, wanted: Callable[[str, str], bool]) -> dict[tuple[str, str], bytes]:
        """The current values of all secrets whose tenant and name are `wanted`. Reads files in the calling thread.

        Raises:
            KeyMissing: a key is not there.
            Damaged: a file was changed or moved.
        """
        return self._guarded(lambda: self._values(wanted), write=False)

    async def rotate(self) -> Rotation:
        """Seal everything with a new key and drop the old ones.

        With a ring that is not our file (environment, systemd) everything is sealed with its first key, and dropping
        the others is the operator's. A crash in between loses nothing: until the end the ring has old and new keys.

        Raises:
            KeyMissing: some file's key is not there; nothing was dropped.
            Damaged: some file cannot be opened; nothing was dropped.
            Unavailable: the disk is full; nothing was dropped.
        """
        return await self._run(self._rotate, write=True)

    def seal(self, tenant: str, name: str, data: bytes) -> bytes:
        """Encrypt something that lies beside the vault, such as a journal, for a tenant and name. Reads the key file.

        Raises:
            KeyMissing: as for `put`.
        """
        self._place(tenant, name)
        key = self._guarded(lambda: self._ring_for_writing().first, write=True)
        return seal(key, Place(tenant, name, _BESIDE), data, written_at=self._clock.now())

    def unseal(self, tenant: str, name: str, sealed: bytes) -> bytes:
        """The reverse of `seal`. A rotation drops the keys of what lies beside the vault.

        Raises:
            KeyMissing: its key is not there any more.
            Damaged: it is not what was sealed for this tenant and name.
        """
        ring = self._guarded(self._ring, write=False)
        return open_sealed(sealed, Place(tenant, name, _BESIDE), ring.find).data or b""

    # --- in a thread, under the lock ------------------------------------------------
    def _get(self, folder: Path, tenant: str, name: str) -> bytes | None:
        versions = _versions(folder)
        if not versions:
            return None
        return self._open(folder, tenant, name, versions[-1], self._ring()).data

    def _values(self, wanted: Callable[[str, str], bool]) -> dict[tuple[str, str], bytes]:
        found = {
            (tenant, name): self._get(folder, tenant, name)
            for tenant, name, folder in self._stored()
            if wanted(tenant, name)
        }
        return {key: value for key, value in found.items() if value is not None}

    def _put(self, folder: Path, tenant: str, name: str, data: bytes | None) -> None:
        versions = _versions(folder)
        place = Place(tenant, name, versions[-1] + 1 if versions else 1)
        sealed = seal(self._ring_for_writing().first, place, data, written_at=self._clock.now())
        self._make(folder)
        write_private(folder / str(place.version), sealed)
        for old in [*versions, place.version][: -self._keep]:
            (folder / str(old)).unlink(missing_ok=True)

    def _delete(self, folder: Path, tenant: str, name: str) -> bool:
        versions = _versions(folder)
        if not versions:
            return False
        # A value whose key is lost must still be removable; only what can be opened tells us it is gone already.
        with contextlib.suppress(Damaged, KeyMissing):
            if self._open(folder, tenant, name, versions[-1], self._ring()).data is None:
                return False
        self._put(folder, tenant, name, None)
        for old in versions:
            (folder / str(old)).unlink(missing_ok=True)
        return True

    def _list(self, tenant: str | None) -> list[VaultEntry]:
        entries = []
        for owner, name, folder in self._stored():
            if tenant not in {None, owner} or not (versions := _versions(folder)):
                continue
            version, count = versions[-1], len(versions)
            try:
                opened = self._open(folder, owner, name, version, self._ring())
            except (Damaged, KeyMissing) as error:
                key_id = key_id_of((folder / str(version)).read_bytes())
                entries.append(VaultEntry(owner, name, version, count, key_id, None, error.detail))
                continue
            if opened.data is not None:
                entries.append(VaultEntry(owner, name, version, count, opened.key_id, opened.written_at))
        return entries

    def _rotate(self) -> Rotation:
        ring = self._ring_for_writing()
        if self._keys.is_file:
            ring = self._keys.store([self._keys.fresh(ring.keys), *ring.keys])
        resealed = 0
        for tenant, name, folder in self._stored():
            for version in _versions(folder):
                opened = self._open(folder, tenant, name, version, ring)
                if opened.key_id != ring.first.id:
                    place = Place(tenant, name, version)
                    sealed = seal(ring.first, place, opened.data, written_at=opened.written_at)
                    write_private(folder / str(version), sealed)
                    resealed += 1
        dropped: tuple[str, ...] = ()
        if self._keys.is_file:
            dropped = tuple(key.id for key in ring.keys[1:])
            self._keys.store([ring.first])
        return Rotation(ring.first.id, resealed, dropped)

    def _open(self, folder: Path, tenant: str, name: str, version: int, ring: KeyRing) -> Opened:
        return open_sealed((folder / str(version)).read_bytes(), Place(tenant, name, version), ring.find)

    def _ring(self) -> KeyRing:
        ring = self._keys.load()
        if ring is None:
            raise KeyMissing(
                f"the vault in {self._folder} has sealed files but no keys: put the key file back from your backup, "
                "or remove the sealed folder and sign in again"
            )
        return ring

    def _ring_for_writing(self) -> KeyRing:
        # A new key beside files of a lost one would hide the loss; so only an empty vault makes its own.
        ring = self._keys.load()
        if ring is not None:
            return ring
        if any(_versions(folder) for _, _, folder in self._stored()):
            return self._ring()
        return self._keys.create()

    def _stored(self) -> Iterator[tuple[str, str, Path]]:
        if not self._sealed.is_dir():
            return
        for tenant in sorted(self._sealed.iterdir()):
            if tenant.is_dir() and _NAME.fullmatch(tenant.name):
                for folder in sorted(tenant.iterdir()):
                    if folder.is_dir() and _NAME.fullmatch(folder.name):
                        yield tenant.name, folder.name, folder

    def _place(self, tenant: str, name: str) -> Path:
        for what, value in (("tenant", tenant), ("secret", name)):
            if not _NAME.fullmatch(value):
                raise Invalid(f"{value!r} is not a {what}'s name: letters, digits, dot, dash and underscore only")
        return self._sealed / tenant / name

    def _make(self, folder: Path) -> None:
        # One by one: mkdir gives parents the default mode, and a new entry is durable once its parent is flushed.
        for each in (self._sealed, folder.parent, folder):
            if not each.is_dir():
                each.mkdir(mode=0o700)
                flush_folder(each.parent)

    async def _run(self, work: Callable[[], T], *, write: bool) -> T:
        return await asyncio.to_thread(self._guarded, work, write=write)

    def _guarded(self, work: Callable[[], T], *, write: bool) -> T:
        try:
            if not write and not self._folder.exists():
                return work()
            with self._locked(write=write):
                return work()
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            fix = "free some space" if full else "check its owner and mode"
            reason = error.strerror or type(error).__name__
            raise Unavailable(
                f"the vault in {self._folder} cannot be used ({reason}): {fix}; what it held is untouched",
                code="vault.disk",
            ) from None

    @contextmanager
    def _locked(self, *, write: bool) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, exist_ok=True, parents=True)
        descriptor = os.open(self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if write else fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)


def _versions(folder: Path) -> list[int]:
    """Stored versions, oldest first; temporary files of a crashed write are not among them."""
    try:
        return sorted(int(entry.name) for entry in folder.iterdir() if _VERSION.fullmatch(entry.name))
    except FileNotFoundError:
        return []
