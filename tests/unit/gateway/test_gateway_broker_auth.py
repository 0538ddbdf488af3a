"""Who may speak on a tenant's socket."""

from __future__ import annotations

import pytest

from gateway.broker.auth import decide_caller, hash_key
from gateway.store import TenantKey
from shared.errors import AuthRequired, Denied

KNOWN = TenantKey("nanoclaw", hash_key("right"), uid=1001)
PEER = (42, 1001, 1001)


def bearer(key: str) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"x"), (b"authorization", f"Bearer {key}".encode())]


def test_right_user_with_the_right_key_is_the_tenant() -> None:
    caller = decide_caller("nanoclaw", PEER, bearer("right"), KNOWN)
    assert (caller.tenant, caller.uid, caller.pid) == ("nanoclaw", 1001, 42)


@pytest.mark.parametrize(
    "headers", [[], bearer("wrong"), bearer(""), [(b"authorization", b"right")], [(b"authorization", b"\xff")]]
)
def test_missing_or_wrong_key_is_refused(headers: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(AuthRequired):
        decide_caller("nanoclaw", PEER, headers, KNOWN)


@pytest.mark.parametrize("uid", [0, 1000, 1002])
def test_another_user_is_refused_even_with_the_key(uid: int) -> None:
    with pytest.raises(Denied):
        decide_caller("nanoclaw", (42, uid, uid), bearer("right"), KNOWN)


def test_unknown_peer_and_unknown_tenant_are_refused() -> None:
    with pytest.raises(Denied):
        decide_caller("nanoclaw", None, bearer("right"), KNOWN)
    with pytest.raises(AuthRequired):
        decide_caller("openclaw", PEER, bearer("right"), None)
