"""A token as bytes, for a store. Holds secrets: for the vault and its journal only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.errors import Unavailable
from shared.oauth.models import Token
from shared.secrets.files import Secret

_VERSION = 1


def encode_token(token: Token) -> bytes:
    """The token's stored form."""
    return json.dumps(token_fields(token), ensure_ascii=False, separators=(",", ":")).encode()


def decode_token(data: bytes, *, where: str) -> Token:
    """A token from its stored form.

    Args:
        data: what the store gave.
        where: its place, for the message.

    Raises:
        Unavailable: it is none; the stored bytes stay as they are.
    """
    try:
        return token_from_fields(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        # The error's text may quote the token.
        raise Unavailable(
            f"{where} cannot be read ({type(error).__name__}); it was left as it is. Sign in again to replace it",
            code="auth.unreadable",
            retryable=False,
        ) from None


def token_fields(token: Token) -> dict[str, Any]:
    """As JSON members; the secrets are in it."""
    return {
        "version": _VERSION,
        "access": token.access.reveal(),
        "refresh": token.refresh.reveal() if token.refresh else None,
        "expires_at": token.expires_at.isoformat() if token.expires_at else None,
        "scopes": list(token.scopes),
        "account": token.account,
        "extra": dict(token.extra),
        "id_token": token.id_token.reveal() if token.id_token else None,
    }


def token_from_fields(fields: Mapping[str, Any]) -> Token:
    """The reverse of `token_fields`; raises ValueError, KeyError or TypeError when it is not that."""
    if fields["version"] != _VERSION:
        raise ValueError("unknown version")
    expires = fields["expires_at"]
    access = _text(fields["access"])
    return Token(
        access=Secret(access),
        refresh=_secret(fields["refresh"]),
        expires_at=datetime.fromisoformat(expires) if expires is not None else None,
        scopes=tuple(_text(scope) for scope in fields["scopes"]),
        account=str(fields["account"]),
        extra={str(name): str(value) for name, value in fields["extra"].items()},
        id_token=_secret(fields["id_token"]),
    )


def _secret(value: object) -> Secret | None:
    return None if value is None else Secret(_text(value))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
        raise ValueError("not a token")
    return value
