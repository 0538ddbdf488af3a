"""Device identity of the v3 protocol: an Ed25519 key, the id derived from it, and what a device signs.

Both sides use this module: a client to sign, the gateway to verify.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from shared.clock import SYSTEM_CLOCK, unix_ms
from shared.errors import ConfigError
from shared.secrets.files import require_private, write_private

_RAW_KEY_BYTES = 32
SignatureVersion = Literal["v2", "v3"]


def encode_bytes(raw: bytes) -> str:
    """Base64url without padding, the protocol's spelling of bytes."""
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def decode_bytes(text: str) -> bytes:
    """Read base64url or standard base64, padded or not.

    Raises:
        ValueError: it is neither.
    """
    unified = text.strip().replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(unified + "=" * (-len(unified) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None


def read_public_key(text: str) -> bytes:
    """The raw 32 bytes of a public key given as base64url or PEM.

    Raises:
        ValueError: it is no Ed25519 public key.
    """
    if "BEGIN" in text:
        key = load_pem_public_key(text.encode())
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("not an Ed25519 key")
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    raw = decode_bytes(text)
    if len(raw) != _RAW_KEY_BYTES:
        raise ValueError("an Ed25519 public key has 32 bytes")
    return raw


def device_id_of(raw_public_key: bytes) -> str:
    """The device id: lower-case hex SHA-256 of the raw public key."""
    return hashlib.sha256(raw_public_key).hexdigest()


def verify(raw_public_key: bytes, signature: str, payload: str) -> bool:
    """Whether the signature over the payload's UTF-8 bytes is this key's."""
    try:
        Ed25519PublicKey.from_public_bytes(raw_public_key).verify(decode_bytes(signature), payload.encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def _folded(text: str | None) -> str:
    """Trimmed, with only ASCII letters lowered, as the original folds platform names."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in (text or "").strip())


@dataclass(frozen=True, slots=True)
class ConnectClaim:
    """What a device vouches for when it connects.

    Attributes:
        scopes: in the order they are sent; order is part of the signature.
        signed_at_ms: Unix milliseconds.
        token: ``auth.token``, else ``auth.deviceToken``, else empty; never a password.
        nonce: the challenge of this socket.
    """

    device_id: str
    client_id: str
    client_mode: str
    role: str
    scopes: Sequence[str]
    signed_at_ms: int
    token: str
    nonce: str
    platform: str | None = None
    device_family: str | None = None

    def payload(self, version: SignatureVersion) -> str:
        """The text that is signed. Version 3 adds the platform and the device family."""
        fields = [
            version,
            self.device_id,
            self.client_id,
            self.client_mode,
            self.role,
            ",".join(self.scopes),
            str(self.signed_at_ms),
            self.token,
            self.nonce,
        ]
        if version == "v3":
            fields += [_folded(self.platform), _folded(self.device_family)]
        return "|".join(fields)


class DeviceKey:
    """A private device key; it never leaves its file or this object."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._raw_public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def generate(cls) -> DeviceKey:
        """A fresh key in memory."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load_or_create(cls, path: Path) -> DeviceKey:
        """The key kept in a file of mode 0600, made at first use in the original's format.

        Raises:
            ConfigError: the file is not private, or not a device identity.
        """
        if path.exists():
            require_private(path)
            try:
                private = load_pem_private_key(
                    json.loads(path.read_text(encoding="utf-8"))["privateKeyPem"].encode(), password=None
                )
            except (ValueError, KeyError, TypeError, AttributeError):
                private = None
            if not isinstance(private, Ed25519PrivateKey):
                raise ConfigError(
                    f"{path} is not a device identity: move it away, a new one is made"
                    " (the device must then be paired again)",
                    code="config.device_identity",
                )
            return cls(private)
        private = Ed25519PrivateKey.generate()
        key = cls(private)
        public_pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        document = {
            "version": 1,
            "deviceId": key.device_id,
            "publicKeyPem": public_pem.decode(),
            "privateKeyPem": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "createdAtMs": unix_ms(SYSTEM_CLOCK.now()),
        }
        write_private(path, json.dumps(document, indent=2) + "\n")
        return key

    @property
    def device_id(self) -> str:
        """The id the gateway knows this device by."""
        return device_id_of(self._raw_public)

    @property
    def public_key(self) -> str:
        """The public key as it travels: base64url of its 32 raw bytes."""
        return encode_bytes(self._raw_public)

    def sign(self, payload: str) -> str:
        """Base64url signature over the payload's UTF-8 bytes."""
        return encode_bytes(self._private.sign(payload.encode()))
