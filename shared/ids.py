"""Identifiers: how they are made, and what a legal one looks like."""

from __future__ import annotations

import hashlib
import re
import secrets

from shared.errors import Invalid

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"


def new_id(prefix: str) -> str:
    """A fresh id such as ``run_5v3k…``: 80 random bits, lower case, safe in file names and Discord custom ids."""
    bits = int.from_bytes(secrets.token_bytes(10))
    return f"{prefix}_" + "".join([_BASE32[bits >> shift & 31] for shift in range(0, 80, 5)])


def slug(text: str, *, limit: int = 31) -> str:
    """A legal folder or object name for any text; look-alikes stay apart through a short hash.

    Text that already is a legal name comes back unchanged.
    """
    if len(text) <= limit and _SLUG.fullmatch(text):
        return text
    base = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{base[: limit - 7].rstrip('-')}-{digest}"


def parse_name(kind: str, text: str) -> str:
    """Check a tenant or group name given by a person.

    Raises:
        Invalid: it is not 1 to 31 characters of ``a-z 0-9 -`` starting with a letter or digit.
    """
    if not _SLUG.fullmatch(text):
        raise Invalid(
            f"{kind} {text!r} is not a legal name: use 1 to 31 of a-z, 0-9 and '-', starting with a letter or digit"
        )
    return text
