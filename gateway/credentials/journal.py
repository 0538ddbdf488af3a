"""Write-ahead of a provider's answer: the new token is on disk before the old one is replaced.

A refresh token counts once, so an answer that is lost is a login that is lost. The file's room is taken on disk
*before* the provider is asked; a full disk therefore stops a refresh while the old token still counts, and the answer
is written into room that is already ours.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.credentials.codec import token_fields, token_from_fields
from shared.errors import Unavailable
from shared.oauth.models import Token
from shared.secrets.files import flush_folder

Seal = Callable[[bytes], bytes]

_ROOM_BYTES = 64 << 10
_DIGEST_CHARS = 64


@dataclass(frozen=True, slots=True)
class Entry:
    """A token that was bought and may not have been stored.

    Attributes:
        replaces: mark of the token it was bought with.
        bought_at: ISO 8601.
    """

    replaces: str
    token: Token
    bought_at: str


class Journal:
    """The one pending answer of one credential. Used only by the holder of the credential's lock.

    Args:
        path: mode 0600, beside the credential.
        seal: encrypts, where the credential itself is stored encrypted.
        unseal: decrypts; any exception of it counts as an unreadable journal.
    """

    def __init__(self, path: Path, *, seal: Seal = bytes, unseal: Seal = bytes) -> None:
        self._path = path
        self._seal = seal
        self._unseal = unseal

    def reserve(self) -> None:
        """Take the room.

        Raises:
            Unavailable: the disk is full or read-only; nothing was asked of anybody.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.fchmod(descriptor, 0o600)
                _write_all(descriptor, b" " * _ROOM_BYTES)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            flush_folder(self._path.parent)
        except OSError as error:
            self.clear()
            raise Unavailable(
                f"no refresh: {self._path.parent} cannot be written ({os.strerror(error.errno or 0)}), and a refreshed "
                "token that cannot be kept is a lost login. The old token is untouched; free some space",
                code="auth.disk",
            ) from None

    def write(self, entry: Entry) -> None:
        """Put an answer into the room and make it durable."""
        fields = {"replaces": entry.replaces, "bought_at": entry.bought_at, "token": token_fields(entry.token)}
        sealed = base64.b64encode(self._seal(json.dumps(fields).encode()))
        line = hashlib.sha256(sealed).hexdigest().encode() + sealed + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _write_all(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self) -> Entry | None:
        """The pending answer; None when there is none or it was cut in the middle of its writing."""
        try:
            line = self._path.read_bytes().partition(b"\n")[0]
        except OSError:
            return None
        digest, sealed = line[:_DIGEST_CHARS], line[_DIGEST_CHARS:]
        if hashlib.sha256(sealed).hexdigest().encode() != digest:
            return None
        try:
            fields: dict[str, Any] = json.loads(self._unseal(base64.b64decode(sealed)))
            return Entry(str(fields["replaces"]), token_from_fields(fields["token"]), str(fields["bought_at"]))
        except Exception:  # noqa: BLE001 - whatever unsealing raises; its text may quote the token
            return None

    def clear(self) -> None:
        """Forget the answer, which is stored now.

        One that cannot be removed does no harm: it counts only while what it replaces is still stored.
        """
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return


def _write_all(descriptor: int, data: bytes) -> None:
    offset = 0
    while offset < len(data):
        offset += os.pwrite(descriptor, data[offset:], offset)
