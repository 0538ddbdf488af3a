"""Keeps files for the networks, hands out their addresses, and removes them after use."""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from gateway.social.hosting.convert import to_jpeg
from gateway.social.hosting.links import Link, MediaKeys
from gateway.social.hosting.models import Facts, StoredMedia, extension_of, media_id_of
from gateway.social.hosting.policy import MediaPolicy
from gateway.social.hosting.store import MediaStore
from gateway.social.models import Job, PostRefused
from shared.clock import Clock
from shared.errors import GatewayError, Invalid, NotFound
from shared.obs.log import get_logger
from shared.secrets.files import write_private
from shared.social.images import read_image
from shared.social.models import Media
from shared.social.videos import is_video, read_video

_log = get_logger(__name__)

_UNUSED = timedelta(hours=1)
"""A file that no post names is kept this long: the request that names it is on its way."""
_FAILED = timedelta(hours=24)
"""A failed post may be tried again this long with its files."""
_PICTURE_BYTES = 8 << 20


class MediaHost:
    """The files of all tenants.

    Args:
        store: their rows.
        folder: their bytes, each file in one that is never changed.
        policy: bounds and the public address.
        jobs_of: posts that name files and are not over.
        clock: for ends.
    """

    def __init__(
        self,
        store: MediaStore,
        folder: Path,
        policy: MediaPolicy,
        jobs_of: Callable[[], Awaitable[list[Job]]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._folder = folder
        self.policy = policy
        self._jobs_of = jobs_of
        self._clock = clock
        self._keys = MediaKeys(folder / "keys.json")

    async def start(self) -> None:
        """Load the keys and remove what nobody needs."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self.renew_keys()
        await self.sweep()

    async def renew_keys(self) -> None:
        """Sign with a new key when the present one is old; addresses made with that one still count."""
        await asyncio.to_thread(self._keys.load, self._clock.now())

    def file(self, media: StoredMedia) -> Path:
        """Where a file's bytes are."""
        return self._folder / f"{media.media_id}.{media.extension}"

    async def keep(self, tenant: str, name: str, data: bytes) -> StoredMedia:
        """Keep a file; the same file again is the same object.

        Raises:
            PostRefused: it is of no kind that the networks take, too large, or files are not served here.
            Busy: there is no room.
        """
        self._require_base()
        if len(data) > self.policy.max_file_bytes:
            raise PostRefused("media_too_large", f"{name} is larger than {self.policy.max_file_bytes:,} bytes")
        facts = read_facts(data)
        extension = extension_of(facts)
        if not extension:
            detail = f"{name} is no JPEG, PNG, MP4 or MOV file; say convert for other pictures"
            raise PostRefused("media_format_unsupported", detail)
        sha256 = hashlib.sha256(data).hexdigest()
        now = self._clock.now()
        shown = " ".join(name.split())[:200] or "file"
        media = StoredMedia(media_id_of(tenant, sha256), tenant, sha256, shown, extension, len(data), now)
        await self._store.add(media, most=self.policy.max_files, most_bytes=self.policy.max_total_bytes)
        # The row first: bytes without a row would never be removed.
        await asyncio.to_thread(write_private, self.file(media), data)
        return media

    async def keep_as_jpeg(self, tenant: str, name: str, data: bytes) -> StoredMedia:
        """Make a picture into a JPEG and keep that.

        Raises:
            PostRefused: it cannot be made into one.
        """
        self._require_base()
        try:
            made = await asyncio.to_thread(to_jpeg, data, most_bytes=_PICTURE_BYTES)
        except Invalid as error:
            raise PostRefused("media_format_unsupported", f"{name} cannot be converted: {error.detail}") from None
        return await self.keep(tenant, name, made)

    async def read(self, tenant: str, media_id: str) -> tuple[StoredMedia, bytes]:
        """A tenant's file.

        Raises:
            NotFound: it has none of this id any more.
        """
        media = await self._store.get(media_id)
        if media is None or media.tenant != tenant:
            raise NotFound(f"there is no file {media_id} any more: hand it over again", code="social.media")
        try:
            return media, await asyncio.to_thread(self.file(media).read_bytes)
        except OSError:
            raise NotFound(f"the file {media_id} is gone: hand it over again", code="social.media") from None

    async def public(self, job: Job, media: Media) -> Media:
        """The same medium with an address that a network can fetch from now on.

        Raises:
            PostRefused: files are not served here, or this one is gone.
        """
        if not media.hosted:
            return media
        self._require_base()
        kept = await self._store.get(media.hosted)
        if kept is None:
            raise PostRefused("media_unreachable", f"the file {media.name or media.hosted} is gone; submit it anew")
        ends = self._clock.now() + timedelta(hours=self.policy.link_hours)
        path = self._keys.path(job.id, kept.media_id, kept.sha256, kept.extension, ends)
        await self._store.allow_fetches(kept.media_id)
        return media.model_copy(update={"url": self.policy.public_base + path})

    async def admit(self, link: Link) -> StoredMedia | None:
        """The file that an address stands for right now; None for every other address, without a reason."""
        media = await self._store.get(link.media_id)
        if media is None or link.extension != media.extension or link.ends <= self._clock.now().timestamp():
            return None
        if not self._keys.is_right(link, media.sha256):
            return None
        job = next((job for job in await self._jobs_of() if job.id == link.job_id), None)
        if job is None or job.state not in {"creating", "processing"} or link.media_id not in _files_of(job):
            return None
        return media if await self._store.count_fetch(media.media_id, self.policy.fetches) else None

    async def sweep(self) -> int:
        """Remove the files that no post needs any more; says how many."""
        now, removed = self._clock.now(), 0
        needed = {
            media_id
            for job in await self._jobs_of()
            if job.state != "failed" or now - job.updated_at < _FAILED
            for media_id in _files_of(job)
        }
        for media in await self._store.every():
            if media.media_id not in needed and now - media.created_at >= _UNUSED:
                await self._remove(media)
                removed += 1
        return removed

    async def used(self, job: Job) -> None:
        """A post is over: its files go, unless another post needs them."""
        if not _files_of(job):
            return
        needed = {media_id for other in await self._jobs_of() if other.id != job.id for media_id in _files_of(other)}
        for media_id in _files_of(job) - needed:
            if (media := await self._store.get(media_id)) is not None:
                await self._remove(media)

    async def _remove(self, media: StoredMedia) -> None:
        try:
            await asyncio.to_thread(self.file(media).unlink, missing_ok=True)
            await self._store.remove(media.media_id)
        except (OSError, GatewayError) as error:
            _log.warning("social.media_kept", media=media.media_id, reason=type(error).__name__)

    def _require_base(self) -> None:
        if not self.policy.public_base:
            raise PostRefused(
                "media_unreachable",
                "no public media host configured: set public_base in [media] of policies/social.toml, or give the "
                "https address of a picture or video that is online",
            )


def read_facts(data: bytes) -> Facts:
    """What a file is."""
    return read_video(io.BytesIO(data), len(data)) if is_video(data) else read_image(data)


def _files_of(job: Job) -> set[str]:
    return {media.hosted for media in job.content.files if media.hosted}
