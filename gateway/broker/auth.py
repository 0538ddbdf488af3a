"""Who is calling on a tenant's socket.

Three things must agree: the folder that holds the socket (its permissions let only the tenant's group in), the
user id of the connecting process as the kernel reports it, and the key made at the tenant's start.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.store import TenantKey
from shared.errors import AuthRequired, Denied


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated tenant process.

    Attributes:
        pid: for logs only; a passed descriptor keeps the connecting process's number.
    """

    tenant: str
    uid: int
    gid: int
    pid: int


def hash_key(key: str) -> str:
    """What is stored of a tenant's key: SHA-256 in hex. The key has 256 random bits, so no salt is needed."""
    return hashlib.sha256(key.encode()).hexdigest()


def decide_caller(
    tenant: str,
    peer: tuple[int, int, int] | None,
    headers: Iterable[tuple[bytes, bytes]],
    known: TenantKey | None,
) -> Caller:
    """Decide who calls.

    Args:
        tenant: owner of the socket the call came through.
        peer: pid, uid and gid from the kernel; None when it did not say.
        headers: raw request headers.
        known: the tenant's stored key.

    Raises:
        Denied: the connecting process runs as another user.
        AuthRequired: the key is missing, old or wrong.
    """
    if known is None:
        raise AuthRequired(
            f"tenant {tenant} has no key yet: it must be started by the supervisor", code="tenant.no_key"
        )
    if peer is None:
        raise Denied("the connection has no peer credentials", code="tenant.peer")
    pid, uid, gid = peer
    if uid != known.uid:
        raise Denied(f"user id {uid} may not speak for tenant {tenant}", code="tenant.peer")
    presented = next((value for name, value in headers if name == b"authorization"), b"")
    scheme, _, key = presented.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(hash_key(key.strip()), known.sha256):
        raise AuthRequired(f"the key presented for tenant {tenant} is missing, old or wrong", code="tenant.key")
    return Caller(tenant=tenant, uid=uid, gid=gid, pid=pid)
