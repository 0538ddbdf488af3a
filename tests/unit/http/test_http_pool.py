import asyncio

import pytest

from shared.errors import Busy, DeadlineExceeded, Invalid, Unavailable
from shared.http.client import HttpPool, http_client
from shared.http.unixserver import AsgiListeners


class Server:
    """Counts connections by client port, and answers by path."""

    def __init__(self) -> None:
        self.ports: set[int] = set()
        self.disconnected = asyncio.Event()

    async def __call__(self, scope, receive, send):
        self.ports.add(scope["client"][1])
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["path"] == "/cut":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"10")]})
            await send({"type": "http.response.body", "body": b"half", "more_body": True})
            raise ConnectionError
        await send({"type": "http.response.start", "status": 200, "headers": [(b"X-Thing", b"1")]})
        await send({"type": "http.response.body", "body": body or b"hello", "more_body": scope["path"] == "/endless"})
        if scope["path"] == "/endless":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.disconnected.set()


async def test_a_finished_requests_connection_is_used_again() -> None:
    server = Server()
    async with AsgiListeners(server) as listeners, HttpPool() as pool:
        base = f"http://127.0.0.1:{await listeners.add_tcp('127.0.0.1', 0, state={})}"
        for _ in range(3):
            answer = await pool.request("POST", base + "/x?y=1", body=b"echo", headers=[(b"a", b"b")])
            assert (answer.status, answer.body, answer.header("x-thing")) == (200, b"echo", "1")
        assert len(server.ports) == 1


async def test_requests_at_once_get_a_connection_each() -> None:
    server = Server()
    async with AsgiListeners(server) as listeners, HttpPool() as pool:
        base = f"http://127.0.0.1:{await listeners.add_tcp('127.0.0.1', 0, state={})}"
        await asyncio.gather(*(pool.request("GET", base) for _ in range(5)))
        assert len(server.ports) == 5


async def test_leaving_early_closes_the_upstream_connection() -> None:
    server = Server()
    async with AsgiListeners(server) as listeners, HttpPool() as pool:
        base = f"http://127.0.0.1:{await listeners.add_tcp('127.0.0.1', 0, state={})}"
        async with pool.stream("GET", base + "/endless") as answer:
            await anext(answer.aiter_bytes())
        await asyncio.wait_for(server.disconnected.wait(), 2)
        assert (await pool.request("GET", base)).body == b"hello"


async def test_a_cut_body_is_an_error_and_not_an_end() -> None:
    async with AsgiListeners(Server()) as listeners, HttpPool() as pool:
        base = f"http://127.0.0.1:{await listeners.add_tcp('127.0.0.1', 0, state={})}"
        with pytest.raises(Unavailable) as caught:
            await pool.request("GET", base + "/cut")
        assert caught.value.code == "http.cut"


async def test_silence_ends_at_the_read_timeout() -> None:
    async with AsgiListeners(Server()) as listeners, HttpPool() as pool:
        base = f"http://127.0.0.1:{await listeners.add_tcp('127.0.0.1', 0, state={})}"
        with pytest.raises(DeadlineExceeded):
            await pool.request("GET", base + "/endless", read_timeout_s=0.02)


async def test_a_closed_port_is_unavailable_and_names_the_host() -> None:
    async with HttpPool() as pool:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1"):
            await pool.request("GET", "http://127.0.0.1:1/")


async def test_one_request_too_many_is_refused_at_once() -> None:
    async with AsgiListeners(Server()) as listeners, HttpPool(max_in_flight=1) as pool:
        base = f"http://127.0.0.1:{await listeners.add_tcp('127.0.0.1', 0, state={})}"
        async with pool.stream("GET", base + "/endless"):
            with pytest.raises(Busy):
                await pool.request("GET", base)


@pytest.mark.parametrize("url", ["ftp://x/", "/relative", "https:///no-host"])
async def test_only_http_addresses_are_called(url: str) -> None:
    async with HttpPool() as pool:
        with pytest.raises(Invalid):
            await pool.request("GET", url)


async def test_an_ordinary_client_ignores_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with AsgiListeners(Server()) as listeners:
        base = f"http://127.0.0.1:{await listeners.add_tcp('127.0.0.1', 0, state={})}"
        async with http_client(base_url=base, headers={"x": "y"}) as client:
            assert (await client.get("/")).text == "hello"
