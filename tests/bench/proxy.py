"""What the model API adds to a call: against the same emulator called directly, in one run.

``.venv/bin/python -m tests.bench.proxy [--calls N]``: emulators in one process, the listener in another, the clients
in this one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing as mp
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway.copilotapi.options import CopilotApiOptions
from gateway.copilotapi.server import running_api
from gateway.sandbox.faults import FaultPlan
from gateway.sandbox.models.copilot import one_address
from gateway.sandbox.models.github import GITHUB_LIFETIME, DeviceFlow
from gateway.sandbox.models.tokens import Tokens
from gateway.sandbox.models.wire import EmulatorApp
from gateway.sandbox.script import Script
from shared.clock import SYSTEM_CLOCK
from shared.http.client import HttpPool
from shared.http.unixserver import AsgiListeners
from shared.obs.log import configure_logging
from shared.secrets.files import write_private

HEADERS = [
    (b"content-type", b"application/json"),
    (b"editor-version", b"vscode/1.107.0"),
    (b"copilot-integration-id", b"vscode-chat"),
]


def emulator(folder: str, pipe: Any) -> None:
    asyncio.run(_emulator(Path(folder), pipe))


async def _emulator(folder: Path, pipe: Any) -> None:
    configure_logging("bench", level="ERROR")
    tokens = Tokens(SYSTEM_CLOCK)
    app = EmulatorApp({}, faults=FaultPlan.of(()), clock=SYSTEM_CLOCK, requests=[], revoke=lambda _u, _t: None)
    async with AsgiListeners(app) as listeners:
        base = f"http://127.0.0.1:{await listeners.add_tcp('127.0.0.1', 0, state={})}/one"
        app.serve({"one": one_address(Script(), tokens, base, DeviceFlow(tokens, base))})
        write_private(folder / "token", tokens.issue("github", lifetime=GITHUB_LIFETIME).value)
        pipe.send((base, tokens.issue("copilot", lifetime=GITHUB_LIFETIME).value))
        await asyncio.to_thread(pipe.recv)


def listener(folder: str, base: str, pipe: Any) -> None:
    asyncio.run(_listener(Path(folder), base, pipe))


async def _listener(folder: Path, base: str, pipe: Any) -> None:
    configure_logging("bench", level="ERROR")
    options = CopilotApiOptions(port=0, token_file=folder / "token", upstream_base=base)
    async with running_api(options) as api:
        pipe.send(api.url)
        await asyncio.to_thread(pipe.recv)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


async def measure(url: str, bearer: str, clients: int, calls: int, body: bytes) -> tuple[list[float], list[float]]:
    """Milliseconds to the first byte and to the end of each call."""
    first: list[float] = []
    total: list[float] = []
    headers = [*HEADERS, (b"authorization", f"Bearer {bearer}".encode())]
    async with HttpPool() as pool:

        async def client() -> None:
            for _ in range(calls):
                start, seen = time.perf_counter(), 0.0
                async with pool.stream("POST", url, headers=headers, body=body, read_timeout_s=60.0) as answer:
                    assert answer.status == 200, await answer.read()
                    async for _chunk in answer.aiter_bytes():
                        seen = seen or time.perf_counter()
                first.append((seen - start) * 1000)
                total.append((time.perf_counter() - start) * 1000)

        await client()
        first.clear()
        total.clear()
        await asyncio.gather(*(client() for _ in range(clients)))
    return first, total


def at(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def run(base: str, bearer: str, url: str, calls: int) -> None:
    # max_tokens is given, so that both sides send the same.
    cases = [("short, whole", 20, False), ("short, streamed", 20, True), ("64,000 chars, streamed", 64_000, True)]
    print(f"{'case':<26}{'clients':>8}{'':>9}{'first p50':>11}{'first p99':>11}{'all p50':>10}{'all p99':>10}  ms")
    for name, length, stream in cases:
        # The emulator echoes the last turn, so the length is put before it.
        text = "x" * 12
        filler = {"role": "system", "content": "y" * length}
        turns = [filler, {"role": "user", "content": text}]
        body = json.dumps({"model": "gpt-4o", "max_tokens": 64, "messages": turns, "stream": stream}).encode()
        for clients in (1, 32):
            each = max(5, calls // clients)
            direct = await measure(f"{base}/chat/completions", bearer, clients, each, body)
            ours = await measure(f"{url}/v1/chat/completions", "any", clients, each, body)
            rows = {"direct": direct, "through": ours}
            for label, (first, total) in rows.items():
                print(
                    f"{name:<26}{clients:>8}{label:>9}{statistics.median(first):>11.2f}{at(first, 0.99):>11.2f}"
                    f"{statistics.median(total):>10.2f}{at(total, 0.99):>10.2f}"
                )
            added = [statistics.median(b) - statistics.median(a) for a, b in zip(direct, ours, strict=True)]
            tails = [at(b, 0.99) - at(a, 0.99) for a, b in zip(direct, ours, strict=True)]
            print(
                f"{'':<26}{clients:>8}{'added':>9}{added[0]:>11.2f}{tails[0]:>11.2f}{added[1]:>10.2f}{tails[1]:>10.2f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=320)
    calls = parser.parse_args().calls
    configure_logging("bench", level="ERROR")
    context = mp.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        up, up_end = context.Pipe()
        upstream = context.Process(target=emulator, args=(folder, up_end))
        upstream.start()
        base, bearer = up.recv()
        ours, ours_end = context.Pipe()
        proxy = context.Process(target=listener, args=(folder, base, ours_end))
        proxy.start()
        asyncio.run(run(base, bearer, ours.recv(), calls))
        ours.send("stop")
        print(f"listener's largest RSS: {ours.recv()} MB")
        up.send("stop")
        proxy.join()
        upstream.join()


if __name__ == "__main__":
    main()
