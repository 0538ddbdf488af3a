"""A gateway stand-in whose workers are the real Claude command line as plain processes, and a Messages API for it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nanoclaw_standins import Attached

from gateway.workers.policy import WorkerPolicy
from gateway.workers.spec import build_command, build_environment
from shared.config.paths import Paths
from shared.errors import NotFound
from shared.gatewayclient import WorkerEvent, WorkerInfo, WorkerRequest

LINE_LIMIT = 1 << 24


@dataclass
class MessagesApi:
    """Answers ``echo <number of user turns>: <last user text>``; with ``USE_TOOL`` it calls a tool of ours first.

    While `is_held`, requests wait for `go_on`.
    """

    requests: list[dict] = field(default_factory=list)
    fail_with: int = 0
    refuses: Callable[[dict], bool] | None = None
    tool: tuple[str, dict] = ("send_message", {"text": "said by tool"})
    is_held: bool = False
    waits: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def offered(self) -> list[str]:
        """Names of the tools of ours that the last request offered."""
        names = [tool["name"] for tool in self.requests[-1]["tools"]]
        return [name.removeprefix("mcp__nanoclaw__") for name in names if name.startswith("mcp__nanoclaw__")]

    @property
    def heard(self) -> str:
        """What the last tool said."""
        [block] = [b for b in blocks_of(self.requests[-1]["messages"][-1]) if b["type"] == "tool_result"]
        return "".join(part["text"] for part in block["content"])

    @asynccontextmanager
    async def serving(self, socket: Path) -> AsyncIterator[MessagesApi]:
        server = await asyncio.start_unix_server(self._serve, socket, limit=LINE_LIMIT)
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader, writer) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, path, _ = head[0].split()
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if method == "POST" and path.partition("?")[0] == "/v1/messages":
                    status, kind, data = self._answer(json.loads(body))
                    if self.is_held:
                        self.waits.set()
                        await self.go_on.wait()
                else:
                    status, kind, data = 200, "application/json", b"{}"
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n".encode())
                writer.write(f"content-length: {len(data)}\r\n\r\n".encode() + data)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, request: dict) -> tuple[int, str, bytes]:
        if self.fail_with:
            error = {"type": "error", "error": {"type": "an_error", "message": "no"}}
            return self.fail_with, "application/json", json.dumps(error).encode()
        self.requests.append(request)
        if self.refuses is not None and self.refuses(request):
            refusal = {"type": "invalid_request_error", "message": "image.source.base64: unusable"}
            error = {"type": "error", "error": refusal}
            return 400, "application/json", json.dumps(error).encode()
        said = [blocks_of(message) for message in request["messages"] if message["role"] == "user"]
        last = said[-1][-1]
        tool = f"mcp__nanoclaw__{self.tool[0]}"
        if "USE_TOOL" in last.get("text", "") and tool in [offered["name"] for offered in request["tools"]]:
            block = {"type": "tool_use", "id": f"toolu_{len(self.requests)}", "name": tool, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(self.tool[1])}
            return 200, "text/event-stream", self._events(request, block, delta, "tool_use")
        texts = [b["text"] for blocks in said for b in blocks if b.get("text", "").startswith("<messages>")]
        text = {"type": "text_delta", "text": f"echo {len(texts)}: {texts[-1]}"}
        return 200, "text/event-stream", self._events(request, {"type": "text", "text": ""}, text, "end_turn")

    def _events(self, request: dict, block: dict, delta: dict, stop: str) -> bytes:
        message = {
            "id": f"msg_{len(self.requests)}", "type": "message", "role": "assistant", "model": request["model"],
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 5, "output_tokens": 1},
        }  # fmt: skip
        events = [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 7}},
            {"type": "message_stop"},
        ]
        return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()


def blocks_of(message: dict) -> list[dict]:
    content = message["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class CliWorker:
    """One process of the real command line; its stdio can be attached to more than once."""

    def __init__(self, process: asyncio.subprocess.Process, request: WorkerRequest) -> None:
        self.process, self.request = process, request
        self.history: list[tuple[int, bytes] | WorkerEvent] = []
        self.lines = 0
        self.news = asyncio.Event()
        loop = asyncio.get_running_loop()
        self.tasks = [loop.create_task(self._stdout()), loop.create_task(self._stderr())]

    def _put(self, item: tuple[int, bytes] | WorkerEvent) -> None:
        self.history.append(item)
        self.news.set()

    async def _stdout(self) -> None:
        async for line in self.process.stdout:
            self.lines += 1
            self._put((self.lines, line.rstrip(b"\n")))
        await self.tasks[1]
        self._put(WorkerEvent(event="exit", code=await self.process.wait(), reason="crashed"))

    async def _stderr(self) -> None:
        async for line in self.process.stderr:
            self._put(WorkerEvent(event="stderr", text=line.decode()))

    async def write(self, data: bytes) -> None:
        if self.process.returncode is not None:
            raise NotFound("gone")
        self.process.stdin.write(data)
        await self.process.stdin.drain()


class CliGateway:
    """Leases real command lines with the product's own arguments; no container, and no credential but a placeholder.

    With `paths` they work in the tenant's own folders, as a container's mounts would have it.
    """

    def __init__(self, cli: Path, home: Path, api_socket: Path, paths: Paths | None = None) -> None:
        self.cli, self.home, self.api_socket, self.paths = cli, home, api_socket, paths
        self.environment: dict[str, str] = {}
        self.live: dict[str, CliWorker] = {}
        self.leases: list[WorkerRequest] = []

    async def lease_worker(self, request: WorkerRequest) -> WorkerInfo:
        self.leases.append(request)
        worker_id = f"w{len(self.leases)}"
        work, config = self.home / "work", self.home / "config"
        if self.paths is not None:
            work = self.paths.group("nanoclaw", request.group)
            config = self.paths.group_session("nanoclaw", request.group)
        work.mkdir(parents=True, exist_ok=True)
        environment = build_environment(WorkerPolicy()) | {
            "HOME": str(self.home),
            "CLAUDE_CONFIG_DIR": str(config),
            "ANTHROPIC_UNIX_SOCKET": str(self.api_socket),
            "PATH": os.environ["PATH"],
            "IS_SANDBOX": "1",
            "CLAUDE_CODE_MAX_RETRIES": "0",
        } | self.environment  # fmt: skip
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            self.cli, *build_command(request)[1:],
            cwd=work, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, limit=LINE_LIMIT,
        )  # fmt: skip
        self.live[worker_id] = CliWorker(process, request)
        return self._info(worker_id)

    def _info(self, worker_id: str) -> WorkerInfo:
        worker = self.live[worker_id]
        return WorkerInfo(
            worker_id=worker_id, tenant="nanoclaw", group=worker.request.group, container=worker_id,
            session_id=worker.request.session_id, state="idle", lines=worker.lines,
        )  # fmt: skip

    async def workers(self) -> list[WorkerInfo]:
        return [self._info(name) for name, worker in self.live.items() if worker.process.returncode is None]

    def _find(self, worker_id: str) -> CliWorker:
        if worker_id not in self.live or self.live[worker_id].process.returncode is not None:
            raise NotFound("no such worker")
        return self.live[worker_id]

    async def mark_busy(self, worker_id: str, run_id: str) -> None:
        self._find(worker_id)

    async def mark_idle(self, worker_id: str) -> None:
        self._find(worker_id)

    def type(self, worker_id: str, text: str) -> None:
        """Write a line of a person's into the command line itself, which takes ``/commands`` from there."""
        message = {"type": "user", "message": {"role": "user", "content": text}, "parent_tool_use_id": None}
        self._find(worker_id).process.stdin.write(json.dumps(message).encode() + b"\n")

    async def end_worker(self, worker_id: str) -> None:
        worker = self.live[worker_id]
        if worker.process.returncode is None:
            worker.process.kill()
        worker.process.stdin.close()
        await asyncio.gather(*worker.tasks)

    def attach(self, worker_id: str, after: int = 0) -> Attached:
        return Attached(self.live[worker_id], after)


@asynccontextmanager
async def a_cli_gateway(
    cli: Path, folder: Path, paths: Paths | None = None
) -> AsyncIterator[tuple[CliGateway, MessagesApi]]:
    """The stand-in with its model; every process it started is gone afterwards."""
    folder.mkdir()
    async with MessagesApi().serving(folder / "api.sock") as api:
        gateway = CliGateway(cli, folder / "home", folder / "api.sock", paths)
        try:
            yield gateway, api
        finally:
            for worker_id in gateway.live:
                await gateway.end_worker(worker_id)
