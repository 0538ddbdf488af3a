"""Connections that misbehave: refused or survived, never a crash, never a stuck socket."""

from __future__ import annotations

import asyncio
import json
import socket as sockets

import pytest
from openclaw_rig import TOKEN, running_rig
from websockets.asyncio.client import connect

from openclaw.connection import Limits
from shared.clock import SYSTEM_CLOCK, FakeClock, unix_ms
from shared.openclawclient.client import RequestRefused
from shared.openclawclient.device import ConnectClaim, DeviceKey
from tests.support.crowd import crowd

CLIENT = {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"}


def connect_frame(key, nonce, *, signer=None, at_ms=None, scopes=("operator.read",), signed_scopes=None, token=TOKEN):
    claim = ConnectClaim(
        device_id=key.device_id,
        client_id="cli",
        client_mode="cli",
        role="operator",
        scopes=list(signed_scopes or scopes),
        signed_at_ms=at_ms or unix_ms(SYSTEM_CLOCK.now()),
        token=token,
        nonce=nonce,
        platform="linux",
        device_family=None,
    )
    device = {
        "id": key.device_id,
        "publicKey": key.public_key,
        "signature": (signer or key).sign(claim.payload("v3")),
        "signedAt": claim.signed_at_ms,
        "nonce": nonce,
    }
    params = {"minProtocol": 3, "maxProtocol": 3, "client": CLIENT, "role": "operator", "scopes": list(scopes)}
    params |= {"auth": {"token": token}, "device": device}
    return json.dumps({"type": "req", "id": "1", "method": "connect", "params": params})


async def answered(rig, make):
    """Send one connect frame made from the challenge's nonce; the answer's error, or None when let in."""
    async with connect(rig.url, compression=None, proxy=None) as socket:
        nonce = json.loads(await socket.recv())["payload"]["nonce"]
        await socket.send(make(nonce))
        answer = json.loads(await socket.recv())
        return answer.get("error"), nonce


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"signer": DeviceKey.generate()}, "device-signature"),
        ({"signed_scopes": ("operator.admin",)}, "device-signature"),
        ({"off_ms": -121_000}, "device-signature-stale"),
        ({"off_ms": 180_000}, "device-signature-stale"),
    ],
)
async def test_a_proof_holds_for_its_key_its_claim_and_its_time(tmp_path, changes, reason):
    key, changes = DeviceKey.generate(), dict(changes)
    off_ms = changes.pop("off_ms", None)

    def frame(nonce):
        at = {} if off_ms is None else {"at_ms": unix_ms(SYSTEM_CLOCK.now()) + off_ms}
        return connect_frame(key, nonce, **changes, **at)

    async with running_rig(tmp_path) as rig:
        error, _ = await answered(rig, frame)
        assert (error or {}).get("details", {}).get("reason") == reason


async def test_a_recorded_proof_opens_no_second_socket(tmp_path):
    key, recorded = DeviceKey.generate(), []
    async with running_rig(tmp_path) as rig:

        def record(nonce):
            recorded.append(connect_frame(key, nonce))
            return recorded[-1]

        assert (await answered(rig, record))[0] is None
        error, _ = await answered(rig, lambda _nonce: recorded[0])
        assert error["details"]["reason"] == "device-nonce-mismatch"


async def test_scopes_beyond_the_token_are_not_had_by_asking(tmp_path):
    key = DeviceKey.generate()
    async with running_rig(tmp_path) as rig:
        async with rig.client(device=key, scopes=("operator.read",)) as modest:
            token = modest.issued_token
        for scopes in (("operator.admin",), ("operator.read", "operator.pairing")):
            with pytest.raises(RequestRefused, match="mismatch"):
                async with rig.client(device=key, token=token, scopes=scopes):
                    pass
        async with rig.client(device=key, token=token, scopes=("operator.read",)) as again:
            with pytest.raises(RequestRefused, match="missing scope"):
                await again.request("config.set", {"raw": "{}"})


async def test_a_client_whose_clock_is_wrong_is_told_and_a_server_jump_hurts_no_open_socket(tmp_path):
    clock = FakeClock(SYSTEM_CLOCK.now())
    async with running_rig(tmp_path, clock=clock) as rig, rig.client() as client:
        clock.jump(86_400)
        assert await client.request("health")
        with pytest.raises(RequestRefused, match="device signature expired"):
            async with rig.client():
                pass


async def test_a_peer_that_vanished_is_found_out(tmp_path):
    async with running_rig(tmp_path, limits=Limits(ping_s=0.2)) as rig:
        with sockets.socket() as silent:
            silent.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(silent, ("127.0.0.1", rig.gateway.port))
            head = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            await loop.sock_sendall(silent, (head + key).encode())
            assert b"101" in await loop.sock_recv(silent, 2000)
            hub = rig.gateway.services.hub
            async with asyncio.timeout(5):
                while hub._sockets:
                    await asyncio.sleep(0.02)


async def test_a_crowd_of_strangers_is_sent_away_and_nothing_is_left_of_it(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        ends = await crowd(rig.url, 240, 60)
        assert ends["let in"] == ends["stuck"] == 0
        assert set(ends) <= {"1000", "1002", "1008", "1009", "left"}
        assert sum(ends.values()) == 240
        assert await client.request("health")
        hub = rig.gateway.services.hub
        async with asyncio.timeout(5):
            while len(hub._sockets) > 1:
                await asyncio.sleep(0.02)


async def test_more_strangers_than_there_is_room_for_are_turned_away_but_the_owner_is_not(tmp_path):
    elsewhere = {"CF-Connecting-IP": "203.0.113.9"}
    async with running_rig(tmp_path, limits=Limits(max_strangers=3)) as rig:
        waiting = [await connect(rig.url, additional_headers=elsewhere, proxy=None) for _ in range(3)]
        with pytest.raises(Exception, match="403"):
            await connect(rig.url, additional_headers=elsewhere, proxy=None)
        async with rig.client() as owner:
            assert await owner.request("health")
        for socket in waiting:
            await socket.close()
        async with asyncio.timeout(5):
            while rig.gateway.services.hub._sockets:
                await asyncio.sleep(0.02)
        async with await connect(rig.url, additional_headers=elsewhere, proxy=None) as again:
            assert "connect.challenge" in await again.recv()
