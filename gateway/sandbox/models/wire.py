"""What the model emulators share: requests, answers, streaming, the request log and scripted faults."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from gateway.sandbox.faults import EDGE_PAGE, Fault, FaultPlan
from shared.clock import Clock
from shared.http.sse import encode_sse

_HIDDEN_HEADERS = {"authorization", "x-api-key", "cookie"}
_HIDDEN_FIELDS = ("token", "code", "code_verifier", "secret")
_SHOWN_CHARS = 8
_HALF_PIECES = 5


@dataclass(slots=True)
class LoggedRequest:
    """One request an emulator got.

    Attributes:
        headers: names in lower case; credentials are cut to their last characters.
        body: parsed JSON or form; None when there was none.
        credential: what it was let in with: ``oauth``, ``api_key``, ``token``, or empty.
        status: what it was answered with, 0 when the answer was lost.
        client_gone: the caller left before the answer was whole.
    """

    upstream: str
    op: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Any
    at_monotonic: float
    credential: str = ""
    status: int = 0
    client_gone: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """A request on its way through an emulator.

    Attributes:
        path: without the emulator's prefix.
        headers: names in lower case.
        json: the parsed body; None when it is not JSON.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes
    json: Any
    log: LoggedRequest

    def form(self) -> dict[str, str]:
        """The body's fields, whether sent as a form or as JSON."""
        if isinstance(self.json, dict):
            return {key: value for key, value in self.json.items() if isinstance(value, str)}
        return {key: values[0] for key, values in parse_qs(self.raw.decode("utf-8", "replace")).items()}

    def bearer(self) -> str:
        """The token of the Authorization header; ``token`` is GitHub's older word for it."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() in {"bearer", "token"} else ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a body, or a stream of events."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: AsyncGenerator[bytes, None] | None = None

    @classmethod
    def of(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:  # noqa: ANN401 - JSON
        """A JSON answer."""
        return cls(status, json.dumps(value, ensure_ascii=False).encode(), headers=headers or {})


Handler = Callable[[Request], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call an emulator understands; `name` is what fault plans and the request log call it."""

    method: str
    path: str
    name: str
    handler: Handler


class Emulator:
    """One upstream: a table of operations behind a path prefix.

    Args:
        upstream: its name in fault plans.
        operations: what it understands.
        not_found: its answer to anything else.
    """

    def __init__(self, upstream: str, operations: Sequence[Operation], *, not_found: Reply) -> None:
        self.upstream = upstream
        self._operations = {(operation.method, operation.path): operation for operation in operations}
        self._not_found = not_found

    def find(self, method: str, path: str) -> Operation:
        """The operation meant by a request."""
        found = self._operations.get((method, path))
        return found or Operation(method, path, "unknown", self._unknown)

    async def _unknown(self, _request: Request) -> Reply:
        return self._not_found


class EmulatorApp:
    """ASGI application of several emulators, told apart by the first part of the path."""

    def __init__(
        self,
        emulators: Mapping[str, Emulator],
        *,
        faults: FaultPlan,
        clock: Clock,
        requests: list[LoggedRequest],
        revoke: Callable[[str, str], None],
    ) -> None:
        self._emulators = dict(emulators)
        self._faults = faults
        self._clock = clock
        self._requests = requests
        self._revoke = revoke

    def serve(self, emulators: Mapping[str, Emulator]) -> None:
        """Answer for these too."""
        self._emulators.update(emulators)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Serve one request."""
        if scope["type"] != "http":
            return
        _, prefix, *rest = [*scope["path"].split("/", 2), ""][:3]
        emulator = self._emulators.get(prefix)
        if emulator is None:
            await _Wire(send, scope).whole(Reply(404, b"no such emulator", "text/plain"))
            return
        path = "/" + "/".join(rest)
        operation = emulator.find(scope["method"], path)
        raw = await _read(receive)
        if raw is None:
            return
        request = self._log(emulator, operation, scope, path, raw)
        wire = _Wire(send, scope)
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(_until_gone(receive))
                await self._answer(emulator, operation, request, wire)
                wire.done = True
                watch.cancel()
        except* _GoneError:
            request.log.client_gone = not wire.done

    def _log(self, emulator: Emulator, operation: Operation, scope: Any, path: str, raw: bytes) -> Request:  # noqa: ANN401
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        parsed = _parse(raw)
        entry = LoggedRequest(
            upstream=emulator.upstream,
            op=operation.name,
            method=scope["method"],
            path=path,
            query=scope["query_string"].decode("latin-1"),
            headers={name: _hide(value) if name in _HIDDEN_HEADERS else value for name, value in headers.items()},
            body=_hide_fields(parsed) if parsed is not None else _form_or_none(raw),
            at_monotonic=self._clock.monotonic(),
        )
        self._requests.append(entry)
        return Request(scope["method"], path, headers, raw, parsed, entry)

    async def _answer(self, emulator: Emulator, operation: Operation, request: Request, wire: _Wire) -> None:
        fault = self._faults.take(emulator.upstream, operation.name)
        if fault is not None and not fault.applied and await self._strike(fault, request, wire):
            return
        reply = await operation.handler(request)
        if fault is not None and fault.kind == "clock_skew":
            reply = _skewed(reply, fault.seconds)
        if fault is not None and fault.applied and await self._strike(fault, request, wire):
            return
        request.log.status = reply.status
        if fault is not None and fault.kind == "half_body":
            await wire.half(reply, orderly=fault.flag("orderly"))
        elif fault is not None and fault.kind == "malformed":
            await wire.whole(Reply(reply.status, b'{"unfinished": ', reply.content_type))
        else:
            await wire.whole(reply)

    async def _strike(self, fault: Fault, request: Request, wire: _Wire) -> bool:
        """Carry out a fault; true when it took the place of the answer."""
        match fault.kind:
            case "stall":
                await asyncio.sleep(fault.seconds)
                return False
            case "reset" | "close":
                wire.reset()
                return True
            case "token_revoked":
                self._revoke(request.log.upstream, request.bearer() or request.headers.get("x-api-key", ""))
                return False
            case "edge_page":
                reply = Reply(fault.status or 403, EDGE_PAGE, "text/html; charset=UTF-8", fault.headers)
            case "status":
                body, content_type = fault.payload() or (
                    b'{"error": {"message": "scripted fault"}}',
                    "application/json",
                )
                reply = Reply(fault.status or 500, body, content_type, fault.headers)
            case _:
                return False
        request.log.status = reply.status
        await wire.whole(reply)
        return True


class _GoneError(Exception):
    """The caller closed its connection."""


class _Wire:
    """The caller's side of one request."""

    def __init__(self, send: Any, scope: Any) -> None:  # noqa: ANN401 - ASGI
        self._send = send
        self._reset = scope["state"].get("reset")
        self.done = False

    def reset(self) -> None:
        """Break the connection."""
        self.done = True
        if self._reset is not None:
            self._reset()

    async def whole(self, reply: Reply) -> None:
        """Send all of an answer."""
        await self._start(reply)
        if reply.stream is None:
            self.done = True
            await self._send({"type": "http.response.body", "body": reply.body})
            return
        async with contextlib.aclosing(reply.stream) as pieces:
            async for piece in pieces:
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        self.done = True
        await self._send({"type": "http.response.body", "body": b""})

    async def half(self, reply: Reply, *, orderly: bool) -> None:
        """Send the first part of an answer, up to the middle of an event; then break the connection.

        Args:
            reply: the answer.
            orderly: end the stream as if that were all, as an edge does whose own upstream broke.
        """
        await self._start(reply)
        if reply.stream is None:
            await self._send(
                {"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True}
            )
        else:
            sent = 0
            async with contextlib.aclosing(reply.stream) as pieces:
                async for piece in pieces:
                    sent += 1
                    last = sent >= _HALF_PIECES
                    body = piece[: len(piece) // 2] if last else piece
                    await self._send({"type": "http.response.body", "body": body, "more_body": True})
                    if last:
                        break
        if orderly and reply.stream is not None:
            self.done = True
            await self._send({"type": "http.response.body", "body": b""})
            return
        # What was written must leave before the connection breaks.
        await asyncio.sleep(0.02)
        self.reset()

    async def _start(self, reply: Reply) -> None:
        headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
        headers.append((b"content-type", reply.content_type.encode()))
        if reply.stream is None:
            headers.append((b"content-length", str(len(reply.body)).encode()))
        await self._send({"type": "http.response.start", "status": reply.status, "headers": headers})


async def _until_gone(receive: Any) -> None:  # noqa: ANN401 - ASGI
    while (await receive())["type"] != "http.disconnect":
        pass
    raise _GoneError


async def _read(receive: Any) -> bytes | None:  # noqa: ANN401 - ASGI
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)


def event(data: Mapping[str, Any], *, name: str = "") -> bytes:
    """One server-sent event of JSON."""
    return encode_sse(json.dumps(data, ensure_ascii=False, separators=(",", ":")), event=name)


def _parse(raw: bytes) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        return None


def _form_or_none(raw: bytes) -> dict[str, Any] | None:
    fields = {key: values[0] for key, values in parse_qs(raw.decode("utf-8", "replace")).items()}
    return _hide_fields(fields) if fields else None


def _hide(value: str) -> str:
    return "…" + value[-_SHOWN_CHARS:]


def _hide_fields(body: Any) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(body, dict):
        return body
    return {
        key: _hide(value) if isinstance(value, str) and key.endswith(_HIDDEN_FIELDS) else value
        for key, value in body.items()
    }


def _skewed(reply: Reply, seconds: float) -> Reply:
    body = _parse(reply.body)
    if not isinstance(body, dict):
        return reply
    for key in ("expires_at", "expires_in", "refresh_in"):
        if isinstance(body.get(key), int | float):
            body[key] += int(seconds)
    return Reply.of(body, reply.status, reply.headers)
