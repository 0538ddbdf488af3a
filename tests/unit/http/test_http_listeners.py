import asyncio
import json
import os
import socket
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect, unix_connect
from websockets.exceptions import ConnectionClosedError

from shared.errors import ConfigError, Occupied
from shared.http.unixserver import AsgiListeners


async def echo_state(scope, receive, send):
    told = {key: value for key, value in scope["state"].items() if not callable(value)}
    state = {key: list(value) if isinstance(value, tuple) else value for key, value in told.items()}
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps(state)})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        return
    body = json.dumps({"state": state}).encode()
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


def client(path: Path) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path)), base_url="http://x", trust_env=False)


async def test_each_socket_hands_its_own_state_and_the_kernels_peer(tmp_path: Path) -> None:
    async with AsgiListeners(echo_state) as listeners:
        for name in ("a", "b"):
            await listeners.add_unix(tmp_path / name, state={"worker": name})
        for name in ("a", "b"):
            async with client(tmp_path / name) as http:
                state = (await http.get("/")).json()["state"]
            assert state == {"worker": name, "peer": [os.getpid(), os.getuid(), os.getgid()]}


async def test_a_full_socket_says_so_and_has_room_again_when_somebody_leaves(tmp_path: Path) -> None:
    async with AsgiListeners(echo_state, max_connections=2) as listeners:
        for name in ("a", "b"):
            await listeners.add_unix(tmp_path / name, state={})
        idle = [await asyncio.open_unix_connection(str(tmp_path / "a")) for _ in range(2)]
        async with client(tmp_path / "a") as http, client(tmp_path / "b") as other:
            answer = await http.get("/")
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
            assert (await other.get("/")).status_code == 200
            idle[0][1].close()
            async with asyncio.timeout(5):
                while (await http.get("/")).status_code != 200:
                    await asyncio.sleep(0.005)
        idle[1][1].close()


async def test_a_websocket_knows_its_peer_too(tmp_path: Path) -> None:
    async with AsgiListeners(echo_state) as listeners:
        await listeners.add_unix(tmp_path / "s", state={"worker": "w"})
        async with unix_connect(str(tmp_path / "s"), "ws://x/", compression=None) as ws:
            assert json.loads(await ws.recv()) == {"worker": "w", "peer": [os.getpid(), os.getuid(), os.getgid()]}


async def test_what_is_sent_in_one_turn_arrives_as_one(tmp_path: Path) -> None:
    async with AsgiListeners(echo_state) as listeners:
        port = await listeners.add_tcp("127.0.0.1", 0, state={"worker": "w"})
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        upgrade = ("Host: x", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        writer.write("\r\n".join(["GET / HTTP/1.1", *upgrade, key, "", ""]).encode())
        first = await reader.read(4096)
        writer.close()
    assert first.startswith(b"HTTP/1.1 101")
    assert first.endswith(b'{"worker": "w"}')


async def test_tcp_requests_have_state_but_no_peer() -> None:
    async with AsgiListeners(echo_state) as listeners:
        port = await listeners.add_tcp("127.0.0.1", 0, state={"k": 1})
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://127.0.0.1:{port}/")).json()["state"] == {"k": 1}


async def test_a_port_in_use_is_refused_with_its_number(tmp_path: Path) -> None:
    async with AsgiListeners(echo_state) as listeners:
        port = await listeners.add_tcp("127.0.0.1", 0, state={})
        with pytest.raises(Occupied, match=str(port)):
            await listeners.add_tcp("127.0.0.1", port, state={})


async def test_a_dead_process_socket_file_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / "s"))
    stale.close()
    async with AsgiListeners(echo_state) as first, AsgiListeners(echo_state) as second:
        await first.add_unix(tmp_path / "s", state={})
        with pytest.raises(Occupied):
            await second.add_unix(tmp_path / "s", state={})
        async with client(tmp_path / "s") as http:
            assert (await http.get("/")).status_code == 200


async def test_a_plain_file_in_the_way_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    async with AsgiListeners(echo_state) as listeners:
        with pytest.raises(Occupied):
            await listeners.add_unix(tmp_path / "s", state={})
    assert (tmp_path / "s").read_text() == "precious"


@pytest.mark.parametrize("name", ["missing/s", "x" * 120])
async def test_an_unusable_path_is_a_configuration_error(tmp_path: Path, name: str) -> None:
    async with AsgiListeners(echo_state) as listeners:
        with pytest.raises(ConfigError):
            await listeners.add_unix(tmp_path / name, state={})


async def test_the_socket_file_has_the_mode_asked_for(tmp_path: Path) -> None:
    async with AsgiListeners(echo_state) as listeners:
        await listeners.add_unix(tmp_path / "s", state={}, mode=0o660)
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o660


async def test_removing_a_socket_cuts_it_and_leaves_the_others(tmp_path: Path) -> None:
    async with AsgiListeners(echo_state) as listeners:
        await listeners.add_unix(tmp_path / "a", state={})
        await listeners.add_unix(tmp_path / "b", state={})
        async with client(tmp_path / "a") as a, client(tmp_path / "b") as b:
            assert (await a.get("/")).status_code == 200
            await listeners.remove(tmp_path / "a")
            assert not (tmp_path / "a").exists()
            with pytest.raises(httpx.ConnectError):
                await a.get("/")
            assert (await b.get("/")).status_code == 200


async def test_close_lets_a_running_request_finish_within_the_deadline() -> None:
    started = asyncio.Event()

    async def slow(scope, receive, send):
        started.set()
        await asyncio.sleep(0.05)
        await echo_state(scope, receive, send)

    listeners = AsgiListeners(slow)
    port = await listeners.add_tcp("127.0.0.1", 0, state={})
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.TaskGroup() as tasks:
        request = tasks.create_task(http.get(f"http://127.0.0.1:{port}/"))
        await started.wait()
        await listeners.close(2.0)
    assert request.result().status_code == 200


async def test_close_cuts_what_outlives_the_deadline() -> None:
    gone = asyncio.Event()

    async def endless(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await receive()
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.set()

    listeners = AsgiListeners(endless)
    port = await listeners.add_tcp("127.0.0.1", 0, state={})
    async with httpx.AsyncClient(trust_env=False) as http, http.stream("GET", f"http://127.0.0.1:{port}/") as answer:
        chunks = answer.aiter_bytes()
        await anext(chunks)
        await listeners.close(0.02)
        with pytest.raises(httpx.HTTPError):
            await anext(chunks)
    assert gone.is_set()


async def test_an_endless_request_head_is_refused() -> None:
    async with AsgiListeners(echo_state) as listeners:
        port = await listeners.add_tcp("127.0.0.1", 0, state={})
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"y" * 70_000 + b"\r\n\r\n")
        assert b" 400 " in await reader.readline()
        writer.close()


async def test_small_pieces_do_not_wait_for_acknowledgements() -> None:
    async with AsgiListeners(echo_state) as listeners:
        port = await listeners.add_tcp("127.0.0.1", 0, state={})
        async with httpx.AsyncClient(trust_env=False, verify=False) as http:
            await http.get(f"http://127.0.0.1:{port}/")
            [connection] = listeners._tcp["127.0.0.1", port].connections.connections
            kept = connection.transport.get_extra_info("socket")
            assert kept.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(("ending", "broken"), [("reset", True), ("hang_up", False)])
async def test_an_emulator_breaks_off_behind_what_it_sent(ending: str, broken: bool) -> None:
    async def breaks_off(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "last words"})
        scope["state"][ending]()
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async with AsgiListeners(breaks_off, with_reset=True) as listeners:
        port = await listeners.add_tcp("127.0.0.1", 0, state={})
        async with connect(f"ws://127.0.0.1:{port}/", proxy=None) as websocket:
            assert await websocket.recv() == "last words"
            with pytest.raises(ConnectionClosedError) as closed:
                await websocket.recv()
    assert closed.value.rcvd is None, "no close frame"
    assert isinstance(closed.value.__cause__, ConnectionResetError) is broken


async def test_a_cut_says_nothing_and_leaves_no_task() -> None:
    gone = asyncio.Event()

    async def stays(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        gone.set()

    listeners = AsgiListeners(stays)
    port = await listeners.add_tcp("127.0.0.1", 0, state={})
    async with connect(f"ws://127.0.0.1:{port}/", proxy=None) as websocket:
        await listeners.cut()
        assert gone.is_set()
        with pytest.raises(ConnectionClosedError) as closed:
            await websocket.recv()
    assert closed.value.rcvd is None
