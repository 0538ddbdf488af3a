"""The emulator's own floor on ASGI: plain requests, exact answers.

A web framework would decode paths and add to content types; an emulator must control both, and must be able to cut
a connection in the middle of an answer. So there is nothing between.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from gateway.sandbox.discord.models import dump_compact

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class BodyTooLarge(Exception):
    """The request's body is over the limit."""


@dataclass(slots=True)
class Request:
    """One HTTP request.

    Attributes:
        path: raw: percent-encoding is left as it came.
        reset: breaks the connection, so that the peer sees a reset and no orderly end.
        hang_up: ends the connection in good order, without an answer.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    receive: Receive
    reset: Callable[[], None]
    hang_up: Callable[[], None]
    params: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> Request:
        """Read the ASGI scope; header names are lower case."""
        return cls(
            scope["method"],
            scope["raw_path"].decode("ascii"),
            dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            receive,
            scope["state"]["reset"],
            scope["state"]["hang_up"],
        )

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            BodyTooLarge: it is over `limit` bytes.
        """
        chunks, size = list[bytes](), 0
        while True:
            event = await self.receive()
            if event["type"] == "http.disconnect":
                raise ConnectionAbortedError
            chunks.append(event.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                raise BodyTooLarge
            if not event.get("more_body"):
                return b"".join(chunks)


@dataclass(slots=True)
class Response:
    """An answer; `content_type` is sent exactly as given, and left out when there is no body."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
        """A JSON answer."""
        return cls(status, dump_compact(value).encode(), headers=headers or {})

    async def send(self, send: Send, *, skew_s: float = 0.0, now: float | None = None, only: int | None = None) -> None:
        """Write it out.

        Args:
            send: the ASGI channel.
            skew_s: how wrong the Date header is.
            now: Unix seconds for the Date header; the machine's own when left out.
            only: send this many bytes of the body and leave the answer unfinished.
        """
        headers = {"Date": formatdate((now or 0) + skew_s, usegmt=True)} if now is not None else {}
        headers |= {"Content-Length": str(len(self.body)), **self.headers}
        if self.body:
            headers["Content-Type"] = self.content_type
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        body = self.body if only is None else self.body[:only]
        await send({"type": "http.response.body", "body": body, "more_body": only is not None})


def read_json(data: bytes) -> object:
    """A JSON body; raises ValueError when it is none."""
    return json.loads(data.decode("utf-8"))


async def until_gone(receive: Receive) -> None:
    """Wait until the client has left, so that an answer never given is not taken for a defect."""
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass
