"""Prints the numbers of OpenClaw's agent beside their bars: decisions, turns without model time, memory.

    python -m tests.bench.openclaw_agent [--json] [--sessions 100] [--turns 200] [--idle]

The model answers at once from memory, so that a turn's time is ours: store, transcript (flushed to disk), prompt,
events. Nothing is asserted; every loop is bounded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from gateway.sandbox.options import SandboxOptions
from gateway.sandbox.run import running_sandbox
from openclaw.agent.tools import ToolRegistry
from openclaw.agent.workspace.folder import Folder
from openclaw.agent.workspace.places import Places
from openclaw.agent.workspace.standing import write_missing
from openclaw.agent.workspace.tools import FileTools
from openclaw.config import OpenClawPolicy
from openclaw.gateway import MIGRATIONS, GatewayOptions, running_gateway
from openclaw.runs import Runs
from openclaw.sessions import SessionOrigin
from shared.config.paths import Paths
from shared.execpolicy.decide import decide_exec
from shared.execpolicy.models import ExecRequest
from shared.execpolicy.policy import load_exec_policy
from shared.obs.log import configure_logging
from shared.secrets.files import Secret
from shared.storage import Database
from tests.bench.run import Figure, p50_p99, pss_mb

EVERYDAY = (
    "curl -sS --max-time 20 https://graph.threads.net/v1.0/me?fields=id,username",
    "curl -sS -X POST https://graph.threads.net/v1.0/me/threads -d media_type=TEXT -d text=hello",
    "curl --fail-with-body --retry 3 -H 'Accept: application/json' https://api.example.org/v2/items?limit=5",
    "curl -s --json '{\"a\": 1}' https://api.example.org/v2/items",
    "curl -sL --compressed --connect-timeout 5 https://example.org/feed.xml",
    "node --version",
)


class InstantAnswer:
    """An answer that is there already."""

    status = 200
    headers: Mapping[str, str] = {}

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        yield self._body

    async def read(self, _most: int) -> bytes:
        return self._body


class InstantModel:
    """Stands for the gateway's model route: 40 words at once, and a tool call first when asked for one."""

    @asynccontextmanager
    async def model(self, _route: str, body: Mapping[str, Any], *, run_id: str) -> AsyncIterator[InstantAnswer]:
        last = body["input"][-1]
        events: list[dict[str, Any]] = []
        if last.get("type") != "function_call_output" and "tool" in json.dumps(last.get("content", "")):
            item = {"type": "function_call", "call_id": f"c{run_id}", "name": "read", "arguments": '{"path":"USER.md"}'}
            events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
        else:
            events.append({"type": "response.output_text.delta", "output_index": 0, "delta": "word " * 40})
        usage = {"input_tokens": 500, "output_tokens": 40}
        events.append({"type": "response.completed", "response": {"status": "completed", "usage": usage}})
        yield InstantAnswer(b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events))


def decisions_us(paths: Paths, rounds: int = 400) -> list[float]:
    """Microseconds of a decision, for each everyday command in turn."""
    policy = load_exec_policy(paths)
    times = []
    for number in range(rounds):
        request = ExecRequest(EVERYDAY[number % len(EVERYDAY)], {})
        start = time.perf_counter()
        decision = decide_exec(request, policy)
        times.append((time.perf_counter() - start) * 1e6)
        if decision.verdict != "allow":
            raise SystemExit(f"not an everyday call: {request.command}: {decision.reason}")
    return times


@asynccontextmanager
async def agent(folder: Path) -> AsyncIterator[Runs]:
    """A gateway with the usual workspace and the instant model."""
    paths = Paths(state=folder, runtime=folder / "r")
    places = Places("openclaw", paths)
    write_missing(Folder(places.workspace))
    policy = OpenClawPolicy.model_validate({"port": 0, "session": {"reset": "off"}})
    db = Database(paths.tenant_db("openclaw"), migrations=MIGRATIONS)
    await db.open()
    options = GatewayOptions(
        name="openclaw",
        policy=policy,
        folder=paths.tenant("openclaw"),
        secret=Secret("bench"),
        models=InstantModel(),  # type: ignore[arg-type] # a ModelClient as far as the loop needs one
        log_file=folder / "log",
        tools=ToolRegistry(FileTools(places).tools),
        workspace=lambda key: places.texts(key, policy.workspace),
    )
    try:
        async with running_gateway(options, db) as gateway:
            yield gateway.services.runs
    finally:
        await db.close()


async def turn_ms(runs: Runs, key: str, text: str, run_id: str) -> float:
    """Milliseconds of one turn, from being asked to the answer."""
    start = time.perf_counter()
    outcome = await runs.ask(key, text, run_id, source="bench", origin=SessionOrigin())
    if outcome.state != "ok":
        raise SystemExit(f"a turn failed: {outcome.error}")
    return (time.perf_counter() - start) * 1000


def flush_ms(folder: Path, rounds: int = 50) -> list[float]:
    """What the disk takes for the three flushes of a turn: the run, the question, the answer."""
    times = []
    with (folder / "floor").open("ab") as handle:
        for _ in range(rounds):
            start = time.perf_counter()
            for _ in range(3):
                handle.write(b"x" * 400)
                handle.flush()
                os.fsync(handle.fileno())
            times.append((time.perf_counter() - start) * 1000)
    return times


def rss_mb() -> float:
    """This process's resident memory."""
    return psutil.Process().memory_info().rss / 1e6


async def turns(folder: Path, sessions: int, each: int) -> list[Figure]:
    """Turns of many sessions, one after the other, and the memory they leave."""
    async with agent(folder) as runs:
        for number in range(20):
            await turn_ms(runs, "agent:main:warm", "hello", f"warm{number}")
        plain = [await turn_ms(runs, "agent:main:plain", f"hello {n}", f"plain{n}") for n in range(100)]
        tool = [await turn_ms(runs, "agent:main:tools", f"tool {n}", f"tool{n}") for n in range(50)]
        replayed: list[float] = []
        memory = [rss_mb()]
        for turn in range(each):
            for session in range(sessions):
                key = f"agent:main:s{session}"
                replayed.append(await turn_ms(runs, key, f"hello {turn}", f"r{session}x{turn}"))
            if turn % max(1, each // 4) == max(1, each // 4) - 1:
                memory.append(rss_mb())
    steps = " → ".join(f"{value:.0f}" for value in memory)
    tenth = max(1, len(replayed) // 10)
    early, late = statistics.median(replayed[:tenth]), statistics.median(replayed[-tenth:])
    return [
        Figure("turn without model time, p50 / p99", p50_p99(plain), "p50 ≤ 15 ms"),
        Figure("  floor: three flushes of the disk, p50 / p99", p50_p99(flush_ms(folder)), "–"),
        Figure("turn with a tool call (two model calls), p50 / p99", p50_p99(tool), "–"),
        Figure(f"{sessions} sessions × {each} turns: memory over the replay", f"{steps} MB", "flat"),
        Figure("  a turn at its beginning / end, p50", f"{early:.1f} / {late:.1f} ms", "–"),
    ]


async def idle_mb() -> Figure:
    """The tenant's own memory while nothing happens."""
    with tempfile.TemporaryDirectory(prefix="clawgate-bench-") as folder:
        options = SandboxOptions.parse(state=Path(folder) / "s", port_base=0, engine="process", quiet=True)
        async with running_sandbox(options):
            pass  # the first start makes databases, and keeps Alembic in memory
        async with running_sandbox(options) as sandbox:
            await asyncio.sleep(3)
            value = pss_mb(sandbox)["openclaw"]
    return Figure("OpenClaw's process, idle (PSS)", f"{value:.0f} MB", "–")


async def measure(sessions: int, each: int, *, idle: bool) -> list[Figure]:
    """All figures."""
    with tempfile.TemporaryDirectory(prefix="clawgate-bench-") as folder:
        place = Path(folder)
        decided = decisions_us(Paths(state=place, runtime=place / "r"))
        shown = f"{statistics.median(decided):.0f} µs (n={len(decided)})"
        figures = [Figure("decide_exec on everyday calls, p50", shown, "≤ 200 µs")]
        figures += await turns(place, sessions, each)
    if idle:
        figures.append(await idle_mb())
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--idle", action="store_true", help="also start the sandbox and read the tenant's memory")
    options = parser.parse_args()
    configure_logging("bench", level="ERROR")
    figures = asyncio.run(measure(min(options.sessions, 200), min(options.turns, 500), idle=options.idle))
    if options.json:
        print(json.dumps([asdict(figure) for figure in figures], ensure_ascii=False))
        return
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        print(f"{figure.name.ljust(width)}  {figure.value.ljust(44)}  bar: {figure.bar}")


if __name__ == "__main__":
    main()
