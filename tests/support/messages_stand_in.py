"""A few lines of Messages API on each worker's socket, so that the real command line has somebody to talk to."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from shared.config.paths import Paths


@dataclass
class Call:
    """One request a worker made."""

    worker_id: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float


def user_texts(body: dict[str, Any]) -> list[str]:
    """What people said, oldest first, without the reminders the command line adds."""
    texts = []
    for message in body.get("messages", ()):
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "user":
            said = [b["text"] for b in blocks if b.get("type") == "text" and "<system-reminder>" not in b["text"]]
            texts += said[-1:]
    return texts


def reply_events(body: dict[str, Any]) -> list[dict[str, Any]]:
    """``run: COMMAND`` calls Bash once; anything else is echoed with the number of things said so far."""
    texts = user_texts(body)
    roles = [message["role"] for message in body["messages"]]
    since = len(roles) - roles[::-1].index("assistant") if "assistant" in roles else 0
    results = [
        block
        for message in body["messages"][since:]
        if message["role"] == "user" and isinstance(message["content"], list)
        for block in message["content"]
        if block.get("type") == "tool_result"
    ]
    stop = "end_turn"
    if results:
        content = results[-1]["content"]
        said = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
        start, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": f"ran: {said}"}
    elif texts and texts[-1].startswith("run: "):
        stop = "tool_use"
        command = json.dumps({"command": texts[-1].removeprefix("run: "), "description": "test"})
        start = {"type": "tool_use", "id": f"toolu_{secrets.token_hex(6)}", "name": "Bash", "input": {}}
        delta = {"type": "input_json_delta", "partial_json": command}
    else:
        start = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": f"echo {len(texts)}: {texts[-1] if texts else ''}"}
    message = {
        "id": f"msg_{secrets.token_hex(6)}", "type": "message", "role": "assistant", "model": body.get("model", "m"),
        "content": [], "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": start},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": None}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]


@dataclass
class StandInEndpoints:
    """`WorkerEndpoints` whose sockets answer by themselves."""

    paths: Paths
    calls: list[Call] = field(default_factory=list)
    delay_s: float = 0.0
    _servers: dict[str, asyncio.AbstractServer] = field(default_factory=dict)

    async def open(self, worker_id: str, tenant: str, group: str, session_id: str) -> None:
        socket = self.paths.worker_socket(worker_id)
        socket.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        socket.unlink(missing_ok=True)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await self._one(worker_id, reader, writer):
                    pass
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        self._servers[worker_id] = await asyncio.start_unix_server(serve, socket, limit=8 * 1024 * 1024)
        socket.chmod(0o666)

    async def _one(self, worker_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines if ":" in line)}
        raw = await reader.readexactly(int(headers.get("content-length", 0)))
        method, path, _ = first.split(" ", 2)
        if method != "POST" or not path.startswith("/v1/messages"):
            writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
            await writer.drain()
            return True
        body = json.loads(raw)
        self.calls.append(Call(worker_id, path, headers, body, monotonic()))
        await asyncio.sleep(self.delay_s)
        events = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in reply_events(body)).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_1\r\n")
        writer.write(b"content-length: %d\r\n\r\n" % len(events) + events)
        await writer.drain()
        return True

    async def close(self, worker_id: str) -> None:
        if server := self._servers.pop(worker_id, None):
            server.close()
            self.paths.worker_socket(worker_id).unlink(missing_ok=True)

    async def close_all(self) -> None:
        for worker_id in list(self._servers):
            await self.close(worker_id)
