"""Frames, limits, closes and every method, over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket as sockets
import struct

import pytest
from openclaw_rig import TOKEN, running_rig, until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from openclaw.connection import Limits
from shared.openclawclient.client import RequestRefused

CONNECT = {
    "minProtocol": 3,
    "maxProtocol": 3,
    "client": {"id": "cli", "version": "dev", "platform": "linux", "mode": "cli"},
    "auth": {"token": TOKEN},
    "scopes": ["operator.admin"],
}


def frame(**fields):
    return json.dumps({"type": "req", "id": "1", "method": "connect", "params": CONNECT} | fields)


async def raw(rig):
    socket = await connect(rig.url, compression=None, proxy=None, max_size=None, ping_interval=None)
    challenge = json.loads(await socket.recv())
    assert challenge["event"] == "connect.challenge"
    assert "seq" not in challenge
    return socket


async def closed(socket):
    answers = []
    try:
        while True:
            answers.append(json.loads(await asyncio.wait_for(socket.recv(), 5)))
    except ConnectionClosed as error:
        return answers, error.rcvd.code, error.rcvd.reason


@pytest.mark.parametrize(
    ("sent", "code", "reason", "message"),
    [
        ("not json", 1000, "", None),
        ('{"type":"req"}', 1008, "invalid request frame", "must have required property 'id'"),
        (frame(method="health"), 1008, "invalid handshake: first request must be connect", "invalid handshake"),
        (frame(extra=1), 1008, "invalid request frame", "at root: unexpected property 'extra'"),
        (frame(params=CONNECT | {"minProtocol": 4, "maxProtocol": 4}), 1002, "protocol mismatch", "protocol mismatch"),
        (frame(params=CONNECT | {"role": "king"}), 1008, "invalid role", "invalid role"),
        (frame(params=CONNECT | {"bogus": 1}), 1008, None, "invalid connect params: at root: unexpected property"),
        (frame(params=CONNECT | {"role": "node"}), 1008, "device identity required", "device identity required"),
        (frame(params=CONNECT | {"auth": {}}), 1008, None, "unauthorized: gateway token missing (set gateway.remote"),
    ],
)
async def test_a_bad_beginning_is_answered_and_then_closed(tmp_path, sent, code, reason, message):
    async with running_rig(tmp_path) as rig:
        socket = await raw(rig)
        await socket.send(sent)
        answers, got_code, got_reason = await closed(socket)
        assert got_code == code
        if reason is not None:
            assert got_reason == reason
        assert [message in answer["error"]["message"] for answer in answers] == ([True] if message else [])


async def test_silence_is_closed_after_the_handshake_time(tmp_path):
    async with running_rig(tmp_path, limits=Limits(handshake_s=0.05)) as rig:
        assert (await closed(await raw(rig)))[1:] == (1000, "")


async def test_a_large_frame_closes_with_1009(tmp_path):
    limits = Limits(max_payload_bytes=200_000)
    async with running_rig(tmp_path, limits=limits) as rig, rig.client(device=None) as client:
        await client.send_raw("x" * 300_000)
        assert (await client.wait_closed()).close_code == 1009


async def test_a_hello_may_not_be_large(tmp_path):
    async with running_rig(tmp_path) as rig:
        socket = await raw(rig)
        await socket.send(" " * 70_000)
        assert (await closed(socket))[1] == 1009


async def test_garbage_after_hello_costs_nothing(tmp_path):
    async with running_rig(tmp_path) as rig:
        socket = await raw(rig)
        await socket.send(frame())
        await socket.recv()
        await socket.send("{nonsense")
        await socket.send('{"type":"req","id":"7"}')
        await socket.send(b'{"type":"req","id":"8","method":"last-heartbeat"}')
        await socket.send('{"type":"req","id":"9","method":"connect"}')
        answers = {}
        while not {"7", "8", "9"} <= answers.keys():
            answer = json.loads(await socket.recv())
            answers[answer.get("id")] = answer
        assert answers["7"]["error"]["message"].startswith("invalid request frame:")
        assert answers["8"]["payload"] is None
        assert answers["9"]["error"]["message"] == "connect is only valid as the first request"
        await socket.close()


async def test_a_client_that_does_not_read_is_closed_and_the_others_go_on(tmp_path):
    limits = Limits(max_buffered_bytes=200_000, close_grace_s=0.1)
    async with running_rig(tmp_path, limits=limits) as rig, rig.client() as healthy:
        with sockets.socket() as slow:
            await say_hello_and_stop_reading(slow, rig.gateway.port)
            hub = rig.gateway.services.hub
            async with asyncio.timeout(5):
                while len(hub.connections) < 2:
                    await asyncio.sleep(0.01)
            async with asyncio.timeout(20):
                while len(hub.connections) == 2:
                    hub.broadcast("agent", {"padding": "x" * 100_000})
                    await asyncio.sleep(0.001)
            assert await healthy.request("health")


async def say_hello_and_stop_reading(slow, port):
    slow.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    slow.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(slow, ("127.0.0.1", port))
    upgrade = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    await loop.sock_sendall(slow, (upgrade + key).encode())
    assert b"101" in await loop.sock_recv(slow, 2000)
    hello = frame().encode()
    await loop.sock_sendall(slow, bytes([0x81, 0xFE]) + struct.pack(">H", len(hello)) + bytes(4) + hello)


async def test_requests_on_one_socket_may_overtake_each_other_but_all_are_answered(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        answers = await asyncio.gather(*(client.request("sessions.list", {}) for _ in range(200)))
        assert {answer["count"] for answer in answers} == {0}


async def test_every_advertised_method_answers_in_its_shape(tmp_path):
    params = {
        "sessions.preview": {"keys": ["main"]},
        "sessions.reset": {"key": "main"},
        "sessions.patch": {"key": "main"},
        "sessions.delete": {"key": "notes"},
        "sessions.compact": {"key": "main"},
        "agents.files.list": {"agentId": "main"},
        "agents.files.get": {"agentId": "main", "name": "SOUL.md"},
        "set-heartbeats": {"enabled": False},
        "channels.logout": {"channel": "discord"},
        "chat.history": {"sessionKey": "main"},
        "chat.abort": {"sessionKey": "main"},
    }
    needs_more = {
        "agent",
        "agent.wait",
        "agents.files.set",
        "chat.send",
        "exec.approval.request",
        "exec.approval.waitDecision",
        "exec.approvals.set",
        "send",
        "system-event",
        "wake",
        "cron.add",
        "cron.update",
        "cron.remove",
        "cron.run",
        "config.apply",
        "config.patch",
        "config.set",
        "device.pair.approve",
        "device.pair.reject",
        "device.pair.remove",
        "device.token.rotate",
        "device.token.revoke",
        "exec.approval.resolve",
    }
    async with running_rig(tmp_path) as rig, rig.client() as client:
        for method in client.hello["features"]["methods"]:
            if method in needs_more:
                with pytest.raises(RequestRefused, match=f"invalid {method} params: at root: must have required"):
                    await client.request(method, {})
            else:
                await client.request(method, params.get(method))


async def test_scopes_and_roles_hold(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client(scopes=("operator.read",)) as reader:
        await reader.request("sessions.list", {})
        for method, scope in (
            ("chat.send", "operator.write"),
            ("device.pair.list", "operator.pairing"),
            ("sessions.reset", "operator.admin"),
            ("exec.approval.resolve", "operator.approvals"),
            ("no.such.method", "operator.admin"),
        ):
            with pytest.raises(RequestRefused, match=f"missing scope: {scope}"):
                await reader.request(method, {})
        with pytest.raises(RequestRefused, match="unauthorized role: operator"):
            await reader.request("node.event", {})


async def test_asking_for_what_is_not_there_says_so(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        for method, params, message in (
            ("no.such", {}, "unknown method: no.such"),
            ("sessions.list", {"bogus": 1}, "invalid sessions.list params: at root: unexpected property 'bogus'"),
            ("sessions.list", {"limit": "5"}, "invalid sessions.list params: at /limit: must be integer"),
            ("sessions.list", [], "invalid sessions.list params: at root: must be object"),
            ("sessions.resolve", {"key": "gone"}, "No session found: gone"),
            ("device.pair.approve", {"requestId": "x"}, "unknown requestId"),
            ("device.pair.remove", {"deviceId": "x"}, "unknown deviceId"),
            ("device.token.rotate", {"deviceId": "x", "role": "operator"}, "unknown deviceId/role"),
        ):
            with pytest.raises(RequestRefused) as refused:
                await client.request(method, params)
            assert refused.value.detail == message
        assert await client.request("health", {"anything": "goes"})


async def test_shutdown_is_told_and_closes_with_1012(tmp_path):
    async with running_rig(tmp_path) as rig:
        client = rig.client()
        await client.__aenter__()
    names = [event.name async for event in client.events()]
    assert "shutdown" in names
    ended = await client.wait_closed()
    assert (ended.close_code, ended.close_reason) == (1012, "service restart")
    await client.close()


async def test_ticks_come(tmp_path):
    async with running_rig(tmp_path, limits=Limits(tick_s=0.05)) as rig, rig.client() as client:
        assert client.hello["policy"]["tickIntervalMs"] == 50
        ticks = []
        async for event in client.events():
            if event.name == "tick":
                ticks.append(event.seq)
            if len(ticks) == 2:
                break
        assert ticks[0] < ticks[1]


async def test_presence_shows_who_is_there(tmp_path):
    async with running_rig(tmp_path) as rig, rig.ui() as ui, rig.client():
        entries = await ui.request("system-presence")
        assert [entry["mode"] for entry in entries] == ["gateway", "webchat"]


async def test_logs_are_tailed_by_whole_lines(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        assert (await client.request("logs.tail", {}))["lines"] == []
        path = tmp_path / "logs" / "openclaw.log"
        path.parent.mkdir()
        path.write_text('{"a":1}\n{"b":2}\n{"half')
        first = await client.request("logs.tail", {})
        assert first["lines"] == ['{"a":1}', '{"b":2}']
        with path.open("a") as handle:
            handle.write('":3}\n')
        second = await client.request("logs.tail", {"cursor": first["cursor"]})
        assert second["lines"] == ['{"half":3}']
        path.write_text("")
        assert (await client.request("logs.tail", {"cursor": second["cursor"]}))["reset"] is True


async def test_config_shows_no_secret(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        config = await client.request("config.get", {})
        assert TOKEN not in json.dumps(config)
        assert config["valid"] is True


async def test_sessions_can_be_listed_previewed_and_found(tmp_path):
    async with running_rig(tmp_path) as rig, rig.client() as client:
        params = {"sessionKey": "notes", "message": "remember milk", "idempotencyKey": "k"}
        await client.request("chat.send", params)
        await until(client.events(), runId="k", state="final")
        listing = await client.request("sessions.list", {"includeLastMessage": True, "includeDerivedTitles": True})
        (session,) = listing["sessions"]
        assert session["key"] == "agent:main:notes"
        assert session["derivedTitle"] == "remember milk"
        assert session["lastMessagePreview"] == "echo: remember milk"
        preview = await client.request("sessions.preview", {"keys": ["notes", "gone"]})
        assert [row["status"] for row in preview["previews"]] == ["ok", "missing"]
        assert (await client.request("sessions.resolve", {"key": "notes"}))["key"] == "agent:main:notes"
