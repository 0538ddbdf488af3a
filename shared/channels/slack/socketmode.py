"""One Socket Mode connection: its greeting, its envelopes, its farewell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from shared.errors import GatewayError, Unavailable
from shared.http.client import USER_AGENT
from shared.obs.log import get_logger

_log = get_logger(__name__)

_HELLO_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 2.0
_PING_S = 20.0
_MAX_FRAME_BYTES = 4 << 20
_REPLACEABLE = frozenset({"warning", "refresh_requested"})


@dataclass(frozen=True, slots=True)
class Envelope:
    """What Slack sends until it is acknowledged.

    Attributes:
        kind: ``events_api``, ``interactive``, ``slash_commands``.
        retry_attempt: how often it was sent before.
    """

    id: str
    kind: str
    payload: Mapping[str, Any]
    retry_attempt: int = 0


class SocketMode:
    """An open connection. One task iterates `envelopes`, any may acknowledge.

    Attributes:
        left: set once Slack takes its leave, or the connection is gone.
        farewell: Slack's reason, or what became of the connection.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.left = asyncio.Event()
        self.farewell = ""
        self.is_open = True

    @classmethod
    async def open(cls, url: str) -> SocketMode:
        """Connect and wait for the greeting.

        Raises:
            Unavailable: it cannot be reached, or does not greet; the address is good for one try only.
        """
        host = urlsplit(url).hostname or "?"
        try:
            connection = await connect(
                url,
                proxy=None,
                compression=None,
                user_agent_header=USER_AGENT,
                open_timeout=_HELLO_TIMEOUT_S,
                close_timeout=_CLOSE_TIMEOUT_S,
                ping_interval=_PING_S,
                ping_timeout=_PING_S,
                max_size=_MAX_FRAME_BYTES,
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI, ConnectionClosed) as error:
            raise Unavailable(f"Slack's socket {host} cannot be reached ({type(error).__name__})") from None
        try:
            async with asyncio.timeout(_HELLO_TIMEOUT_S):
                greeting = _parse(await connection.recv())
        except (TimeoutError, ConnectionClosed) as error:
            await connection.close()
            raise Unavailable(f"Slack's socket {host} did not greet ({type(error).__name__})") from None
        if greeting.get("type") != "hello":
            await connection.close()
            raise Unavailable(f"Slack's socket {host} greeted with {str(greeting.get('type'))[:40]!r}")
        return cls(connection)

    @property
    def wants_replacement(self) -> bool:
        """Slack asked for a fresh connection in time; this one still works for a while."""
        return self.farewell in _REPLACEABLE

    async def envelopes(self) -> AsyncIterator[Envelope]:
        """What Slack sends, until the connection ends."""
        try:
            async for data in self._connection:
                message = _parse(data)
                if message.get("type") == "disconnect":
                    self._leave(str(message.get("reason") or "no reason given"))
                elif isinstance(message.get("envelope_id"), str):
                    yield _envelope(message)
                else:
                    _log.debug("slack.frame_unknown", type=str(message.get("type")))
        except ConnectionClosed:
            pass
        finally:
            self.is_open = False
            self._leave(f"closed with code {self._connection.close_code}")

    def _leave(self, reason: str) -> None:
        self.farewell = self.farewell or reason
        self.left.set()

    async def acknowledge(self, envelope: str) -> None:
        """Tell Slack that an envelope was taken; on a connection that is gone it will send it again."""
        with suppress(ConnectionClosed):
            await self._connection.send(json.dumps({"envelope_id": envelope}))

    async def close(self) -> None:
        """End the connection."""
        self.is_open = False
        with suppress(GatewayError, OSError):
            await self._connection.close()


def _envelope(message: Mapping[str, Any]) -> Envelope:
    payload, attempt = message.get("payload"), message.get("retry_attempt")
    return Envelope(
        message["envelope_id"],
        str(message.get("type")),
        payload if isinstance(payload, Mapping) else {},
        attempt if isinstance(attempt, int) else 0,
    )


def _parse(data: str | bytes) -> Mapping[str, Any]:
    """A frame; one that is not an object of JSON is as good as empty."""
    try:
        message = json.loads(data)
    except ValueError:
        message = None
    return message if isinstance(message, dict) else {}
