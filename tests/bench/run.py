"""Prints the numbers of DESIGN section 6 beside their bars; ratios against a floor measured in the same run.

    python -m tests.bench.run [--json] [--engine docker|process] [--samples N]

Nothing here is asserted: a shared machine is too noisy for absolute times. Every loop is bounded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from gateway.sandbox.options import SandboxOptions
from gateway.sandbox.run import Sandbox, running_sandbox
from shared.config.paths import Paths
from shared.config.toml import operator_file
from shared.config.tomlwrite import overlay_file
from shared.obs.log import configure_logging
from tests.bench.floors import bare_container_ms, bare_unpause_ms, direct_upstream_ms, engine_host
from tests.bench.inbox import discord_to_inbox_ms, slack_to_inbox_ms
from tests.bench.many import Rooms, drained_s, side_by_side_ms, worker_memory_mb
from tests.bench.talk import PAUSE_AFTER_S, first_model_request_ms, paused_ms, standby_ms


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number beside its bar."""

    name: str
    value: str
    bar: str


def quantile(values: Sequence[float], q: float) -> float:
    """The value below which a share `q` of all values lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def p50_p99(values: Sequence[float]) -> str:
    """Median and 99th percentile in milliseconds."""
    return f"{statistics.median(values):.1f} / {quantile(values, 0.99):.1f} ms (n={len(values)})"


async def follow_ups(sandbox: Sandbox, samples: int) -> tuple[list[float], list[float]]:
    """The same again and again with the worker resident."""
    requests, replies = [], []
    for number in range(samples):
        request, reply = await first_model_request_ms(sandbox, f"bench {number} {time.monotonic_ns()}")
        requests.append(request)
        replies.append(reply)
        await asyncio.sleep(1.1)  # stay under the channel's rate limit, or we would measure Discord's
    return requests, replies


def pss_mb(sandbox: Sandbox) -> dict[str, float]:
    """Proportional set size of each of our processes, in MB."""
    return {
        str(process["name"]): psutil.Process(int(process["pid"] or 0)).memory_full_info().pss / 1e6
        for process in sandbox.supervisor.status()
    }


def command_ms(*argv: str, samples: int = 7) -> float:
    """Median wall time of a command."""
    times = []
    for _ in range(samples):
        start = time.monotonic()
        subprocess.run(argv, check=True, capture_output=True)
        times.append((time.monotonic() - start) * 1000)
    return statistics.median(times)


async def many_figures(sandbox: Sandbox) -> list[Figure]:
    """Several groups at once, and many messages over many groups."""
    first, later = await side_by_side_ms(sandbox, Rooms(sandbox, 5, name="together"), rounds=4)
    figures = [
        Figure("5 groups at once, cold: event → first model request, p50 / p99", p50_p99(first), "–"),
        Figure("5 groups at once, resident: the same", p50_p99(later), "–"),
    ]
    if sandbox.ready["engine"] == "docker":
        memory = await worker_memory_mb(sandbox)
        shown = f"{statistics.median(memory):.0f} MB each (n={len(memory)})"
        figures.append(Figure("memory of a resident worker (container), median", shown, "–"))
    took, in_order = await drained_s(sandbox, Rooms(sandbox, 50, name="drain"), each=10)
    order = "in order" if in_order else "NOT in order"
    figures.append(Figure("500 messages over 50 groups, drained", f"{took:.1f} s, {order}", "in order"))
    return figures


async def measure(engine: str | None, samples: int) -> list[Figure]:
    """Start the sandbox and measure."""
    figures: list[Figure] = []
    for platform, to_inbox_ms in (("Discord", discord_to_inbox_ms), ("Slack", slack_to_inbox_ms)):
        inbox = await to_inbox_ms(samples * 20)
        name = f"{platform}: event received → durable inbox row, p50 / p99"
        figures.append(Figure(name, p50_p99(inbox), "≤ 3 / ≤ 20 ms"))
    async with AsyncExitStack() as folders, AsyncExitStack() as stack:
        folder = folders.enter_context(tempfile.TemporaryDirectory(prefix="clawgate-bench-"))
        options = SandboxOptions.parse(state=Path(folder) / "s", port_base=0, engine=engine, quiet=True)
        async with running_sandbox(options):
            pass  # the first start of a state directory also makes its databases, and keeps Alembic in memory
        paths = Paths.resolve(options.state)
        overlay_file(operator_file("nanoclaw", paths), {"standby": {"enabled": False}})
        overlay_file(operator_file("gateway", paths), {"workers": {"pause_after_s": PAUSE_AFTER_S}})
        start = time.monotonic()
        sandbox = await stack.enter_async_context(running_sandbox(options))
        figures.append(Figure("sandbox start → both bots online", f"{time.monotonic() - start:.1f} s", "–"))
        await asyncio.sleep(3)
        idle = pss_mb(sandbox)
        shown = ", ".join(f"{name} {value:.0f}" for name, value in idle.items())
        figures.append(Figure("idle memory (PSS)", f"{sum(idle.values()):.0f} MB ({shown})", "≤ 250 MB"))
        request, reply = await first_model_request_ms(sandbox, f"bench cold {time.monotonic_ns()}")
        figures.append(
            Figure("cold: event → first model request", f"{request:.0f} ms (reply {reply:.0f})", "≤ 1000 ms")
        )
        await asyncio.sleep(1)
        requests, replies = await follow_ups(sandbox, samples)
        figures.append(Figure("resident: event → first model request, p50 / p99", p50_p99(requests), "p50 ≤ 60 ms"))
        figures.append(Figure("resident: event → reply in the channel, p50 / p99", p50_p99(replies), "–"))
        paused = await paused_ms(sandbox, min(samples, 7))
        figures.append(Figure("paused: event → first model request, p50 / p99", p50_p99(paused), "p50 ≤ 100 ms"))
        if sandbox.ready["engine"] == "docker":
            floor = await asyncio.to_thread(bare_unpause_ms, engine_host(sandbox), samples)
            figures.append(Figure("  floor: unpause of a bare container, p50 / p99", p50_p99(floor), "–"))
            ours, bare = await bare_container_ms(sandbox)
            figures.append(
                Figure(
                    "cold container start, ratio to a bare docker run",
                    f"{ours / bare:.2f} ({ours:.0f} / {bare:.0f} ms)",
                    "≤ 1.15",
                )
            )
        through, direct = await direct_upstream_ms(sandbox, samples * 10)
        added = statistics.median(through) - statistics.median(direct)
        figures.append(Figure("model proxy: added latency, p50", f"{added:.2f} ms", "≤ 3 ms"))
        figures += await many_figures(sandbox)
        await stack.aclose()  # and once more with agents started ahead
        overlay_file(operator_file("nanoclaw", paths), {"standby": {"enabled": True}})
        async with running_sandbox(options) as again:
            ahead = await standby_ms(again, min(samples, 7))
            figures.append(Figure("standby: event → first model request, p50 / p99", p50_p99(ahead), "p50 ≤ 200 ms"))
    bare_python = command_ms(sys.executable, "-c", "pass")
    for name, module in (("clawgate", "gateway.cli.main"), ("nanoclaw", "nanoclaw.cli"), ("openclaw", "openclaw.cli")):
        took = command_ms(sys.executable, "-m", module, "--help")
        figures.append(Figure(f"{name} --help", f"{took:.0f} ms ({took / bare_python:.1f} × python -c pass)", "–"))
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--engine", choices=("docker", "process"))
    parser.add_argument("--samples", type=int, default=15)
    options = parser.parse_args()
    configure_logging("bench", level="ERROR")
    figures = asyncio.run(measure(options.engine, max(3, min(options.samples, 100))))
    if options.json:
        print(json.dumps([asdict(figure) for figure in figures], ensure_ascii=False))
        return
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        print(f"{figure.name.ljust(width)}  {figure.value.ljust(44)}  bar: {figure.bar}")


if __name__ == "__main__":
    main()
