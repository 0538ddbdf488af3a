"""Behind a tunnel that adds Cloudflare's headers, everybody has to pair, whatever they forge."""

from __future__ import annotations

import pytest
from openclaw_rig import CONTROL_UI, POLICY, TOKEN, UI_SCOPES, running_rig

from openclaw.config import OpenClawPolicy
from shared.openclawclient.client import OpenClawClient, PairingRequired
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret
from tests.support.ui_tunnel import VISITOR, tunnel

BROWSER = {"profile": CONTROL_UI, "scopes": UI_SCOPES, "signature": "v2", "origin": "https://claw.example.org"}
FORGED = {
    "X-Forwarded-For": "127.0.0.1",
    "X-Real-IP": "127.0.0.1",
    "CF-Connecting-IP": "127.0.0.1",
    "Forwarded": "for=127.0.0.1;host=localhost",
}


def visitor(port, **options):
    headers = {"Host": "claw.example.org", **options.pop("headers", {})}
    return OpenClawClient(f"ws://127.0.0.1:{port}/", token=Secret(TOKEN), headers=headers, **options)


@pytest.mark.parametrize("trusted", [(), ("127.0.0.1",)])
@pytest.mark.parametrize("options", [BROWSER, {}], ids=["browser", "program"])
@pytest.mark.parametrize("headers", [{}, FORGED, FORGED | {"Host": "localhost"}], ids=["plain", "forged", "host"])
async def test_nobody_is_local_behind_the_tunnel(tmp_path, trusted, options, headers):
    policy = OpenClawPolicy.model_validate({**POLICY.model_dump(), "trusted_proxies": trusted})
    key = DeviceKey.generate()
    async with running_rig(tmp_path, policy=policy) as rig, tunnel(rig.gateway.port) as port, rig.client() as operator:
        with pytest.raises(PairingRequired) as waiting:
            async with visitor(port, device=key, headers=headers, **options):
                pass
        (pending,) = (await operator.request("device.pair.list", {}))["pending"]
        assert pending["requestId"] == waiting.value.request_id
        assert pending.get("remoteIp") == (VISITOR if trusted else None)
        assert pending["silent"] is False
        await operator.request("device.pair.approve", {"requestId": pending["requestId"]})
        async with visitor(port, device=key, headers=headers, **options) as paired:
            assert paired.hello["type"] == "hello-ok"
