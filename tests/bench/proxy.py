"""What the model API adds to a call, against the same emulator called directly, in one run.

    .venv/bin/python -m tests.bench.proxy [--calls N] [--rounds N] [--copilot-api DIR|no] [--json]

Emulator, listeners and load generator are processes of their own: ours as ``clawgate copilot-api start`` has it, as
the gateway has it, and with a budget set; and the real copilot-api, which is fetched from npm into a temporary folder
(or found in DIR, where ``npm install copilot-api node@22`` was run) and pointed at the same emulator. The load is a
closed loop: every client sends its next call when its last one is answered, so at 32 clients the slowest process is
always full, and what is added is what it costs in processor time (last column: of the listener, for each call). The
rows with a thinking upstream show what callers feel below that point. Nothing is asserted; every loop is bounded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing as mp
import os
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.budget.policy import LimitPolicy
from gateway.budget.service import Budget
from gateway.copilotapi.options import CopilotApiOptions
from gateway.copilotapi.server import running_api
from gateway.copilotapi.signin import CopilotSignIn
from gateway.ledger import Ledger, _shipped_policy
from gateway.modelproxy.proxy import ModelProxy
from gateway.modelproxy.public import LISTENER, listener_identity, public_app
from gateway.sandbox.faults import Fault, FaultPlan
from gateway.sandbox.models.copilot import one_address
from gateway.sandbox.models.github import GITHUB_LIFETIME, DeviceFlow
from gateway.sandbox.models.tokens import Tokens
from gateway.sandbox.models.wire import EmulatorApp
from gateway.sandbox.script import Script
from gateway.store import GatewayStore
from shared.clock import SYSTEM_CLOCK
from shared.http.client import HttpPool
from shared.http.unixserver import AsgiListeners
from shared.obs.log import configure_logging
from shared.secrets.files import write_private
from shared.storage import Database

HEADERS = [
    (b"content-type", b"application/json"),
    (b"editor-version", b"vscode/1.107.0"),
    (b"copilot-integration-id", b"vscode-chat"),
]
THINKING_S = 0.05
COPILOT_API, NODE = "copilot-api@0.7.0", "node@22"
# Its addresses are fixed, so the request function it uses is told where they are; nothing else of it is touched.
PRELOAD = """
const base = process.env.BENCH_UPSTREAM, real = globalThis.fetch;
const theirs = /^https:\\/\\/(api\\.github|github|api\\.githubcopilot|aur\\.archlinux)\\.(com|org)/;
globalThis.fetch = (url, options) => real(String(url).replace(theirs, base), options);
"""


@dataclass(frozen=True)
class Case:
    """What is asked. At most `clients` calls run at once; the upstream takes `think_s` before it answers."""

    name: str
    chars: int
    stream: bool
    clients: int
    think_s: float = 0.0

    def body(self) -> bytes:
        # The emulator echoes the last turn, so the length is put before it. Without max_tokens ours would add it.
        turns = [{"role": "system", "content": "y" * self.chars}, {"role": "user", "content": "x" * 12}]
        return json.dumps({"model": "gpt-4o", "max_tokens": 64, "messages": turns, "stream": self.stream}).encode()


CASES = [
    Case(name, chars, stream, clients, think)
    for name, chars, stream, think in (
        ("short", 20, False, 0.0),
        ("short, streamed", 20, True, 0.0),
        ("64,000 chars, streamed", 64_000, True, 0.0),
        ("streamed, upstream thinks 50 ms", 20, True, THINKING_S),
    )
    for clients in (1, 32)
]


@dataclass
class Samples:
    """Milliseconds to the first byte of the body and to the end of each call, and calls per second of each round."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu_s: float = 0.0


# --- the processes


def emulator(folder: str, pipe: Any) -> None:
    asyncio.run(_emulator(Path(folder), pipe))


async def _emulator(folder: Path, pipe: Any) -> None:
    configure_logging("bench", level="ERROR")
    tokens, faults = Tokens(SYSTEM_CLOCK), FaultPlan.of(())
    app = EmulatorApp({}, faults=faults, clock=SYSTEM_CLOCK, requests=_Nothing(), revoke=lambda _u, _t: None)
    async with AsgiListeners(app) as listeners:
        base = f"http://127.0.0.1:{await listeners.add_tcp('127.0.0.1', 0, state={})}/one"
        app.serve({"one": one_address(Script(), tokens, base, DeviceFlow(tokens, base))})
        write_private(folder / "token", tokens.issue("github", lifetime=GITHUB_LIFETIME).value)
        pipe.send((base, tokens.issue("copilot", lifetime=GITHUB_LIFETIME).value))
        while (think := await asyncio.to_thread(pipe.recv)) is not None:
            faults.clear()
            if think:
                faults.add(
                    Fault(upstream="copilot", op="chat.completions", nth="*", kind="stall", body={"seconds": think})
                )
            pipe.send("set")


class _Nothing(list[Any]):
    """Forgets the requests it is given, which a long run would otherwise drown in."""

    def append(self, _entry: Any) -> None:
        pass


def listener(folder: str, base: str, pipe: Any) -> None:
    asyncio.run(_listener(Path(folder), base, pipe))


async def _listener(folder: Path, base: str, pipe: Any) -> None:
    """``clawgate copilot-api start``."""
    configure_logging("bench", level="ERROR")
    options = CopilotApiOptions(port=0, token_file=folder / "token", upstream_base=base)
    async with running_api(options) as api:
        pipe.send(api.url)
        await asyncio.to_thread(pipe.recv)


def gateway(folder: str, base: str, pipe: Any) -> None:
    asyncio.run(_gateway(Path(folder), base, pipe, {}))


def budgeted(folder: str, base: str, pipe: Any) -> None:
    asyncio.run(_gateway(Path(folder), base, pipe, {"bench": LimitPolicy(tenant=LISTENER, unit="tokens", limit=1e11)}))


async def _gateway(folder: Path, base: str, pipe: Any, budgets: dict[str, LimitPolicy]) -> None:
    """The same listener as the gateway has it: room taken in every budget before a call, a ledger row after it."""
    configure_logging("bench", level="ERROR")
    options = CopilotApiOptions(port=0, token_file=folder / "token", upstream_base=base)
    policy = _shipped_policy().model_copy(update={"budgets": budgets})
    async with AsyncExitStack() as stack:
        database = Database(folder / f"{len(budgets)}.db", migrations="gateway.migrations")
        await database.open()
        stack.push_async_callback(database.close)
        http = await stack.enter_async_context(HttpPool())
        store = GatewayStore(database)
        budget = Budget(store, policy)
        ledger = Ledger(store, budget=budget)
        stack.push_async_callback(ledger.close)
        proxy = ModelProxy(CopilotSignIn(options, http), http, on_request=ledger.note, reserve=budget.admit)
        listeners = await stack.enter_async_context(AsgiListeners(public_app(proxy, listener_identity())))
        pipe.send(f"http://127.0.0.1:{await listeners.add_tcp('127.0.0.1', 0, state={})}")
        await asyncio.to_thread(pipe.recv)


def load(pipe: Any) -> None:
    asyncio.run(_load(pipe))


async def _load(pipe: Any) -> None:
    configure_logging("bench", level="ERROR")
    async with HttpPool() as pool:
        while (order := await asyncio.to_thread(pipe.recv)) is not None:
            pipe.send(await _measure(pool, *order))


async def _measure(pool: HttpPool, url: str, bearer: str, clients: int, calls: int, body: bytes) -> Samples:
    samples = Samples()
    headers = [*HEADERS, (b"authorization", f"Bearer {bearer}".encode())]

    async def client() -> None:
        for _ in range(calls):
            start, seen = time.perf_counter(), 0.0
            async with pool.stream("POST", url, headers=headers, body=body, read_timeout_s=60.0) as answer:
                assert answer.status == 200, await answer.read()
                async for _chunk in answer.aiter_bytes():
                    seen = seen or time.perf_counter()
            samples.first.append((seen - start) * 1000)
            samples.whole.append((time.perf_counter() - start) * 1000)

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(clients)))
    samples.rates.append(len(samples.whole) / (time.perf_counter() - begun))
    return samples


OURS = {"ours alone": listener, "ours + ledger": gateway, "ours + budget": budgeted}


# --- the real copilot-api


def fetch_copilot_api(folder: Path) -> tuple[Path | None, str]:
    """Install it from npm; a folder, or the reason why there is none."""
    npm = shutil.which("npm")
    if npm is None:
        return None, "there is no npm on this machine"
    command = [npm, "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", COPILOT_API, NODE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        return None, "npm did not answer within 180 s"
    if done.returncode:
        return None, f"npm install failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}"
    return folder, ""


@contextmanager
def copilot_api(folder: Path, base: str, token: str) -> Iterator[tuple[str, int]]:
    """Run it; gives its address and process id."""
    modules = folder / "node_modules"
    node = next((path for path in (modules / "node" / "bin" / "node",) if path.exists()), Path("node"))
    preload = Path(tempfile.mkdtemp(prefix="clawgate-bench-")) / "upstream.mjs"
    preload.write_text(PRELOAD)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = [node, "--import", preload, modules / "copilot-api" / "dist" / "main.js", "start", "-p", port, "-g", token]
    env = {**os.environ, "BENCH_UPSTREAM": base, "HOST": "127.0.0.1", "NODE_ENV": "production"}
    process = subprocess.Popen(
        [str(word) for word in argv], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(url, timeout=1).read()
                break
            except (urllib.error.URLError, ConnectionError):
                if process.poll() is not None:
                    raise RuntimeError(f"copilot-api ended with {process.returncode}") from None
                time.sleep(0.05)
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(preload.parent)


# --- the run


def at(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def cpu_s(pid: int | None) -> float:
    """Processor time a process has used."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> str:
    """Memory now and at most, as the kernel counts it."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return " / ".join(f"{int(lines[name].split()[0]) // 1024}" for name in ("VmRSS", "VmHWM"))


@dataclass
class Bench:
    """Everything that is up. `targets` are the address and bearer of each way to the emulator."""

    up: Any
    loader: Any
    targets: dict[str, tuple[str, str]]
    pids: dict[str, int]
    calls: int
    rounds: int

    def run(self, case: Case) -> dict[str, Samples]:
        """One case; the targets take turns, so that a neighbour's load hits them alike."""
        self.up.send(case.think_s)
        self.up.recv()
        found = {name: Samples() for name in self.targets}
        each = max(3, self.calls // case.clients // self.rounds)
        for warming in (True, *(False for _ in range(self.rounds))):
            for name, (url, bearer) in self.targets.items():
                before = cpu_s(self.pids.get(name))
                self.loader.send((url, bearer, case.clients, 3 if warming else each, case.body()))
                got = self.loader.recv()
                if not warming:
                    found[name].cpu_s += cpu_s(self.pids.get(name)) - before
                    found[name].first += got.first
                    found[name].whole += got.whole
                    found[name].rates += got.rates
        return found


def show(case: Case, found: dict[str, Samples]) -> list[dict[str, Any]]:
    """Print a case; the rows as data."""
    direct = found["direct"]
    rows = []
    for name, got in found.items():
        row: dict[str, Any] = {"case": case.name, "clients": case.clients, "target": name}
        row |= {"calls_s": statistics.median(got.rates), "cpu_ms": got.cpu_s / len(got.whole) * 1000}
        for kind in ("first", "whole"):
            mine, floor = getattr(got, kind), getattr(direct, kind)
            for label, share in (("p50", 0.5), ("p99", 0.99)):
                row[f"{kind}_{label}"] = at(mine, share)
                row[f"{kind}_{label}_added"] = at(mine, share) - at(floor, share)
        rows.append(row)
        added = "".join(f"{row[f'{k}_{p}_added']:>+9.2f}" for k in ("first", "whole") for p in ("p50", "p99"))
        timed = "".join(f"{row[f'{k}_{p}']:>9.2f}" for k in ("first", "whole") for p in ("p50", "p99"))
        print(
            f"{case.name:<33}{case.clients:>3} {name:<14}{timed}  {added if name != 'direct' else '':<38}"
            f"{row['calls_s']:>6.0f}/s" + (f"{row['cpu_ms']:>7.2f}" if name != "direct" else "")
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--calls", type=int, default=1600, help="of each target in each case")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--case", default="", help="only the cases whose name holds this")
    parser.add_argument("--copilot-api", default="", metavar="DIR", help="where it is installed; 'no' leaves it out")
    parser.add_argument("--json", action="store_true", help="the rows as JSON after the table")
    options = parser.parse_args()
    configure_logging("bench", level="ERROR")
    context = mp.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="clawgate-bench-") as name, ExitStack() as stack:
        folder = Path(name)

        def start(work: Any, *arguments: Any) -> tuple[Any, int]:
            mine, its = context.Pipe()
            process = context.Process(target=work, args=(*arguments, its))
            process.start()
            stack.callback(process.join)
            stack.callback(mine.send, None)
            return mine, process.pid or 0

        up, _ = start(emulator, name)
        base, bearer = up.recv()
        targets = {"direct": (f"{base}/chat/completions", bearer)}
        pids: dict[str, int] = {}
        for label, work in OURS.items():
            mine, pids[label] = start(work, name, base)
            targets[label] = (f"{mine.recv()}/v1/chat/completions", "any")
        where, why = (Path(options.copilot_api), "") if options.copilot_api not in {"", "no"} else (None, "left out")
        if not options.copilot_api:
            where, why = fetch_copilot_api(folder / "npm")
        if where is not None:
            url, pids["copilot-api"] = stack.enter_context(copilot_api(where, base, (folder / "token").read_text()))
            targets["copilot-api"] = (f"{url}/v1/chat/completions", "any")
        loader, _ = start(load)
        bench = Bench(up, loader, targets, pids, options.calls, options.rounds)
        timed = "".join(f"{title:>9}" for title in ("first", "p99", "whole", "p99"))
        print(f"{'ms':<33}{'n':>3} {'':<14}{timed}  {'added: first, p99, whole, p99':<38} calls/s    CPU")
        rows = [row for case in CASES if options.case in case.name for row in show(case, bench.run(case))]
        print("memory now / at most, MB:", ", ".join(f"{label} {rss_mb(pid)}" for label, pid in pids.items()))
        if "copilot-api" not in pids:
            print(f"the real copilot-api is not compared: {why}")
        if options.json:
            print(json.dumps(rows))


if __name__ == "__main__":
    main()
