"""Encryption with age: what a backup's files look like on a remote, and who can open them."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import Invalid
from shared.secrets.files import Secret, require_private
from shared.secrets.vault import Vault

if TYPE_CHECKING:
    from pyrage import x25519

_VAULT_TENANT, _VAULT_NAME = "gateway", "backup-identity"
_MOST_BYTES = 2_000_000_000
"""Largest file that is unpacked: anybody can encrypt for a public key."""

_LEVEL = 6


class Sealer:
    """Seals for the operator's keys and the installation's own; names what it sealed without telling its content.

    Args:
        identity: the installation's private key.
        recipients: age public keys of the operator.
    """

    def __init__(self, identity: Secret, recipients: Sequence[str] = ()) -> None:
        self._own = _identity(identity.reveal())
        self._recipients = tuple(recipients)
        self._naming = hashlib.sha256(b"clawgate backup names\0" + identity.reveal().encode()).digest()

    def name_of(self, data: bytes) -> str:
        """The same content has the same name, which only this installation can compute; 40 hex digits."""
        return hmac.new(self._naming, data, hashlib.sha256).hexdigest()[:40]

    @property
    def openers(self) -> str:
        """Tells, to this installation alone, whether the same keys open what is sealed; 40 hex digits."""
        return self.name_of("\n".join(sorted(self._recipients)).encode())

    def seal(self, data: bytes) -> bytes:
        """Compressed, then encrypted: never the same bytes twice."""
        import pyrage

        recipients = [pyrage.x25519.Recipient.from_str(recipient) for recipient in self._recipients]
        packed = gzip.compress(data, _LEVEL, mtime=0)
        sealed: bytes = pyrage.encrypt(packed, [self._own.to_public(), *recipients])
        return sealed

    def open(self, sealed: bytes) -> bytes:
        """What was sealed; raises as `open_sealed` does."""
        return open_sealed(sealed, [self._own])


def open_sealed(sealed: bytes, identities: Sequence[x25519.Identity]) -> bytes:
    """Decrypt with whichever key fits.

    Raises:
        Invalid: none fits, or the file is damaged or was changed.
    """
    import pyrage

    try:
        plain: bytes = pyrage.decrypt(sealed, list(identities))
        unpacking = zlib.decompressobj(wbits=31)
        data = unpacking.decompress(plain, _MOST_BYTES)
    except pyrage.DecryptError as error:
        raise Invalid(f"a file of the backup cannot be decrypted: {error}", code="backup.key") from None
    except zlib.error as error:
        raise Invalid(f"a file of the backup is damaged: {error}", code="backup.damaged") from None
    if not unpacking.eof:
        raise Invalid("a file of the backup is cut short or too large", code="backup.damaged")
    return data


async def own_identity(vault: Vault) -> Secret:
    """The installation's private key, made when there is none; it never leaves the vault."""
    stored = await vault.get(_VAULT_TENANT, _VAULT_NAME)
    if stored is None:
        from pyrage import x25519

        stored = str(x25519.Identity.generate()).encode()
        await vault.put(_VAULT_TENANT, _VAULT_NAME, stored)
    return Secret(stored.decode())


def read_identities(file: Path) -> list[x25519.Identity]:
    """Private keys as age-keygen writes them, one a line, comments between.

    Raises:
        ConfigError: others can read the file.
        Invalid: there is no key in it.
    """
    require_private(file)
    lines = (line.strip() for line in file.read_text(encoding="ascii", errors="replace").splitlines())
    found = [_identity(line) for line in lines if line and not line.startswith("#")]
    if not found:
        raise Invalid(f"{file} holds no age key: a line begins with AGE-SECRET-KEY-1", code="backup.key")
    return found


def _identity(text: str) -> x25519.Identity:
    import pyrage

    try:
        return pyrage.x25519.Identity.from_str(text.strip())
    except pyrage.IdentityError:
        raise Invalid("that is not an age private key (AGE-SECRET-KEY-1…)", code="backup.key") from None
