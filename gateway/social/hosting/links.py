"""Addresses of served files: a signature binds file, post, end and content, and cannot be guessed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from shared.secrets.files import require_private, write_private

_PATH = re.compile(r"/m/(post_[0-9a-z]{1,40})/(med_[0-9a-z]{26})/([0-9]{10})-([0-9a-z]{32})\.(jpg|png|mp4|mov)")
_ROTATE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Link:
    """An address taken apart."""

    job_id: str
    media_id: str
    ends: int
    signature: str
    extension: str


def read_link(path: str) -> Link | None:
    """The parts of a path; None when it is none of ours."""
    found = _PATH.fullmatch(path)
    return None if found is None else Link(found[1], found[2], int(found[3]), found[4], found[5])


class MediaKeys:
    """The keys that sign addresses, used for nothing else; the one before the present one still counts.

    Args:
        path: where they are kept, readable by us alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: list[bytes] = []

    def load(self, now: datetime) -> None:
        """Read the keys; a first or a too old one is replaced."""
        made_at = ""
        if self._path.exists():
            require_private(self._path)
            kept = json.loads(self._path.read_text(encoding="ascii"))
            self._keys, made_at = [bytes.fromhex(key) for key in kept["keys"]], kept["made_at"]
        if not self._keys or now - datetime.fromisoformat(made_at) > _ROTATE:
            self._keys = [secrets.token_bytes(32), *self._keys[:1]]
            values = {"keys": [key.hex() for key in self._keys], "made_at": now.isoformat()}
            write_private(self._path, json.dumps(values))

    def path(self, job_id: str, media_id: str, sha256: str, extension: str, ends: datetime) -> str:
        """The path under which a post's file is served until `ends`."""
        moment = int(ends.timestamp())
        return f"/m/{job_id}/{media_id}/{moment}-{_sign(self._keys[0], job_id, media_id, sha256, moment)}.{extension}"

    def is_right(self, link: Link, sha256: str) -> bool:
        """Whether one of our keys made an address for this content."""
        made = (_sign(key, link.job_id, link.media_id, sha256, link.ends) for key in self._keys)
        return any(hmac.compare_digest(one, link.signature) for one in made)


def _sign(key: bytes, *parts: str | int) -> str:
    text = "\n".join(("GET", *map(str, parts)))
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return base64.b32encode(digest[:20]).decode().lower()
