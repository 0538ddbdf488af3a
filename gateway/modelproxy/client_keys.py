"""Keys of programs that call the model API, from a file of mode 600."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from pathlib import Path

from shared.errors import AuthRequired, ConfigError
from shared.secrets.files import require_private

_LEAST_CHARS = 16
_WAY = "send it as `Authorization: Bearer KEY` or `x-api-key: KEY`"


class ClientKeys:
    """The keys file, read again when it changes.

    One key a line, at least 16 characters; a name may stand before it (``laptop 6f3a…``), and ``#`` begins a comment.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._digests: dict[bytes, str] = {}

    def load(self) -> int:
        """Read the file and say how many keys it holds.

        Raises:
            ConfigError: it is missing, readable by others, or has a line that is no key.
        """
        try:
            info = self._path.stat()
            stamp = (info.st_ino, info.st_mtime_ns, info.st_size)
            if stamp != self._stamp:
                require_private(self._path)
                self._digests = self._parse(self._path.read_text("utf-8"))
                self._stamp = stamp
        except (OSError, UnicodeError) as error:
            raise ConfigError(
                f"the keys file {self._path} cannot be read ({type(error).__name__}): make one with "
                f"`(umask 077; openssl rand -hex 32 > {self._path})`",
                code="config.keys_file",
            ) from None
        return len(self._digests)

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """The name of the key that a request carries.

        Raises:
            AuthRequired: none, or one that is not in the file.
            ConfigError: as `load`; nobody gets in then.
        """
        self.load()
        given = _given(headers)
        if not given:
            raise AuthRequired(f"this model API needs a key: {_WAY}", code="model.key")
        digest = hashlib.sha256(given).digest()
        found = ""
        for known, name in self._digests.items():
            # All are compared, so that the time says nothing.
            if hmac.compare_digest(known, digest):
                found = name
        if not found:
            raise AuthRequired(f"this key is not in {self._path.name}: {_WAY}", code="model.key")
        return found

    def _parse(self, text: str) -> dict[bytes, str]:
        digests: dict[bytes, str] = {}
        for number, line in enumerate(text.splitlines(), 1):
            words = line.partition("#")[0].split()
            if not words:
                continue
            if len(words) > 2 or len(words[-1]) < _LEAST_CHARS:
                raise ConfigError(
                    f"{self._path} line {number} is no key: write one of at least {_LEAST_CHARS} characters a line, "
                    "with a name before it if you like",
                    code="config.keys_file",
                )
            name = words[0] if len(words) > 1 else f"line {number}"
            digests[hashlib.sha256(words[-1].encode()).digest()] = name
        if not digests:
            raise ConfigError(f"the keys file {self._path} holds no key", code="config.keys_file")
        return digests


def _given(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if name == b"x-api-key":
            return value.strip()
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip()
    return b""
