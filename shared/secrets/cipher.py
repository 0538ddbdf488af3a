"""One sealed value: AES-256-GCM under a named key, bound to the place it belongs to.

The envelope is a line of JSON whose open part (format, key, tenant, name, version, time, state) is authenticated
together with the sealed part, so that neither can be edited and a file cannot be moved to another place.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.errors import GatewayError

FORMAT = 1
KEY_BYTES = 32
_NONCE_BYTES = 12


class Damaged(GatewayError):
    """A sealed file cannot be opened as what its place says it is: changed, moved, or sealed with another key."""

    code = "vault.damaged"


@dataclass(frozen=True, slots=True)
class Key:
    """One encryption key.

    Attributes:
        id: public; stored beside what it sealed.
        material: 32 bytes, never printed.
    """

    id: str
    material: bytes

    def __repr__(self) -> str:
        return f"Key({self.id!r})"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value belongs; part of what is authenticated."""

    tenant: str
    name: str
    version: int


@dataclass(frozen=True, slots=True)
class Opened:
    """What an envelope held.

    Attributes:
        data: None marks a removed value.
        written_at: aware UTC.
    """

    data: bytes | None
    key_id: str
    written_at: datetime


def new_key(key_id: str) -> Key:
    """A fresh random key."""
    return Key(key_id, secrets.token_bytes(KEY_BYTES))


def seal(key: Key, place: Place, data: bytes | None, *, written_at: datetime) -> bytes:
    """Seal a value for its place; None seals the fact that it was removed."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    head = {
        "format": FORMAT,
        "key": key.id,
        "tenant": place.tenant,
        "name": place.name,
        "version": place.version,
        "written": written_at.isoformat(),
        "gone": data is None,
    }
    nonce = secrets.token_bytes(_NONCE_BYTES)
    sealed = AESGCM(key.material).encrypt(nonce, data or b"", _bound(head))
    return json.dumps({**head, "nonce": _text(nonce), "sealed": _text(sealed)}).encode() + b"\n"


def key_id_of(envelope: bytes) -> str:
    """The id of the key an envelope says it was sealed with; empty when it is no envelope."""
    try:
        return str(_parse(envelope)["key"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def open_sealed(envelope: bytes, place: Place, find_key: Callable[[str], Key]) -> Opened:
    """Open an envelope that lies at a place.

    Args:
        envelope: the file's content.
        place: where it was found; another place than it was sealed for is refused.
        find_key: gives a key by id, or raises.

    Raises:
        Damaged: it was changed, belongs elsewhere, or its key's bytes are not the ones that sealed it.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    where = f"{place.tenant}/{place.name} version {place.version}"
    try:
        fields = _parse(envelope)
        nonce, sealed = _bytes(fields.pop("nonce")), _bytes(fields.pop("sealed"))
        key_id, written_at = str(fields["key"]), datetime.fromisoformat(fields["written"])
        if fields["format"] != FORMAT:
            raise ValueError("format")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Damaged(f"the vault's file of {where} is not a sealed value: restore it from a backup") from None
    found = (fields.get("tenant"), fields.get("name"), fields.get("version"))
    if found != (place.tenant, place.name, place.version):
        raise Damaged(f"the vault's file of {where} was sealed for another place: put the files back where they were")
    try:
        data = AESGCM(find_key(key_id).material).decrypt(nonce, sealed, _bound(fields))
    except (InvalidTag, ValueError):
        # ValueError: a nonce of impossible length; as wrong as a wrong tag.
        raise Damaged(
            f"the vault's file of {where} was changed, or key {key_id!r} is not the one that sealed it: "
            "restore the file or the key from a backup"
        ) from None
    return Opened(None if fields["gone"] is True else data, key_id, written_at)


def _bound(head: dict[str, Any]) -> bytes:
    return json.dumps(head, sort_keys=True, separators=(",", ":")).encode()


def _parse(envelope: bytes) -> dict[str, Any]:
    fields = json.loads(envelope)
    if not isinstance(fields, dict):
        raise TypeError("not an object")
    return fields


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not text")
    data = base64.b64decode(text, validate=True)
    if _text(data) != text:
        raise ValueError("not the one spelling of these bytes")  # the last letter has bits that decoding ignores
    return data
