"""Cloudflare Access in front of the whole port: an assertion beside token and pairing, never instead of them."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from openclaw_rig import POLICY, running_rig

from openclaw import gateway
from openclaw.access import AccessGate
from openclaw.config import OpenClawPolicy
from shared.clock import SYSTEM_CLOCK
from shared.http.unixserver import AsgiListeners
from shared.openclawclient.client import PairingRequired, RequestRefused
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret

TEAM = "example.cloudflareaccess.com"
TAG = "c" * 64
KEY = RSAKey.generate_key(2048, {"kid": "k1"})
VISITOR = {"CF-Connecting-IP": "203.0.113.7", "Host": "claw.example.org"}


def assertion(lasts_s=3600):
    now = int(SYSTEM_CLOCK.now().timestamp())
    claims = {"aud": [TAG], "iss": f"https://{TEAM}", "type": "app", "email": "o@example.com", "exp": now + lasts_s}
    return jwt.encode({"alg": "RS256", "kid": "k1"}, claims, KEY)


@asynccontextmanager
async def rig_with_access(tmp_path, monkeypatch):
    async def certificates(scope, receive, send):
        body = json.dumps({"keys": [KEY.as_dict(private=False)]}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    policy = OpenClawPolicy.model_validate(
        {**POLICY.model_dump(), "access": {"team_domain": TEAM, "audiences": [TAG]}, "http": {"responses": True}}
    )
    async with AsgiListeners(certificates) as listeners:
        port = await listeners.add_tcp("127.0.0.1", 0, state={})

        def gate(*args, **more):
            return AccessGate(*args, keys_url=f"http://127.0.0.1:{port}/", **more)

        monkeypatch.setattr(gateway, "AccessGate", gate)
        async with running_rig(tmp_path, policy=policy) as rig:
            yield rig


async def test_an_assertion_is_needed_and_still_opens_nothing_by_itself(tmp_path, monkeypatch):
    key = DeviceKey.generate()
    async with rig_with_access(tmp_path, monkeypatch) as rig:
        with pytest.raises(Exception, match="does not answer"):
            async with rig.tunnel(headers=VISITOR):
                pass
        passed = {**VISITOR, "Cf-Access-Jwt-Assertion": assertion()}
        with pytest.raises(RequestRefused, match="token mismatch"):
            async with rig.tunnel(headers=passed, token=Secret("wrong")):
                pass
        with pytest.raises(PairingRequired) as waiting:
            async with rig.tunnel(headers=passed, device=key):
                pass
        async with rig.client() as operator:
            await operator.request("device.pair.approve", {"requestId": waiting.value.request_id})
        async with rig.tunnel(headers=passed, device=key) as visitor:
            assert visitor.hello["type"] == "hello-ok"


async def test_a_socket_ends_with_its_assertion(tmp_path, monkeypatch):
    key = DeviceKey.generate()
    async with rig_with_access(tmp_path, monkeypatch) as rig:
        async with rig.ui(device=key):
            pass
        short = {**VISITOR, "Cf-Access-Jwt-Assertion": assertion(lasts_s=1)}
        async with rig.tunnel(headers=short, device=key) as visitor:
            ended = await visitor.wait_closed()
            assert ended.close_code == 1008
            assert "Access" in ended.close_reason


async def test_pages_and_programs_need_it_too_but_probes_do_not(tmp_path, monkeypatch):
    async with rig_with_access(tmp_path, monkeypatch) as rig, rig.http() as http:
        assert (await http.get("/", headers=VISITOR)).status_code == 403
        assert (await http.post("/v1/responses", headers=VISITOR, json={"input": "hi"})).status_code == 403
        assert (await http.get("/healthz", headers=VISITOR)).status_code == 200
        passed = {**VISITOR, "Cf-Access-Jwt-Assertion": assertion()}
        assert (await http.get("/", headers=passed)).status_code == 200
        assert (await http.post("/v1/responses", headers=passed, json={"input": "hi"})).status_code == 200
        assert (await http.get("/")).status_code == 200
