"""The vault's keys: the first one seals, all of them open.

Looked for in this order, and taken from the first place that has any: the environment variable, systemd's credential
directory, the key file, which is made at first use. A key is written ``<id>:<base64 of 32 bytes>``, one to a line
(or separated by commas); ``#`` begins a comment.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import ConfigError, Unavailable
from shared.secrets.cipher import KEY_BYTES, Key, new_key
from shared.secrets.files import Secret, require_private, write_private

KEYS_VARIABLE = "CLAWGATE_VAULT_KEYS"
KEYS_CREDENTIAL = "vault-keys"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_HEADER = "# The vault's keys. The first seals, all open. Without them the vault is lost: back them up apart from it.\n"


class KeyMissing(Unavailable):
    """The vault cannot be opened because a key is not there."""

    code = "vault.key_missing"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Keys in order.

    Attributes:
        source: where they came from, for messages.
    """

    keys: tuple[Key, ...]
    source: str

    @property
    def first(self) -> Key:
        """The key that seals."""
        return self.keys[0]

    def find(self, key_id: str) -> Key:
        """The key of an id.

        Raises:
            KeyMissing: it is not on this ring.
        """
        for key in self.keys:
            if key.id == key_id:
                return key
        known = ", ".join(key.id for key in self.keys)
        raise KeyMissing(f"the vault needs key {key_id!r}, but {self.source} has only {known}: add it there again")


class KeySource:
    """Finds the ring anew at each use, so that a rotation by another process is seen at once.

    Args:
        file: the key file.
        environment: value of ``CLAWGATE_VAULT_KEYS``; empty when unset.
        credentials_directory: systemd's, from ``CREDENTIALS_DIRECTORY``; empty when there is none.
        clock: dates new keys.
    """

    def __init__(
        self, file: Path, *, environment: str = "", credentials_directory: str = "", clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._file = file
        self._environment = Secret(environment)
        self._credential = Path(credentials_directory) / KEYS_CREDENTIAL if credentials_directory else None
        self._clock = clock

    @property
    def is_file(self) -> bool:
        """The ring lies in our own file and may be rewritten by us."""
        return not self._environment and not (self._credential is not None and self._credential.exists())

    def load(self) -> KeyRing | None:
        """The ring; None when there is no key anywhere yet.

        Raises:
            ConfigError: keys are there, but malformed or readable by others.
            KeyMissing: the key file cannot be read.
        """
        if self._environment:
            return _parse(self._environment.reveal(), KEYS_VARIABLE)
        if self._credential is not None and self._credential.exists():
            return _parse(_read(self._credential), str(self._credential))
        if not self._file.exists():
            return None
        require_private(self._file)
        return _parse(_read(self._file), str(self._file))

    def create(self) -> KeyRing:
        """Make the key file with a first key.

        Raises:
            OSError: it cannot be written.
        """
        return self.store([self.fresh(())])

    def fresh(self, others: Iterable[Key]) -> Key:
        """A new key whose id none of `others` has."""
        taken = {key.id for key in others}
        base = _day(self._clock.now())
        names = [base, *(f"{base}.{number}" for number in range(2, len(taken) + 3))]
        return new_key(next(name for name in names if name not in taken))

    def store(self, keys: Iterable[Key]) -> KeyRing:
        """Replace the key file in one step.

        Raises:
            OSError: it cannot be written; the old ring is untouched.
        """
        ring = KeyRing(tuple(keys), str(self._file))
        lines = (f"{key.id}:{base64.b64encode(key.material).decode()}\n" for key in ring.keys)
        write_private(self._file, _HEADER + "".join(lines))
        return ring


def _day(moment: datetime) -> str:
    return f"k{moment:%Y%m%d}"


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyMissing(f"the vault's keys in {path} cannot be read ({type(error).__name__})") from None


def _parse(text: str, source: str) -> KeyRing:
    keys: list[Key] = []
    parts = ",".join(line.split("#", 1)[0] for line in text.splitlines()).split(",")
    for number, entry in enumerate((part.strip() for part in parts if part.strip()), 1):
        key_id, _, encoded = entry.partition(":")
        try:
            material = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            material = b""
        # The line itself is never quoted: it is a key, or a person's attempt at one.
        if not _ID.fullmatch(key_id) or len(material) != KEY_BYTES:
            raise ConfigError(
                f"{source}, entry {number}: not a vault key. Write <id>:<base64 of {KEY_BYTES} bytes>, "
                f"for example from: echo k1:$(openssl rand -base64 {KEY_BYTES})",
                code="vault.keys_invalid",
            )
        if any(key.id == key_id for key in keys):
            raise ConfigError(f"{source}, entry {number}: key id {key_id!r} is there twice", code="vault.keys_invalid")
        keys.append(Key(key_id, material))
    if not keys:
        raise ConfigError(f"{source} holds no vault key", code="vault.keys_invalid")
    return KeyRing(tuple(keys), source)
