"""Uploaded bytes and the signed, expiring addresses they are fetched from."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from urllib.parse import quote

from gateway.sandbox.discord.models import Attachment, Json
from shared.clock import Clock
from shared.secrets.files import write_private

URL_LIFE_S = 86_400
"""How long an attachment's address works. Source: Discord's signed attachment URLs, about a day."""


class Cdn:
    """Keeps the bytes of attachments, in memory or in a folder, and signs addresses.

    Attributes:
        base_url: where the server that hands the files out is reached; set when it starts.
    """

    def __init__(self, clock: Clock, folder: Path | None = None) -> None:
        self._clock = clock
        self._folder = folder
        self._blobs: dict[int, bytes] = {}
        self.base_url = "http://127.0.0.1"

    def put(self, attachment_id: int, data: bytes) -> None:
        """Keep a file's bytes."""
        if self._folder is None:
            self._blobs[attachment_id] = data
        else:
            write_private(self._folder / str(attachment_id), data)

    def get(self, attachment_id: int) -> bytes | None:
        """A file's bytes, none when they are gone."""
        if self._folder is None:
            return self._blobs.get(attachment_id)
        path = self._folder / str(attachment_id)
        return path.read_bytes() if path.is_file() else None

    def describe(self, channel_id: int, attachment: Attachment, key: str) -> Json:
        """The attachment object of a message, with a freshly signed address."""
        path = f"/attachments/{channel_id}/{attachment.id}/{quote(attachment.filename)}"
        issued = int(self._clock.now().timestamp())
        url = f"{self.base_url}{path}?{self._signature(path, issued, key)}"
        described: Json = {
            "id": str(attachment.id),
            "filename": attachment.filename,
            "size": attachment.size,
            "url": url,
            "proxy_url": url,
            "content_type": attachment.content_type,
        }
        if attachment.description is not None:
            described["description"] = attachment.description
        return described

    def accepts(self, path: str, query: dict[str, str], key: str) -> bool:
        """Whether an address is one of ours and has not expired; `path` is the raw, percent-encoded one."""
        try:
            issued, expires = int(query["is"], 16), int(query["ex"], 16)
        except (KeyError, ValueError):
            return False
        expected = _mac(path, issued, key)
        fresh = expires == issued + URL_LIFE_S and self._clock.now().timestamp() < expires
        return fresh and hmac.compare_digest(query.get("hm", ""), expected)

    @staticmethod
    def _signature(path: str, issued: int, key: str) -> str:
        return f"ex={issued + URL_LIFE_S:x}&is={issued:x}&hm={_mac(path, issued, key)}&"


def _mac(path: str, issued: int, key: str) -> str:
    return hmac.new(bytes.fromhex(key), f"{path}|{issued:x}".encode(), hashlib.sha256).hexdigest()
