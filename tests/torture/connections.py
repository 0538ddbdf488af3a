"""``python -m tests.torture.connections``: 10,000 strangers at the door, 500 at once, while a paired client works.

Gateway, strangers and client are a process each, so that the client waits for the gateway and not for the crowd beside
it. Printed: how the strangers were sent away, how long the client waited for its answers meanwhile, how much processor
time a stranger cost the gateway, and the gateway's memory before and after. Fails when one was let in or stuck, when a
socket is left over, or when memory grew by more than 64 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import psutil

from shared.openclawclient.client import OpenClawClient
from shared.openclawclient.device import DeviceKey
from shared.secrets.files import Secret
from tests.support.crowd import crowd

_RIG = Path(__file__).parent.parent / "integration" / "openclaw"
_MAX_GROWTH_BYTES = 64 << 20


async def serve(folder: Path) -> None:
    """Be the gateway: print the address, then run until standard input ends."""
    sys.path.insert(0, str(_RIG))
    from openclaw_rig import running_rig

    async with running_rig(folder) as rig:
        print(rig.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def start(*arguments: object) -> Process:
    """One of the other two processes."""
    words = [str(word) for word in ("-m", "tests.torture.connections", *arguments)]
    return await asyncio.create_subprocess_exec(sys.executable, *words, stdin=PIPE, stdout=PIPE)


async def strangers(url: str, total: int, at_once: int) -> dict[str, int]:
    """Let a crowd come; says how they were sent away."""
    process = await start("--crowd", url, "--total", total, "--at-once", at_once)
    output, _ = await process.communicate()
    ends: dict[str, int] = json.loads(output)
    return ends


def cpu_s(process: psutil.Process) -> float:
    """Processor seconds a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure(total: int, at_once: int) -> int:
    """Run the crowd against a gateway; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        process = await start("--serve", folder)
        assert process.stdout is not None
        url = ""
        while not url.startswith("ws://"):
            url = (await process.stdout.readline()).decode().strip()
        drain = asyncio.get_running_loop().create_task(process.stdout.read())
        gateway = psutil.Process(process.pid)
        client = OpenClawClient(url, token=Secret("gateway-token-of-the-test"), device=DeviceKey.generate())
        async with client:
            await strangers(url, at_once, at_once)  # warm
            before, began, cpu_before = gateway.memory_info().rss, time.monotonic(), cpu_s(gateway)
            waits: list[float] = []
            working = asyncio.get_running_loop().create_task(_work(client, waits))
            ends = await strangers(url, total, at_once)
            spent, cpu = time.monotonic() - began, cpu_s(gateway) - cpu_before
            working.cancel()
            await asyncio.sleep(2)
            after, left = gateway.memory_info().rss, len(gateway.net_connections("tcp")) - 2
            assert await client.request("health")
        process.terminate()
        await process.wait()
        await drain
    print(f"{total} strangers, {at_once} at once: {spent:.1f} s, {total / spent:.0f} a second; {ends}")
    p99 = statistics.quantiles(waits, n=100)[98] if len(waits) > 1 else 0.0
    print(f"a paired client meanwhile: {len(waits)} calls, median {statistics.median(waits):.1f} ms, p99 {p99:.1f} ms")
    print(f"the gateway's processor time: {cpu:.1f} s, {cpu / total * 1000:.2f} ms a stranger")
    print(f"memory {before >> 20} -> {after >> 20} MB; sockets left over: {left}")
    failed = ends.get("let in") or ends.get("stuck") or left > 0 or after - before > _MAX_GROWTH_BYTES
    return int(bool(failed))


async def _work(client: OpenClawClient, waits: list[float]) -> None:
    while True:
        began = time.monotonic()
        await client.request("health", timeout_s=30)
        waits.append((time.monotonic() - began) * 1000)
        await asyncio.sleep(0.05)


def main() -> int:
    """Entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--total", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=500)
    parser.add_argument("--serve", type=Path)
    parser.add_argument("--crowd", metavar="URL")
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return 0
    if options.crowd:
        print(json.dumps(asyncio.run(crowd(options.crowd, options.total, options.at_once))))
        return 0
    return asyncio.run(measure(options.total, options.at_once))


if __name__ == "__main__":
    sys.exit(main())
