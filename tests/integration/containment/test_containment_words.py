"""The real programs get exactly the words that were shown, and ask for exactly the hosts that were judged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from shared.containment.commands import prepare
from shared.containment.egress import EgressProxy
from shared.containment.run import start_contained
from shared.execpolicy.decide import decide_exec
from shared.execpolicy.models import ExecRequest
from shared.execpolicy.policy import ExecPolicy

pytestmark = pytest.mark.slow
POLICY = ExecPolicy()

CURL = [
    "curl -s https://graph.threads.net/v1.0/me?fields=id,username",
    "curl -sS \\\n  -X POST https://api.example.org/x \\\n  -d 'two lines\nof text' -d '' -d \"She said \\\"hi\\\"\"",
    "curl -d 'text=👩‍👩‍👧 & friends; $HOME `id`' 'https://api.example.org/ab?c=%20'",
    "c'u'rl $'-s' \"https://a.example.org/x?y=1\"  -d  a\\ b -d '' -d \"c\\d\"",
    'curl -X POST https://api.example.org/x --json \'{"a": [1, {"b": null}]}\' --fail-with-body --retry 2',
    "curl -F media_type=TEXT -F 'text=hello world' https://api.example.org/x",
    "curl -G https://api.example.org/x --data-urlencode 'q=hello there' --data-urlencode 'r=a&b'",
    "curl 'http://www.example.org#@127.0.0.1/'",
    "curl 'http://www.example.org?@127.0.0.1/'",
    "curl http://www.example.org/@127.0.0.1/",
    "curl http://www.example.org/https://127.0.0.1/",
    "curl http://xn--n3h.example.org./x",
    "curl HTTP://WWW.example.ORG:8080/x",
    "curl -g 'https://h.example.org/{a}?x[]=1' --data-raw @x",
    "curl -- https://www.example.org/",
]


class Watch:
    """A proxy that never answers: whoever asks waits, and can be looked at."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.came = asyncio.Event()
        self.port = 0

    @property
    def environment(self) -> dict[str, str]:
        url = f"http://127.0.0.1:{self.port}"
        return {"http_proxy": url, "HTTPS_PROXY": url, "ALL_PROXY": url, "NO_PROXY": ""}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked.append(head.split(" ")[1])
        self.came.set()
        await reader.read()
        writer.close()


@asynccontextmanager
async def a_watch() -> AsyncIterator[Watch]:
    watch = Watch()
    server = await asyncio.start_server(watch.serve, "127.0.0.1", 0)
    watch.port = server.sockets[0].getsockname()[1]
    async with server:
        yield watch
        server.close()


async def words_of(name: str) -> list[str]:
    """The argument list of our descendant of that name, once the kernel has started it."""
    async with asyncio.timeout(10):
        while True:
            for process in psutil.Process().children(recursive=True):
                try:
                    program = Path(process.exe())
                    if program.name == name and "playwright" not in program.parts:  # the browser tests' own node
                        raw = Path(f"/proc/{process.pid}/cmdline").read_bytes()
                        return raw.decode().split("\0")[:-1]
                except (psutil.Error, OSError):
                    continue
            await asyncio.sleep(0.02)


def host_of(asked: str) -> tuple[str, int]:
    """Host and port of what curl asked its proxy for: an address for http, host and port for https."""
    rest = asked.removeprefix("http://").split("/")[0].split("?")[0]
    host, _, port = rest.partition(":")
    return host.lower().rstrip("."), int(port or 80)


@pytest.mark.parametrize("command", CURL)
async def test_curl_runs_the_shown_words_and_asks_for_the_judged_host(command: str, tmp_path: Path) -> None:
    request = ExecRequest(command)
    decision = decide_exec(request, POLICY)
    assert decision.verdict == "allow", decision
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    async with a_watch() as watch:
        proxy = cast(EgressProxy, SimpleNamespace(port=watch.port, environment=watch.environment))
        spec = prepare(
            decision, request, POLICY, workspace=tmp_path / "work", empty_home=tmp_path / "home", proxy=proxy,
            timeout_s=20,
        )  # fmt: skip
        running = asyncio.ensure_future((await start_contained(spec)).finish())
        async with asyncio.timeout(15):
            await watch.came.wait()
        seen = await words_of("curl")
        running.cancel()
        await asyncio.wait([running])
    assert tuple(seen) == spec.argv == ("curl", "-q", *(decision.argv or ())[1:])
    assert {host_of(asked) for asked in watch.asked} == {(e.host.lower(), e.port) for e in decision.endpoints}
    assert list((tmp_path / "work").iterdir()) == [], "nothing was written"


async def test_node_runs_the_shown_program_and_words(tmp_path: Path) -> None:
    request = ExecRequest("node -e 'setInterval(() => {}, 1000) // \"$HOME\"' '' 'a  b' $'c\\nd' é")
    decision = decide_exec(request, POLICY)
    assert decision.verdict == "ask"
    spec = prepare(
        decision, request, POLICY, workspace=tmp_path, empty_home=tmp_path,
        proxy=cast(EgressProxy, SimpleNamespace(port=1, environment={})), timeout_s=20,
    )  # fmt: skip
    running = asyncio.ensure_future((await start_contained(spec)).finish())
    seen = await words_of("node")
    running.cancel()
    await asyncio.wait([running])
    assert tuple(seen) == spec.argv
    assert spec.argv[-5:] == ('setInterval(() => {}, 1000) // "$HOME"', "", "a  b", "c\nd", "é")
