"""A file that is kept for the networks."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime

from shared.social.images import ImageFacts
from shared.social.models import HOSTED, MediaKind
from shared.social.videos import VideoFacts

TYPES = {"jpg": "image/jpeg", "png": "image/png", "mp4": "video/mp4", "mov": "video/quicktime"}
"""Content types by extension: only these are kept."""


@dataclass(frozen=True, slots=True)
class StoredMedia:
    """One file.

    Attributes:
        name: as it was handed over, for people.
        extension: one of `TYPES`.
        fetches: requests so far for its present post.
    """

    media_id: str
    tenant: str
    sha256: str
    name: str
    extension: str
    size: int
    created_at: datetime
    fetches: int = 0

    @property
    def kind(self) -> MediaKind:
        """What it is."""
        return "video" if TYPES[self.extension].startswith("video/") else "image"

    @property
    def url(self) -> str:
        """How a post names it."""
        return HOSTED + self.media_id


Facts = ImageFacts | VideoFacts


def media_id_of(tenant: str, sha256: str) -> str:
    """The same file of a tenant is the same object: a repeated run that hands it over again changes nothing."""
    digest = hashlib.sha256(f"{tenant}\n{sha256}".encode()).digest()
    return "med_" + base64.b32encode(digest).decode().lower()[:26]


def extension_of(facts: Facts) -> str:
    """The extension of a kind that is kept; empty for others."""
    return {"jpeg": "jpg", "png": "png", "mp4": "mp4", "mov": "mov"}.get(facts.format, "")
