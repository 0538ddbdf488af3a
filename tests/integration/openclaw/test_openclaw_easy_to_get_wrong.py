"""The reference's list of what is easy to get wrong (gateway §20), one test an item, over real sockets."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from openclaw_rig import CONTROL_UI, TOKEN, running_rig, text_of, until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from openclaw.connection import Limits
from shared.openclawclient.client import ClientProfile, PairingRequired, RequestRefused
from shared.openclawclient.device import ConnectClaim, DeviceKey
from shared.secrets.files import Secret

UI_ORDER = ("operator.pairing", "operator.admin", "operator.approvals")
"""Not sorted: what is signed is what was sent."""


def open_socket(rig, **options):
    return connect(rig.url, compression=None, proxy=None, ping_interval=None, **options)


async def frame_of(link):
    return json.loads(await asyncio.wait_for(link.recv(), 5))


async def refused_hello(link, **changes):
    """Says a hello that cannot be let in; gives the answer, then how the socket was closed."""
    client = {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"}
    params = {"minProtocol": 3, "maxProtocol": 3, "client": client, "auth": {"token": TOKEN}, **changes}
    await frame_of(link)
    await link.send(json.dumps({"type": "req", "id": "7", "method": "connect", "params": params}))
    answer = await frame_of(link)
    with pytest.raises(ConnectionClosed) as closed:
        await frame_of(link)
    return answer, (closed.value.rcvd.code, closed.value.rcvd.reason)


async def test_01_the_challenge_comes_first_unasked_and_without_a_number(tmp_path):
    async with running_rig(tmp_path) as rig, open_socket(rig) as link:
        challenge = await frame_of(link)
        assert challenge.keys() == {"type", "event", "payload"}
        assert challenge["event"] == "connect.challenge"
        assert challenge["payload"].keys() == {"nonce", "ts"}


@pytest.mark.parametrize("version", ["v2", "v3"])
async def test_02_both_signatures_hold_over_scopes_as_sent_and_the_token_of_auth(tmp_path, version):
    key = DeviceKey.generate()
    async with running_rig(tmp_path) as rig:
        async with rig.ui(device=key, signature=version, scopes=UI_ORDER) as first:
            device_token = first.issued_token
        async with rig.ui(device=key, signature=version, scopes=UI_ORDER, token=device_token) as again:
            assert again.hello["auth"]["scopes"] == sorted(UI_ORDER)
        async with open_socket(rig) as link:
            nonce = (await frame_of(link))["payload"]["nonce"]
            claim = ConnectClaim(key.device_id, "cli", "cli", "operator", sorted(UI_ORDER), 1, TOKEN, nonce, "linux")
            assert ",".join(UI_ORDER) not in claim.payload(version), "sorted scopes are another text"


async def test_03_a_page_reconnects_with_its_device_token_in_place_of_the_gateways(tmp_path):
    key = DeviceKey.generate()
    async with running_rig(tmp_path) as rig:
        async with rig.ui(device=key) as page:
            token = page.issued_token
        for _ in range(12):  # more often than wrong tokens are forgiven
            async with rig.ui(device=key, token=token) as page:
                assert page.issued_token.reveal() == token.reveal()


async def test_04_the_error_is_answered_before_the_close(tmp_path):
    async with running_rig(tmp_path) as rig, open_socket(rig) as link:
        answer, close = await refused_hello(link, auth={"token": "wrong"})
        assert answer["id"] == "7"
        assert answer["ok"] is False
        assert answer["error"]["details"]["code"] == "AUTH_TOKEN_MISMATCH"
        assert close == (1008, answer["error"]["message"])


async def test_05_pairing_required_is_a_detail_and_the_code_says_not_paired(tmp_path):
    async with running_rig(tmp_path) as rig:
        with pytest.raises(PairingRequired) as refused:
            async with rig.tunnel():
                pass
        assert refused.value.wire_code == "NOT_PAIRED"
        assert refused.value.details["code"] == "PAIRING_REQUIRED"
        assert refused.value.details["reason"] == "not-paired"
        assert refused.value.request_id


async def test_06_another_platform_needs_a_person_even_here(tmp_path):
    key = DeviceKey.generate()
    async with running_rig(tmp_path) as rig:
        async with rig.client(device=key):
            pass
        with pytest.raises(PairingRequired) as refused:
            async with rig.client(device=key, profile=ClientProfile(platform="darwin")):
                pass
        assert refused.value.details["reason"] == "metadata-upgrade"
        async with rig.client(device=key):
            pass


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"CF-Connecting-IP": "127.0.0.1"},
        {"Host": "claw.example.org"},
    ],
)
async def test_07_an_address_alone_makes_nobody_local(tmp_path, headers):
    async with running_rig(tmp_path) as rig:
        with pytest.raises(PairingRequired):
            async with rig.client(headers=headers):
                pass


async def test_08_deltas_are_the_whole_text_the_key_is_canonical_and_names_the_run(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        events = client.events()
        asked = {"sessionKey": "main", "message": "!slow 25", "idempotencyKey": "my-key"}
        assert (await client.request("chat.send", asked))["runId"] == "my-key"
        seen = []
        async for event in events:
            if event.name == "chat":
                assert (event.payload["runId"], event.payload["sessionKey"]) == ("my-key", "agent:main:main")
                seen.append(text_of(event.payload))
                if event.payload["state"] == "final":
                    break
        assert len(seen) > 2
        assert all(later.startswith(earlier.strip()) for earlier, later in pairwise(seen))


async def test_09_a_page_finds_what_it_starts_from(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as page:
        defaults = page.hello["snapshot"]["sessionDefaults"]
        assert defaults == {
            "defaultAgentId": "main",
            "mainKey": "main",
            "mainSessionKey": "agent:main:main",
            "scope": "per-sender",
        }
        assert (await page.request("agents.list"))["mainKey"] == "main"
        assert (await page.request("tools.catalog", {"agentId": "main"}))["profiles"]
        assert (await page.request("node.list"))["nodes"] == []
        assert (await page.request("device.pair.list"))["pending"] == []


async def test_10_many_who_ask_for_health_are_not_each_told_to_all(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as asking, rig.client() as hearing:
        events = hearing.events()
        for _ in range(200):
            assert (await asking.request("health"))["ok"] is True
        await asking.request("system-event", {"text": "done"})
        told = 0
        async for event in events:
            told += event.name == "health"
            if event.name == "presence" and "done" in json.dumps(event.payload):
                break
        assert told <= 3


async def test_11_null_where_the_protocol_says_null_and_nothing_elsewhere(tmp_path):
    async with running_rig(tmp_path) as rig, open_socket(rig) as link:
        client = {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"}
        params = {"minProtocol": 3, "maxProtocol": 3, "client": client, "auth": {"token": TOKEN}}
        params["scopes"] = ["operator.admin"]
        await frame_of(link)
        await link.send(json.dumps({"type": "req", "id": "hello", "method": "connect", "params": params}))

        asked = {
            "last-heartbeat": {},
            "cron.list": {},
            "channels.status": {},
            "exec.approval.request": {"command": "true", "timeoutMs": 1},
            "sessions.reset": {},
        }
        for method, given in asked.items():
            await link.send(json.dumps({"type": "req", "id": method, "method": method, "params": given}))
        answers = {}
        while not answers.keys() >= {"hello", *asked}:
            frame = await frame_of(link)
            answers[frame.get("id")] = frame
    assert "error" not in answers["hello"]
    assert "auth" not in answers["hello"]["payload"], "no device, no token"
    assert answers["last-heartbeat"]["payload"] is None
    assert answers["cron.list"]["payload"]["nextOffset"] is None
    account = answers["channels.status"]["payload"]["channelAccounts"]["discord"][0]
    assert account["lastInboundAt"] is None
    assert answers["exec.approval.request"]["payload"]["decision"] is None
    assert "payload" not in answers["sessions.reset"]


async def test_12_the_pages_settings_have_two_underscores_on_one_side(tmp_path):
    async with running_rig(tmp_path) as rig, rig.http() as http:
        settings = await http.get("/__openclaw/control-ui-config.json")
        assert settings.json()["assistantAgentId"] == "main"
        assert (await http.get("/__openclaw__/control-ui-config.json")).status_code == 404


async def test_13_probes_have_a_path_of_their_own_beside_the_page_at_health(tmp_path):
    async with running_rig(tmp_path) as rig, rig.http() as http:
        page = await http.get("/health")
        assert page.headers["content-type"].startswith("text/html")
        assert (await http.get("/healthz")).json() == {"ok": True}
        assert (await http.get("/readyz")).json() == {"ready": True}


async def test_14_without_the_hash_of_what_it_read_nobody_overwrites(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as page:
        await page.request("config.set", {"raw": "{}", "baseHash": (await page.request("config.get"))["hash"]})
        with pytest.raises(RequestRefused, match="config base hash required"):
            await page.request("config.set", {"raw": "{}"})
        file = (await page.request("exec.approvals.get"))["file"]
        with pytest.raises(RequestRefused, match="exec approvals base hash required"):
            await page.request("exec.approvals.set", {"file": file})


async def test_15_unknown_parameters_fail_but_where_the_protocol_is_open(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        with pytest.raises(RequestRefused, match="unexpected property 'bogus'"):
            await client.request("sessions.list", {"bogus": 1})
        for method in ("health", "status", "system-presence", "last-heartbeat"):
            await client.request(method, {"bogus": 1})


async def test_a_silent_page_is_closed_without_words_and_keeps_nobody_waiting(tmp_path):
    """Half-open: the TCP connection stands and nothing is ever said."""
    async with running_rig(tmp_path, limits=Limits(handshake_s=0.2)) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.gateway.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgr")  # and then never the rest
        await writer.drain()
        async with rig.ui(profile=CONTROL_UI, token=Secret(TOKEN)) as page:
            events = page.events()
            await page.request("chat.send", {"sessionKey": "main", "message": "hi", "idempotencyKey": "k"})
            assert text_of(await until(events, state="final")) == "echo: hi"
        writer.close()
        assert reader is not None
