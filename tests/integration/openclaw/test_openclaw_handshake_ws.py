"""The handshake over real sockets."""

from __future__ import annotations

import pytest
from openclaw_rig import POLICY, TOKEN, running_rig

from openclaw.config import OpenClawPolicy
from shared.openclawclient.client import Disconnected, PairingRequired, RequestRefused
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret


@pytest.mark.parametrize("signature", ["v2", "v3"])
async def test_both_signature_versions_are_accepted(tmp_path, signature):
    async with running_rig(tmp_path) as rig, rig.client(signature=signature) as client:
        assert client.hello["type"] == "hello-ok"
        assert client.hello["protocol"] == 3
        assert client.hello["snapshot"]["sessionDefaults"]["mainSessionKey"] == "agent:main:main"
        assert len(client.hello["auth"]["deviceToken"]) == 43
        assert "chat.send" in client.hello["features"]["methods"]
        assert await client.request("health")


async def test_control_ui_on_this_machine_is_paired_without_asking(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui:
        listing = await ui.request("device.pair.list", {})
        assert [device["clientId"] for device in listing["paired"]] == ["openclaw-control-ui"]
        assert listing["pending"] == []


async def test_a_tunnelled_visitor_must_be_approved_and_then_gets_in(tmp_path):
    key = DeviceKey.generate()
    async with running_rig(tmp_path) as rig:
        with pytest.raises(PairingRequired) as refused:
            async with rig.tunnel(device=key):
                pass
        assert refused.value.wire_code == "NOT_PAIRED"
        async with rig.client() as operator:
            pending = (await operator.request("device.pair.list", {}))["pending"]
            assert [row["requestId"] for row in pending] == [refused.value.request_id]
            await operator.request("device.pair.approve", {"requestId": refused.value.request_id})
        async with rig.tunnel(device=key) as visitor:
            assert visitor.hello["auth"]["role"] == "operator"


async def test_a_wrong_token_never_makes_a_pairing_request(tmp_path):
    async with running_rig(tmp_path) as rig:
        with pytest.raises(RequestRefused) as refused:
            async with rig.tunnel(token=Secret("wrong")):
                pass
        assert refused.value.details == {"code": "AUTH_TOKEN_MISMATCH", "authReason": "token_mismatch"}
        async with rig.client() as operator:
            assert (await operator.request("device.pair.list", {}))["pending"] == []


async def test_the_device_token_opens_the_door_in_place_of_the_gateway_token(tmp_path):
    key = DeviceKey.generate()
    async with running_rig(tmp_path) as rig:
        async with rig.ui(device=key) as first:
            token = first.issued_token
        async with rig.ui(device=key, token=token) as second:
            assert second.issued_token.reveal() == token.reveal()
        async with rig.ui(device=key, token=None, device_token=token) as third:
            assert third.hello["type"] == "hello-ok"
        with pytest.raises(RequestRefused, match="device token mismatch"):
            async with rig.ui(device=DeviceKey.generate(), token=None, device_token=token):
                pass


async def test_a_revoked_token_ends_the_live_socket_and_opens_nothing_more(tmp_path):
    key = DeviceKey.generate()
    async with running_rig(tmp_path) as rig, rig.client() as operator:
        async with rig.ui(device=key) as ui:
            token = ui.issued_token
            await operator.request("device.token.revoke", {"deviceId": key.device_id, "role": "operator"})
            with pytest.raises(Disconnected) as ended:
                await ui.request("sessions.list", {})
            assert ended.value.close_code == 1008
        with pytest.raises(RequestRefused, match="mismatch"):
            async with rig.ui(device=key, token=token):
                pass


async def test_a_rotated_token_ends_sockets_that_came_in_with_the_old_one(tmp_path):
    key = DeviceKey.generate()
    async with running_rig(tmp_path) as rig, rig.client() as operator:
        async with rig.ui(device=key) as first:
            old = first.issued_token
        async with rig.ui(device=key, token=old) as live:
            rotated = await operator.request("device.token.rotate", {"deviceId": key.device_id, "role": "operator"})
            assert (await live.wait_closed()).close_code == 1008
        async with rig.ui(device=key, token=Secret(rotated["token"])) as again:
            assert again.hello["type"] == "hello-ok"


async def test_revoking_ones_own_access_is_answered_first(tmp_path):
    key = DeviceKey.generate()
    async with running_rig(tmp_path) as rig, rig.client(device=key) as client:
        answer = await client.request("device.token.revoke", {"deviceId": key.device_id, "role": "operator"})
        assert answer["deviceId"] == key.device_id
        assert (await client.wait_closed()).close_code == 1008


async def test_origins_must_be_listed(tmp_path):
    async with running_rig(tmp_path) as rig:
        with pytest.raises(RequestRefused, match="origin not allowed"):
            async with rig.ui(origin="https://evil.example"):
                pass


async def test_a_page_that_guesses_is_locked_out_but_programs_are_not(tmp_path):
    async with running_rig(tmp_path) as rig:
        for _ in range(10):
            with pytest.raises(RequestRefused, match="mismatch"):
                async with rig.tunnel(token=Secret("guess")):
                    pass
        with pytest.raises(RequestRefused) as locked:
            async with rig.tunnel(token=Secret(TOKEN)):
                pass
        assert locked.value.details["code"] == "AUTH_RATE_LIMITED"
        async with rig.ui(), rig.client():
            pass


async def test_a_local_page_is_counted_too(tmp_path):
    async with running_rig(tmp_path) as rig:
        for _ in range(10):
            with pytest.raises(RequestRefused, match="mismatch"):
                async with rig.ui(token=Secret("guess")):
                    pass
        with pytest.raises(RequestRefused, match="too many failed"):
            async with rig.ui():
                pass
        async with rig.client():
            pass


async def test_control_ui_without_a_device_is_told_why(tmp_path):
    async with running_rig(tmp_path) as rig:
        with pytest.raises(RequestRefused) as refused:
            async with rig.ui(device=None):
                pass
        assert refused.value.details["code"] == "CONTROL_UI_DEVICE_IDENTITY_REQUIRED"


async def test_a_program_without_a_device_keeps_its_scopes_with_the_token(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client(device=None) as client:
        assert "auth" not in client.hello
        assert (await client.request("sessions.list", {}))["count"] == 0


async def test_a_program_from_elsewhere_needs_a_device_even_with_the_token(tmp_path):
    async with running_rig(tmp_path) as rig:
        with pytest.raises(RequestRefused) as refused:
            async with rig.client(device=None, headers={"CF-Ray": "1", "Host": "claw.example.org"}):
                pass
        assert refused.value.details["code"] == "DEVICE_IDENTITY_REQUIRED"


async def test_a_forged_forwarding_header_makes_nobody_local(tmp_path):
    async with running_rig(tmp_path) as rig:
        for forged in ({"X-Forwarded-For": "127.0.0.1"}, {"X-Real-IP": "::1"}, {"CF-Connecting-IP": "127.0.0.1"}):
            with pytest.raises(PairingRequired):
                async with rig.ui(headers=forged):
                    pass
            with pytest.raises(PairingRequired):
                async with rig.client(headers=forged):
                    pass


async def test_a_rotation_that_narrows_ends_sockets_that_hold_more_whatever_they_came_in_with(tmp_path):
    key = DeviceKey.generate()
    narrow = {"deviceId": key.device_id, "role": "operator", "scopes": ["operator.read"]}
    async with (
        running_rig(tmp_path) as rig,
        rig.client() as operator,
        rig.client(device=key) as wide,
        rig.client(device=key, scopes=("operator.read",)) as modest,
    ):
        await operator.request("device.token.rotate", narrow)
        assert (await wide.wait_closed()).close_code == 1008
        assert (await modest.request("sessions.list", {}))["count"] == 0
        with pytest.raises(RequestRefused, match="unknown deviceId/role"):
            await operator.request("device.token.rotate", {**narrow, "scopes": ["operator.admin"]})


async def test_a_paired_device_comes_in_by_its_own_token_while_strangers_are_made_to_wait(tmp_path):
    key = DeviceKey.generate()
    async with running_rig(tmp_path) as rig:
        async with rig.ui(device=key) as ui:
            token = ui.issued_token
        for _ in range(10):
            with pytest.raises(RequestRefused, match="mismatch"):
                async with rig.tunnel(token=Secret("guess")):
                    pass
        with pytest.raises(RequestRefused, match="too many failed"):
            async with rig.tunnel(device=key):
                pass
        async with rig.tunnel(device=key, token=token) as paired:
            assert paired.hello["type"] == "hello-ok"


async def test_a_device_that_guesses_waits_wherever_it_comes_from(tmp_path):
    policy = OpenClawPolicy.model_validate({**POLICY.model_dump(), "trusted_proxies": ["127.0.0.1"]})
    key = DeviceKey.generate()
    async with running_rig(tmp_path, policy=policy) as rig:
        for number in range(10):
            headers = {"CF-Connecting-IP": f"203.0.113.{number}", "Host": "claw.example.org"}
            with pytest.raises(RequestRefused, match="mismatch"):
                async with rig.tunnel(device=key, token=Secret("guess"), headers=headers):
                    pass
        headers = {"CF-Connecting-IP": "203.0.113.99", "Host": "claw.example.org"}
        with pytest.raises(RequestRefused, match="too many failed"):
            async with rig.tunnel(device=key, headers=headers):
                pass
        with pytest.raises(PairingRequired):
            async with rig.tunnel(headers=headers):
                pass


async def test_pairing_survives_a_restart(tmp_path):
    key = DeviceKey.generate()
    async with running_rig(tmp_path) as rig, rig.ui(device=key) as ui:
        token = ui.issued_token
    async with running_rig(tmp_path) as rig, rig.ui(device=key, token=token) as ui:
        assert ui.issued_token.reveal() == token.reveal()


async def test_less_scope_may_not_approve_more(tmp_path):
    async with running_rig(tmp_path) as rig:
        with pytest.raises(PairingRequired) as refused:
            async with rig.tunnel():
                pass
        async with rig.client(scopes=("operator.pairing",)) as helper:
            with pytest.raises(RequestRefused, match=r"missing scope: operator\.a"):
                await helper.request("device.pair.approve", {"requestId": refused.value.request_id})


async def test_pairing_events_reach_only_those_who_may_pair(tmp_path):
    async with (
        running_rig(tmp_path) as rig,
        rig.client(scopes=("operator.read",)) as reader,
        rig.client(scopes=("operator.pairing",)) as pairer,
    ):
        with pytest.raises(PairingRequired):
            async with rig.tunnel():
                pass
        async for event in pairer.events():
            if event.name == "device.pair.requested":
                break
        await reader.request("health")
        await reader.close()
        assert "device.pair.requested" not in [event.name async for event in reader.events()]
