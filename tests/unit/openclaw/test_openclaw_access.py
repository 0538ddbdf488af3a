"""Cloudflare Access assertions: what passes, what does not, and how the keys are kept."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from openclaw.access import AccessGate
from openclaw.protocol.handshake import read_upgrade
from shared.clock import FakeClock
from shared.errors import Denied
from shared.http.unixserver import AsgiListeners

TEAM = "example.cloudflareaccess.com"
TAG = "a" * 64
KEY = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
NEXT_KEY = RSAKey.generate_key(2048, {"kid": "k2", "use": "sig", "alg": "RS256"})


class Certificates:
    """The team's key address on loopback."""

    def __init__(self, *keys):
        self.keys = list(keys)
        self.asked = 0
        self.status = 200

    async def __call__(self, scope, receive, send):
        self.asked += 1
        body = json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def gate_with(certificates, clock, **more):
    async with AsgiListeners(certificates) as listeners:
        port = await listeners.add_tcp("127.0.0.1", 0, state={})
        yield AccessGate(TEAM, [TAG], keys_url=f"http://127.0.0.1:{port}/certs", clock=clock, **more)


def assertion(clock, key=KEY, header=None, **changes):
    now = int(clock.now().timestamp())
    claims = {"aud": [TAG], "iss": f"https://{TEAM}", "type": "app", "email": "owner@example.com"}
    claims |= {"iat": now, "nbf": now, "exp": now + 3600} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    head = {"alg": "RS256", "kid": key.kid} | (header or {})
    return {"cf-access-jwt-assertion": jwt.encode(head, claims, key, algorithms=[head["alg"]])}


async def test_a_signed_assertion_passes_and_says_who_and_how_long():
    clock = FakeClock()
    async with gate_with(Certificates(KEY), clock) as gate:
        found = await gate.check(assertion(clock))
        assert found.who == "owner@example.com"
        assert found.expires_at == int(clock.now().timestamp()) + 3600
        service = await gate.check(assertion(clock, email=None, common_name="monitor", aud=TAG))
        assert service.who == "monitor"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aud": ["b" * 64]}, "access.audience"),
        ({"aud": None}, "access.audience"),
        ({"aud": {"0": TAG}}, "access.audience"),
        ({"iss": "https://other.cloudflareaccess.com"}, "access.issuer"),
        ({"type": "org"}, "access.type"),
        ({"exp": 1}, "access.expired"),
        ({"exp": None}, "access.expired"),
        ({"exp": "tomorrow"}, "access.expired"),
        ({"nbf": 99_999_999_999}, "access.early"),
        ({"iat": 99_999_999_999}, "access.early"),
    ],
)
async def test_a_claim_that_is_wrong_is_refused_by_name(changes, code):
    clock = FakeClock()
    async with gate_with(Certificates(KEY), clock) as gate:
        with pytest.raises(Denied) as refused:
            await gate.check(assertion(clock, **changes))
        assert refused.value.code == code


async def test_another_signature_or_algorithm_is_refused():
    clock = FakeClock()
    stranger = RSAKey.generate_key(2048, {"kid": "k1"})
    shared = OctKey.import_key(json.dumps(KEY.as_dict(private=False)), {"kid": "k1"})
    good = assertion(clock)["cf-access-jwt-assertion"]
    head, body, signature = good.split(".")
    async with gate_with(Certificates(KEY), clock) as gate:
        for bad in (
            assertion(clock, key=stranger),
            assertion(clock, key=shared, header={"alg": "HS256"}),
            {"cf-access-jwt-assertion": f"{head}.{body}.{signature[:-8]}AAAAAAAA"},
            {"cf-access-jwt-assertion": f"{head}.{body}."},
            {"cf-access-jwt-assertion": "eyJhbGciOiJub25lIn0.e30."},
            {"cf-access-jwt-assertion": "not a token"},
            {"cf-access-jwt-assertion": "x" * 20_000},
            {},
        ):
            with pytest.raises(Denied, match="Access"):
                await gate.check(bad)


async def test_a_new_key_is_fetched_when_it_is_first_seen_but_at_most_once_a_minute():
    clock = FakeClock()
    certificates = Certificates(KEY)
    async with gate_with(certificates, clock) as gate:
        await gate.check(assertion(clock))
        await gate.check(assertion(clock))
        assert certificates.asked == 1
        certificates.keys.append(NEXT_KEY)
        with pytest.raises(Denied, match="unknown key"):
            await gate.check(assertion(clock, key=NEXT_KEY))
        assert certificates.asked == 1
        clock.advance(61)
        await gate.check(assertion(clock, key=NEXT_KEY))
        assert certificates.asked == 2


async def test_old_keys_serve_on_when_the_team_cannot_be_reached_and_without_any_nobody_passes():
    clock = FakeClock()
    certificates = Certificates(KEY)
    async with gate_with(certificates, clock) as gate:
        certificates.status = 503
        with pytest.raises(Denied, match="could not be loaded"):
            await gate.check(assertion(clock))
        certificates.status = 200
        clock.advance(61)
        await gate.check(assertion(clock))
        certificates.status = 503
        clock.advance(4000)
        assert (await gate.check(assertion(clock))).who == "owner@example.com"


@pytest.mark.parametrize(
    ("peer", "headers", "needed"),
    [
        ("127.0.0.1", {"host": "localhost:18789"}, False),
        ("127.0.0.1", {"host": "claw.example.org"}, True),
        ("127.0.0.1", {"host": "localhost", "cf-ray": "1"}, True),
        ("172.19.0.1", {"host": "localhost:18789"}, False),
        ("172.19.0.1", {"host": "localhost:18789", "x-forwarded-for": "203.0.113.9"}, True),
        ("172.19.0.1", {"host": "claw.example.org"}, True),
        ("172.19.0.2", {"host": "localhost:18789"}, True),
    ],
)
def test_only_this_machine_and_named_networks_come_without(peer, headers, needed):
    gate = AccessGate(TEAM, [TAG], direct_from=["172.19.0.1"])
    assert gate.is_needed(read_upgrade(peer, headers, [])) is needed
