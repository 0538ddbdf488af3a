"""What surrounds NanoClaw in its tests: a chat platform in memory, a gateway, workers that speak the CLI's protocol."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

from nanoclaw.config import NanoclawPolicy
from nanoclaw.tenant import Tenant
from shared.channels.base import (
    Button,
    ButtonPress,
    ChannelHandlers,
    ChannelStatus,
    InboundMessage,
    OutboundMessage,
    Sender,
)
from shared.config.paths import Paths
from shared.errors import Busy, GatewayError, NotFound, Unavailable
from shared.gatewayclient import WorkerEvent, WorkerInfo, WorkerRequest
from shared.gatewayclient.web import FetchedPage, FetchRequest, SearchAnswer, WebSearchRequest

_numbers = itertools.count(1000)


def a_message(
    text: str, *, chat: str = "dc:1", addressed: bool = True, kind: str = "guild", sender: str = "ann", **more
):
    number = next(_numbers)
    return InboundMessage(
        chat=chat,
        chat_name="Lab #general" if kind != "dm" else sender,
        chat_kind=kind,
        id=str(number),
        sender=more.pop("who", None) or Sender(f"u-{sender}", sender),
        text=text,
        addressed=addressed,
        sent_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
        guild="g1" if kind != "dm" else "",
        **more,
    )


class MemoryChannel:
    """A chat platform in memory; what was written to each chat is in `sent` (edits applied)."""

    text_limit = 2000
    line_limit = 0
    measure = staticmethod(len)

    def __init__(self, handlers: ChannelHandlers) -> None:
        self.handlers = handlers
        self.status = ChannelStatus("online", user_id="b1", user_name="J")
        self.sent: dict[str, dict[str, str]] = {}
        self.history_of_calls: list[tuple[str, str]] = []
        self.typing_in: list[str] = []
        self.by_nonce: dict[str, str] = {}
        self.files: dict[str, bytes | Exception] = {}
        self.fetched: list[str] = []
        self.rereads: dict[str, InboundMessage] = {}
        self.buttons: dict[str, tuple[Button, ...]] = {}
        self.sent_files: dict[str, list[tuple[str, bytes]]] = {}
        self.send_fails: list[GatewayError] = []
        self.failed = asyncio.Event()
        self._news = asyncio.Condition()

    async def run(self) -> None:
        await self.failed.wait()

    async def wait_online(self, timeout_s: float) -> bool:
        return True

    async def send(self, message: OutboundMessage) -> str:
        if self.send_fails:
            raise self.send_fails.pop(0)
        if message.nonce in self.by_nonce:
            return self.by_nonce[message.nonce]
        number = str(next(_numbers))
        self.by_nonce[message.nonce] = number
        self.sent.setdefault(message.chat, {})[number] = message.text
        self.buttons[number] = message.buttons
        self.sent_files[number] = [(file.name, file.path.read_bytes()) for file in message.files]
        self.history_of_calls.append(("send", message.text))
        await self._tell()
        return number

    async def edit(self, chat: str, message: str, text: str, buttons=()) -> None:
        self.sent[chat][message] = text
        self.buttons[message] = buttons
        self.history_of_calls.append(("edit", text))
        await self._tell()

    async def delete(self, chat: str, message: str) -> None:
        self.sent[chat].pop(message, None)
        await self._tell()

    async def find_sent(self, chat, text, *, since, not_among):
        return next((i for i, t in self.sent.get(chat, {}).items() if t == text and i not in not_among), None)

    async def react(self, chat: str, message: str, emoji: str) -> None:
        return None

    async def unreact(self, chat: str, message: str, emoji: str) -> None:
        return None

    @asynccontextmanager
    async def typing(self, chat: str) -> AsyncIterator[None]:
        self.typing_in.append(chat)
        yield

    async def history(self, chat, after, limit):
        return
        yield

    async def reread(self, chat, message):
        return self.rereads.get(message)

    async def fetch_attachment(self, attachment, limit_bytes):
        self.fetched.append(attachment.id)
        found = self.files[attachment.id]
        if isinstance(found, Exception):
            raise found
        return found

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    def texts(self, chat: str = "dc:1") -> list[str]:
        return list(self.sent.get(chat, {}).values())

    async def press(self, label: str, *, chat: str = "dc:1", sender: str = "ann", where: str = "") -> str:
        """Press the newest button of that label (in chat `where`, if given); returns what the presser reads."""
        number, button = next(
            (number, button)
            for number in reversed(self.sent[chat])
            for button in self.buttons[number]
            if button.label == label
        )
        press = ButtonPress(where or chat, number, button.action, Sender(f"u-{sender}", sender))
        return await self.handlers.on_press(press)

    async def says(
        self, wanted: Callable[[list[str]], bool], *, chat: str = "dc:1", within_s: float = 20.0
    ) -> list[str]:
        """Wait until the texts of a chat satisfy a predicate."""
        async with asyncio.timeout(20), self._news:
            await self._news.wait_for(lambda: wanted(self.texts(chat)))
        return self.texts(chat)


class LastingChannel:
    """Makes the channel of several lives of a tenant: what people saw stays."""

    def __init__(self) -> None:
        self.channel: MemoryChannel | None = None

    def __call__(self, handlers: ChannelHandlers) -> MemoryChannel:
        if self.channel is None:
            self.channel = MemoryChannel(handlers)
        self.channel.handlers = handlers
        return self.channel


def last_text(prompt: str) -> str:
    """Text of the last <message> of a prompt."""
    found = re.findall(r"<message [^>]*>(.*?)</message>", prompt, re.DOTALL)
    return unescape(found[-1]) if found else prompt


@dataclass
class Asked:
    """One prompt a worker got."""

    worker: str
    session: str
    turn: int
    prompt: str
    blocks: list[dict] = field(default_factory=list)

    @property
    def text(self) -> str:
        return last_text(self.prompt)


class Attached:
    """One attachment to a worker's output, from a line on; what it writes goes to the worker."""

    def __init__(self, worker, after: int) -> None:
        self.worker, self.after, self.next = worker, after, 0

    async def __aiter__(self):
        while True:
            while self.next < len(self.worker.history):
                item = self.worker.history[self.next]
                self.next += 1
                if isinstance(item, WorkerEvent) or item[0] > self.after:
                    yield item
                if isinstance(item, WorkerEvent) and item.event == "exit":
                    return
            self.worker.news.clear()
            await self.worker.news.wait()

    async def write(self, data: bytes) -> None:
        await self.worker.write(data)

    async def close(self) -> None:
        return None


class ScriptedWorker:
    """Speaks the command line's stream-json protocol; what it answers is decided by the gateway's `reply`.

    Like the real one it repeats the control responses it takes, asks nothing twice that came under the same uuid, and
    gives up a turn when interrupted (`deaf` ones do not).
    """

    def __init__(self, gateway: ScriptedGateway, worker_id: str, request: WorkerRequest) -> None:
        self.gateway, self.worker_id, self.request = gateway, worker_id, request
        self.session = request.session_id
        self.turn = 0
        self.history: list[tuple[int, bytes] | WorkerEvent] = []
        self.news = asyncio.Event()
        self.lines = 0
        self.ended = False
        self.deaf = False
        self.answers: dict[str, asyncio.Future] = {}
        self.seen: set[str] = set()
        self.turns: dict[str, asyncio.Task] = {}
        self.tasks: set[asyncio.Task] = set()
        self.hooks: dict = {}

    def emit(self, message: dict) -> None:
        self.emit_raw(json.dumps(message).encode())

    def emit_raw(self, line: bytes) -> None:
        self.lines += 1
        self._put((self.lines, line))

    def _put(self, item: tuple[int, bytes] | WorkerEvent) -> None:
        self.history.append(item)
        self.news.set()

    def end(self, code: int = 0, reason: str = "stopped", stderr: str = "") -> None:
        if not self.ended:
            self.ended = True
            if stderr:
                self._put(WorkerEvent(event="stderr", text=stderr))
            self._put(WorkerEvent(event="exit", code=code, reason=reason))
            for task in self.tasks:
                task.cancel()

    async def write(self, data: bytes) -> None:
        if self.ended:
            raise NotFound("gone")
        for line in data.splitlines():
            message = json.loads(line)
            task = asyncio.get_running_loop().create_task(self.handle(message))
            if message["type"] == "user":
                self.turns.setdefault(message["uuid"], task)
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def handle(self, message: dict) -> None:
        if message["type"] == "control_request" and message["request"]["subtype"] == "interrupt":
            await self._interrupted(message["request_id"])
        elif message["type"] == "control_request":
            if self.request.resume and self.session not in self.gateway.transcripts:
                self.end(1, "crashed", self.gateway.resume_fails_with)
                return
            self.hooks = message["request"].get("hooks") or self.hooks
            body = {"subtype": "success", "request_id": message["request_id"], "response": {"commands": []}}
            self.emit({"type": "control_response", "response": body})
        elif message["type"] == "control_response":
            body = message["response"]
            if not self.answers[body["request_id"]].done():
                self.emit(message)
                self.answers[body["request_id"]].set_result(body)
        elif message["type"] == "user":
            if message["uuid"] in self.seen:
                return
            self.seen.add(message["uuid"])
            self.turn += 1
            self.gateway.transcripts.setdefault(self.session, []).append(message["message"]["content"])
            content = message["message"]["content"]
            blocks = [] if isinstance(content, str) else content
            asked = Asked(self.worker_id, self.session, self.turn, blocks[0]["text"] if blocks else content, blocks)
            self.gateway.asked.append(asked)
            await self.gateway.reply(self, asked, message["uuid"])

    async def _interrupted(self, request_id: str) -> None:
        if self.deaf:
            return
        body = {"subtype": "success", "request_id": request_id, "response": {"still_queued": []}}
        self.emit({"type": "control_response", "response": body})
        for prompt_uuid, turn in self.turns.items():
            if not turn.done():
                turn.cancel()
                reason = "aborted_streaming"
                self.result("", prompt_uuid, subtype="error_during_execution", is_error=True, terminal_reason=reason)

    def say(self, text: str) -> None:
        content = [{"type": "text", "text": text}]
        self.emit({"type": "assistant", "session_id": self.session, "message": {"model": "m", "content": content}})

    def delta(self, text: str) -> None:
        event = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}
        self.emit({"type": "stream_event", "uuid": str(uuid.uuid4()), "session_id": self.session, "event": event})

    def result(self, text: str, prompt_uuid: str, **more) -> None:
        self.emit(
            {
                "type": "result",
                "subtype": "success",
                "duration_ms": 1,
                "duration_api_ms": 1,
                "is_error": False,
                "num_turns": 1,
                "session_id": self.session,
                "result": text,
                "total_cost_usd": 0.01,
                "usage": {"input_tokens": 10, "output_tokens": 5},
                "user_message_uuids": [prompt_uuid],
            }
            | more
        )

    async def call_tool(self, name: str, arguments: dict) -> dict:
        """Call one of the host's tools as the command line does at its first turn."""
        await self.hello()
        return await self.use_tool(name, arguments)

    async def use_tool(self, name: str, arguments: dict) -> dict:
        """Call a tool after the handshake was made."""
        number = next(_numbers)
        return (await self._rpc("tools/call", {"name": name, "arguments": arguments}, number))["result"]

    async def tools(self) -> list[str]:
        """Names of the tools that are offered, after the handshake was made."""
        return [tool["name"] for tool in (await self._rpc("tools/list", {}, next(_numbers)))["result"]["tools"]]

    async def hello(self) -> None:
        """Make the handshake, as the command line does at its first turn."""
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "cli", "version": "1"}}
        await self._rpc("initialize", hello, 1)
        await self._rpc("notifications/initialized", {}, None)

    async def say_through(self, name: str, arguments: dict) -> str:
        """Call a tool and give back what it said."""
        answer = await self.use_tool(name, arguments)
        return ("refused: " if answer["isError"] else "") + answer["content"][0]["text"]

    async def _rpc(self, method: str, params: dict, number: int | None) -> dict:
        request_id = uuid.uuid4().hex
        self.answers[request_id] = asyncio.get_running_loop().create_future()
        body = {"jsonrpc": "2.0", "method": method, "params": params} | ({"id": number} if number else {})
        request = {"subtype": "mcp_message", "server_name": self.request.host_tools[0], "message": body}
        self.emit({"type": "control_request", "request_id": request_id, "request": request})
        return (await self.answers[request_id])["response"]["mcp_response"]


async def echo(worker: ScriptedWorker, asked: Asked, prompt_uuid: str) -> None:
    """The default behaviour."""
    worker.say(f"echo: {asked.text}")
    worker.result(f"echo: {asked.text}", prompt_uuid)


@dataclass
class ScriptedGateway:
    """A gateway whose workers are in this process."""

    reply: Callable[[ScriptedWorker, Asked, str], Awaitable[None]] = echo
    asked: list[Asked] = field(default_factory=list)
    live: dict[str, ScriptedWorker] = field(default_factory=dict)
    transcripts: dict[str, list[str]] = field(default_factory=dict)
    leases: list[WorkerRequest] = field(default_factory=list)
    lease_fails: list[GatewayError] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)
    light: Callable[[dict], object] | None = None
    web: Callable[[FetchRequest | WebSearchRequest], FetchedPage | SearchAnswer] | None = None
    notes: tuple[str, ...] = ()
    no_room: bool = False
    engine_down: bool = False
    unpausings: list[str] = field(default_factory=list)
    resume_fails_with: str = "No conversation found with session ID: x"

    async def fetch_page(self, request: FetchRequest) -> FetchedPage:
        return self.web(request)

    async def search_web(self, request: WebSearchRequest) -> SearchAnswer:
        return self.web(request)

    async def lease_worker(self, request: WorkerRequest) -> WorkerInfo:
        if self.lease_fails:
            raise self.lease_fails.pop(0)
        if request.standby and self.no_room:
            raise Busy("no room", code="worker.no_room", retry_after_s=60)
        self.leases.append(request)
        for worker in self.live.values():
            is_same = worker.request.group == request.group and worker.request.isolated == request.isolated
            if is_same and not worker.ended:
                return self._info(worker, reused=True)
        worker = ScriptedWorker(self, f"w{len(self.leases)}", request)
        self.live[worker.worker_id] = worker
        return self._info(worker)

    def _info(self, worker: ScriptedWorker, *, reused: bool = False) -> WorkerInfo:
        return WorkerInfo(
            worker_id=worker.worker_id,
            tenant="nanoclaw",
            group=worker.request.group,
            container=f"nanoclaw-{worker.request.group}-{worker.worker_id}",
            session_id=worker.request.session_id,
            state=self.states.get(worker.worker_id, "starting"),
            reused=reused,
            lines=worker.lines,
            isolated=worker.request.isolated,
            standby=worker.request.standby and worker.turn == 0,
            notes=self.notes,
        )

    async def workers(self) -> list[WorkerInfo]:
        return [self._info(worker) for worker in self.live.values() if not worker.ended]

    def _find(self, worker_id: str) -> ScriptedWorker:
        worker = self.live.get(worker_id)
        if worker is None or worker.ended:
            raise NotFound("no such worker")
        return worker

    async def mark_busy(self, worker_id: str, run_id: str) -> None:
        self._find(worker_id)
        self.states[worker_id] = "busy"

    async def mark_idle(self, worker_id: str) -> None:
        self._find(worker_id)
        self.states[worker_id] = "idle"

    async def pause_worker(self, worker_id: str) -> None:
        self._find(worker_id)
        self.states[worker_id] = "paused"

    async def unpause_worker(self, worker_id: str) -> None:
        self._find(worker_id)
        self.unpausings.append(worker_id)
        if self.engine_down:
            raise Unavailable("the engine does not answer")
        if self.states[worker_id] == "paused":
            self.states[worker_id] = "idle"

    async def end_worker(self, worker_id: str) -> None:
        with contextlib.suppress(NotFound):
            self._find(worker_id).end()

    def attach(self, worker_id: str, after: int = 0) -> Attached:
        return Attached(self.live[worker_id], after)

    @asynccontextmanager
    async def model(self, route, body, *, run_id):
        if self.light is None:
            raise Unavailable("the route is down")
        yield self.light(body)


def a_policy(**values) -> NanoclawPolicy:
    base = {
        "chats": {"register": "on_mention"},
        "runs": {"retry_delays_s": [0.01, 0.01], "drain_s": 1},
        "standby": {"workers": 0},
    }
    return NanoclawPolicy.model_validate(base | values)


def paths_in(folder: Path) -> Paths:
    (folder / "r").mkdir(exist_ok=True)
    return Paths(state=folder / "s", runtime=folder / "r")


@asynccontextmanager
async def a_tenant(
    folder: Path, gateway, policy: NanoclawPolicy | None = None, make_channel=MemoryChannel, *, slack=None, **more
):
    """A whole tenant on stand-ins, with its Discord channel; entered in the test's body."""
    more = {"connectors": {"discord": make_channel, "slack": slack}, "zone": ZoneInfo("Asia/Seoul")} | more
    tenant = Tenant("nanoclaw", paths_in(folder), gateway, policy or a_policy(), **more)
    async with tenant.running():
        yield tenant, tenant.channels.of("dc:1") if make_channel else None
