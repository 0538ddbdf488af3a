"""The protocol's speed beside the original's, in the same minute on the same machine.

    python -m tests.bench.openclaw_protocol [--json] [--quick]

Start to first hello, handshakes, requests a second on 1 and 50 connections, memory idle and after load, 1,000 idle
connections, and what one client that does not read costs the others. The original runs where npm is within reach.
Bars (issue 5): at least 1.0 of the original's rate on one connection, 0.6 on fifty. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from websockets.asyncio.client import ClientConnection, connect

from gateway.sandbox.run import free_port
from shared.openclawclient.client import OpenClawClient
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret
from tests.support.original import Original, install

TOKEN = "token-of-the-benchmark"
METHODS = ("health", "channels.status", "sessions.list")
START_LIMIT_S = 120.0
MEASURE_LIMIT_S = 240.0
"""For all figures of one gateway: one that does not answer ends the benchmark with words instead of never."""
WARM_HANDSHAKES = 50
HELLO = {
    "minProtocol": 3,
    "maxProtocol": 3,
    "client": {"id": "gateway-client", "version": "bench", "platform": "linux", "mode": "backend"},
    "auth": {"token": TOKEN},
    "role": "operator",
    "scopes": ["operator.admin"],
}


@dataclass
class Figures:
    """What was measured at one gateway; milliseconds, megabytes, requests a second."""

    start_ms: float = 0.0
    handshake_p50_ms: float = 0.0
    handshake_p95_ms: float = 0.0
    handshake_cpu_ms: float = 0.0
    idle_mb: float = 0.0
    loaded_mb: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)


def memory_mb(pid: int) -> float:
    """Resident memory of a process and all its children."""
    root = psutil.Process(pid)
    return sum(process.memory_info().rss for process in (root, *root.children(recursive=True))) / 1e6


def cpu_s(pid: int) -> float:
    """Processor seconds of a process and all its children: what other work on the machine hardly changes."""
    root = psutil.Process(pid)
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return sum(float(each.user + each.system) for each in times)


async def shake_hands(url: str) -> ClientConnection:
    """A connection after its hello."""
    link = await connect(url, compression=None, proxy=None, max_size=None, ping_interval=None)
    await link.recv()
    await link.send(json.dumps({"type": "req", "id": "hello", "method": "connect", "params": HELLO}))
    await answer(link, "hello")
    return link


async def answer(link: ClientConnection, request_id: str) -> dict[str, Any]:
    """The answer to a request; events in between are read and forgotten."""
    mark = f'"id":"{request_id}"'
    while True:
        text = str(await link.recv())
        if mark in text[:120]:
            frame: dict[str, Any] = json.loads(text)
            if not frame["ok"]:
                raise RuntimeError(f"the gateway refused: {frame['error']}")
            return frame


async def rate(url: str, method: str, connections: int, seconds: float) -> float:
    """Requests a second with so many connections, each asking again when it is answered."""
    links = [await shake_hands(url) for _ in range(connections)]
    until = time.perf_counter() + seconds

    async def ask(link: ClientConnection) -> int:
        count = 0
        while time.perf_counter() < until:
            await link.send(f'{{"type":"req","id":"{count}","method":"{method}","params":{{}}}}')
            await answer(link, str(count))
            count += 1
        return count

    began = time.perf_counter()
    total = sum(await asyncio.gather(*(ask(link) for link in links)))
    took = time.perf_counter() - began
    await asyncio.gather(*(link.close() for link in links))
    return total / took


async def handshakes(url: str, samples: int) -> tuple[float, float]:
    """Median and 95th percentile of a whole signed handshake, TCP included."""
    device, times = DeviceKey.generate(), []
    for _ in range(samples):
        began = time.perf_counter()
        client = OpenClawClient(url, token=Secret(TOKEN), device=device)
        async with client:
            times.append((time.perf_counter() - began) * 1000)
    times.sort()
    return statistics.median(times), times[int(len(times) * 0.95) - 1]


async def first_hello(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a gateway that was just started says hello."""
    async with asyncio.timeout(START_LIMIT_S):
        while True:
            try:
                link = await shake_hands(url)
            except Exception:
                if process.poll() is not None:
                    raise RuntimeError(f"the gateway ended with {process.returncode}") from None
                await asyncio.sleep(0.02)
            else:
                await link.close()
                return


@asynccontextmanager
async def started(command: Sequence[str | Path], port: int, **options: Any) -> AsyncIterator[tuple[str, int, float]]:
    """A gateway as a process; gives its address, its process id and the milliseconds to its first hello."""
    url = f"ws://127.0.0.1:{port}/"
    began = time.perf_counter()
    output = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)
    try:
        await first_hello(url, process)
        yield url, process.pid, (time.perf_counter() - began) * 1000
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ours(folder: Path, port: int) -> dict[str, Any]:
    """How our gateway is started."""
    return {"command": [sys.executable, "-m", "tests.bench.openclaw_serve", folder, str(port), TOKEN], "port": port}


def theirs(original: Original, folder: Path, port: int) -> dict[str, Any]:
    """How the original is started."""
    words = ["gateway", "--port", str(port), "--token", TOKEN, "--bind", "loopback", "--allow-unconfigured"]
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "OPENCLAW_SKIP_CHANNELS": "1"}
    return {"command": [original.node, original.program, *words], "port": port, "env": environment, "cwd": folder}


async def measure(start: dict[str, Any], *, seconds: float, samples: int) -> Figures:
    """All figures of one gateway."""
    async with started(**start) as (url, pid, start_ms), asyncio.timeout(MEASURE_LIMIT_S):
        figures = Figures(start_ms=start_ms)
        await asyncio.sleep(1.0)
        figures.idle_mb = memory_mb(pid)
        await handshakes(url, WARM_HANDSHAKES)
        before = cpu_s(pid)
        figures.handshake_p50_ms, figures.handshake_p95_ms = await handshakes(url, samples)
        figures.handshake_cpu_ms = (cpu_s(pid) - before) / samples * 1000
        for connections in (1, 50):
            for method in METHODS:
                figures.rates[f"{method} on {connections}"] = await rate(url, method, connections, seconds)
        figures.loaded_mb = memory_mb(pid)
        return figures


def open_and_stop_reading(port: int) -> socket.socket:
    """A client that says hello and then reads nothing."""
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    link.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + key.encode())
    link.recv(2000)
    link.sendall(_masked({"type": "req", "id": "1", "method": "connect", "params": HELLO}))
    return link


def _masked(frame: dict[str, Any]) -> bytes:
    body = json.dumps(frame).encode()
    size = struct.pack("!BBH", 0x81, 0x80 | 126, len(body)) if len(body) > 125 else bytes([0x81, 0x80 | len(body)])
    return size + bytes(4) + body


async def forget(link: ClientConnection) -> None:
    """Read what comes and think nothing of it, as a page does that somebody left open."""
    async for _ in link:
        continue


async def crowd(start: dict[str, Any], *, idle: int, seconds: float) -> dict[str, float]:
    """Ours alone: a thousand idle connections, and a client that asks without ever reading."""
    async with started(**start) as (url, pid, _), asyncio.timeout(MEASURE_LIMIT_S), asyncio.TaskGroup() as group:
        alone = await rate(url, "sessions.list", 1, seconds)
        before = memory_mb(pid)
        readers = [group.create_task(forget(await shake_hands(url))) for _ in range(idle)]
        held = await rate(url, "sessions.list", 1, seconds)
        each_kb = (memory_mb(pid) - before) * 1000 / idle
        slow = open_and_stop_reading(start["port"])
        slow.setblocking(False)
        for number in range(2000):
            try:
                slow.send(_masked({"type": "req", "id": str(number), "method": "health"}))
            except BlockingIOError:
                break
        beside = await rate(url, "sessions.list", 1, seconds)
        slow.close()
        for reader in readers:
            reader.cancel()
        return {"alone": alone, "with_idle": held, "beside_slow": beside, "kb_each": each_kb}


def report(mine: Figures, other: Figures | None, many: dict[str, float]) -> list[dict[str, str]]:
    """Rows for people and programs."""

    def row(
        name: str, value: float, unit: str, theirs: float | None, bar: str = "", *, faster: bool = False
    ) -> dict[str, str]:
        ratio = ""
        if theirs:
            ratio = f"{value / theirs if not faster else theirs / value:.2f}x"
        return {
            "name": name,
            "ours": f"{value:.1f} {unit}",
            "original": f"{theirs:.1f} {unit}" if theirs else "",
            "ratio": ratio,
            "bar": bar,
        }

    rows = [
        row("start to first hello", mine.start_ms, "ms", other and other.start_ms, "> 1", faster=True),
        row("handshake p50", mine.handshake_p50_ms, "ms", other and other.handshake_p50_ms, "> 1", faster=True),
        row("handshake p95", mine.handshake_p95_ms, "ms", other and other.handshake_p95_ms, "> 1", faster=True),
        row("handshake, processor time", mine.handshake_cpu_ms, "ms", other and other.handshake_cpu_ms, faster=True),
        row("memory idle", mine.idle_mb, "MB", other and other.idle_mb, "> 1", faster=True),
        row("memory after load", mine.loaded_mb, "MB", other and other.loaded_mb, "> 1", faster=True),
    ]
    for name, value in mine.rates.items():
        bar = ">= 1.0" if name.endswith(" on 1") else ">= 0.6"
        rows.append(row(name, value, "req/s", other and other.rates[name], bar))
    rows += [
        row("sessions.list alone", many["alone"], "req/s", None),
        row("the same beside idle connections", many["with_idle"], "req/s", None),
        row("the same beside a client that does not read", many["beside_slow"], "req/s", None),
        row("memory of an idle connection", many["kb_each"], "kB", None),
    ]
    return rows


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="shorter runs, 200 idle connections")
    options = parser.parse_args()
    seconds, samples, idle = (1.0, 20, 200) if options.quick else (3.0, 100, 1000)
    try:
        original: Original | None = install()
    except OSError as error:
        print(f"without the original: {error}", file=sys.stderr)
        original = None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("ours", "theirs", "crowd"):
            (folder / part).mkdir()
        print("measuring ours", file=sys.stderr)
        mine = await measure(ours(folder / "ours", free_port()), seconds=seconds, samples=samples)
        other = None
        if original is not None:
            print("measuring the original", file=sys.stderr)
            start = theirs(original, folder / "theirs", free_port())
            other = await measure(start, seconds=seconds, samples=samples)
        print("measuring a crowd", file=sys.stderr)
        many = await crowd(ours(folder / "crowd", free_port()), idle=idle, seconds=seconds)
    rows = report(mine, other, many)
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    for entry in rows:
        print(f"{entry['name']:<46}{entry['ours']:>16}{entry['original']:>16}{entry['ratio']:>9}  {entry['bar']}")


if __name__ == "__main__":
    asyncio.run(main())
