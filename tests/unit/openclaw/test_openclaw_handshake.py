"""The handshake's decisions, one by one."""

from __future__ import annotations

import pytest

from openclaw.protocol import handshake
from openclaw.protocol.errors import Refused
from openclaw.protocol.frames import ConnectAuth, ConnectParams
from openclaw.protocol.handshake import Knock, KnownDevice, decide_pairing
from openclaw.protocol.scopes import allows, covers, tidy
from shared.openclawclient.device import ConnectClaim, DeviceKey

NOW = 1_760_000_000_000
LOCAL = {"host": "localhost:18789"}


def connect(**fields):
    return ConnectParams.model_validate(
        {
            "minProtocol": 3,
            "maxProtocol": 3,
            "client": {"id": "cli", "version": "dev", "platform": "linux", "mode": "cli"},
        }
        | fields
    )


def signed(key, *, version="v3", token="t", nonce="n", signed_at=NOW, scopes=("b", "a"), **changes):
    claim = ConnectClaim(
        device_id=key.device_id,
        client_id="cli",
        client_mode="cli",
        role="operator",
        scopes=scopes,
        signed_at_ms=signed_at,
        token=token,
        nonce=nonce,
        platform="linux",
    )
    device = {
        "id": key.device_id,
        "publicKey": key.public_key,
        "signature": key.sign(claim.payload(version)),
        "signedAt": signed_at,
        "nonce": nonce,
    }
    return connect(device=device | changes, auth={"token": token}, scopes=list(scopes))


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_a_good_proof_gives_the_key(version):
    key = DeviceKey.generate()
    params = signed(key, version=version)
    assert len(handshake.verify_device(params, "operator", nonce="n", now_ms=NOW + 119_000)) == 32


@pytest.mark.parametrize(
    ("changes", "now", "reason"),
    [
        ({"publicKey": "short"}, NOW, "device-public-key"),
        ({"id": "0" * 64}, NOW, "device-id-mismatch"),
        ({}, NOW + 120_001, "device-signature-stale"),
        ({}, NOW - 120_001, "device-signature-stale"),
        ({"nonce": ""}, NOW, "device-nonce-missing"),
        ({"nonce": "other"}, NOW, "device-nonce-mismatch"),
        ({"signature": "AAAA"}, NOW, "device-signature"),
    ],
)
def test_a_bad_proof_is_refused_with_its_reason(changes, now, reason):
    params = signed(DeviceKey.generate(), **changes)
    with pytest.raises(Refused) as refused:
        handshake.verify_device(params, "operator", nonce="n", now_ms=now)
    assert refused.value.details == {"code": "DEVICE_AUTH_INVALID", "reason": reason}


def test_the_order_of_scopes_is_part_of_the_signature():
    key = DeviceKey.generate()
    good = signed(key, scopes=("b", "a"))
    swapped = good.model_copy(update={"scopes": ["a", "b"]})
    with pytest.raises(Refused, match="device signature invalid"):
        handshake.verify_device(swapped, "operator", nonce="n", now_ms=NOW)


def test_version_3_folds_ascii_letters_only():
    claim = ConnectClaim("d", "cli", "cli", "operator", [], 1, "", "n", platform=" LINUX İ ", device_family=None)
    assert claim.payload("v3") == "v3|d|cli|cli|operator||1||n|linux İ|"
    assert claim.payload("v2") == "v2|d|cli|cli|operator||1||n"


@pytest.mark.parametrize(
    ("peer", "headers", "local"),
    [
        ("127.0.0.1", LOCAL, True),
        ("::1", {"host": "[::1]:18789"}, True),
        ("::ffff:127.0.0.1", {"host": "127.0.0.1"}, True),
        ("127.0.0.1", LOCAL | {"origin": "http://127.0.0.1:18789"}, True),
        ("192.0.2.9", LOCAL, False),
        ("127.0.0.1", {"host": "claw.example.org"}, False),
        ("127.0.0.1", {"host": "localhost.evil.example"}, False),
        ("127.0.0.1", {}, False),
        ("127.0.0.1", LOCAL | {"x-forwarded-for": "127.0.0.1"}, False),
        ("127.0.0.1", LOCAL | {"forwarded": "for=127.0.0.1"}, False),
        ("127.0.0.1", LOCAL | {"cf-connecting-ip": "203.0.113.1"}, False),
        ("127.0.0.1", LOCAL | {"cf-access-authenticated-user-email": "o@example.com"}, False),
        ("127.0.0.1", LOCAL | {"x-forwarded-ssl": "on"}, False),
        ("127.0.0.1", LOCAL | {"via": "1.1 proxy"}, False),
        ("127.0.0.1", LOCAL | {"origin": "https://evil.example"}, False),
        ("127.0.0.1", LOCAL | {"origin": "null"}, False),
    ],
)
def test_local_needs_all_four_signs(peer, headers, local):
    assert handshake.read_upgrade(peer, headers, []).local is local


@pytest.mark.parametrize(
    ("forwarded", "trusted", "address"),
    [
        ("203.0.113.7", [], "127.0.0.1"),
        ("203.0.113.7", ["127.0.0.1"], "203.0.113.7"),
        ("198.51.100.1, 203.0.113.7, 10.0.0.2", ["127.0.0.1", "10.0.0.0/8"], "203.0.113.7"),
        ("nonsense", ["127.0.0.1"], "127.0.0.1"),
        ("", ["127.0.0.1"], "127.0.0.1"),
    ],
)
def test_the_client_is_the_right_most_hop_that_is_not_trusted(forwarded, trusted, address):
    assert handshake.client_address("127.0.0.1", {"x-forwarded-for": forwarded}, trusted) == address


@pytest.mark.parametrize(
    ("peer", "named", "address"),
    [
        ("127.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "203.0.113.7, 127.0.0.1", "198.51.100.1"),
        ("127.0.0.1", "", "198.51.100.1"),
        ("192.0.2.1", "203.0.113.7", "192.0.2.1"),
    ],
)
def test_cloudflares_word_counts_when_the_tunnel_brings_it(peer, named, address):
    headers = {"cf-connecting-ip": named, "x-forwarded-for": "10.0.0.1, 198.51.100.1"}
    assert handshake.client_address(peer, headers, ["127.0.0.1"]) == address


@pytest.mark.parametrize(
    ("origin", "host", "client", "ok"),
    [
        ("", "claw.example.org", "cli", True),
        ("", "localhost", "openclaw-control-ui", False),
        ("http://localhost:18789", "localhost:18789", "openclaw-control-ui", True),
        ("https://claw.example.org", "claw.example.org", "openclaw-control-ui", True),
        ("https://CLAW.example.org", "x", "openclaw-control-ui", True),
        ("https://claw.example.org.evil.example", "claw.example.org", "cli", False),
        ("http://claw.example.org", "claw.example.org", "cli", False),
        ("http://localhost", "claw.example.org", "cli", False),
        ("null", "localhost", "cli", False),
    ],
)
def test_origins(origin, host, client, ok):
    headers = {"host": host} | ({"origin": origin} if origin else {})
    upgrade = handshake.read_upgrade("127.0.0.1", headers, [])
    params = connect(client={"id": client, "version": "1", "platform": "x", "mode": "webchat"})
    if ok:
        handshake.check_origin(params, upgrade, ["https://claw.example.org"])
    else:
        with pytest.raises(Refused, match="origin not allowed"):
            handshake.check_origin(params, upgrade, ["https://claw.example.org"])


def test_secrets():
    assert handshake.check_shared_secret(ConnectAuth(token="s"), "s") == "ok"
    assert handshake.check_shared_secret(ConnectAuth(token="é"), "s") == "token_mismatch"
    assert handshake.check_shared_secret(ConnectAuth(), "s") == "token_missing"


KNOWN = KnownDevice("k", frozenset({"operator"}), frozenset({"operator.read"}), "linux", "")


def knock(**fields):
    base = {
        "public_key": "k",
        "role": "operator",
        "scopes": ("operator.read",),
        "platform": "linux",
        "device_family": "",
        "client_id": "cli",
        "local": True,
        "has_origin": False,
    }
    return Knock(**(base | fields))


@pytest.mark.parametrize(
    ("fields", "known", "kind", "reason"),
    [
        ({}, KNOWN, "allow", None),
        ({"local": False}, KNOWN, "allow", None),
        ({}, None, "approve", "not-paired"),
        ({"local": False}, None, "ask", "not-paired"),
        ({"public_key": "other", "local": False}, KNOWN, "ask", "not-paired"),
        ({"scopes": ("operator.admin",)}, KNOWN, "approve", "scope-upgrade"),
        ({"scopes": ("operator.admin",), "local": False}, KNOWN, "ask", "scope-upgrade"),
        ({"role": "node"}, KNOWN, "ask", "role-upgrade"),
        ({"platform": "darwin"}, KNOWN, "ask", "metadata-upgrade"),
        ({"has_origin": True}, None, "ask", "not-paired"),
        ({"has_origin": True, "client_id": "openclaw-control-ui"}, None, "approve", "not-paired"),
    ],
)
def test_who_is_paired_without_asking(fields, known, kind, reason):
    decision = decide_pairing(knock(**fields), known)
    assert (decision.kind, decision.reason) == (kind, reason)


def test_scopes():
    assert allows({"operator.admin"}, "operator.pairing")
    assert allows({"operator.write"}, "operator.read")
    assert not allows({"operator.read"}, "operator.write")
    assert not allows({"operator.write"}, "operator.admin")
    assert allows(set(), "")
    assert covers({"operator.admin"}, ["operator.read", "operator.approvals"])
    assert tidy([" b", "a", "b ", ""]) == ["a", "b"]
