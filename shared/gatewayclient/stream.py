"""A worker's stdin and stdout over the tenant socket, as a WebSocket that survives a gateway restart.

Server to client: a binary message is an 8-byte big-endian line number and one stdout line without its newline;
a text message is a `WorkerEvent`. Client to server: a binary message is bytes for stdin. Line numbers count from
the container's start, so a client that reconnects says where it stopped and hears every line exactly once.

Input is confirmed: ``taken`` events count the messages of a connection that reached the worker. What was not
confirmed when a connection broke is sent again on the next one, so it arrives at least once. A worker must know what
it has seen: the Claude command line knows its prompts by uuid, and ignores a second answer to a request of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from shared.errors import NotFound, Unavailable
from shared.gatewayclient.models import WorkerEvent
from shared.lifecycle.backoff import Backoff
from shared.obs.log import get_logger

_log = get_logger(__name__)

LINE_HEADER_BYTES = 8
MAX_LINE_BYTES = 16 << 20
_GIVE_UP_AFTER_S = 60.0


class WorkerStream:
    """Iterate for lines and events; write for stdin.

    The iteration ends after an ``exit`` event. Only one task may iterate; any may write.
    """

    def __init__(self, socket: Path, path: str, headers: Mapping[str, str], *, after: int = 0) -> None:
        self._socket = socket
        self._path = path
        self._headers = dict(headers)
        self._after = after
        self._connection: ClientConnection | None = None
        self._input: deque[bytes] = deque()
        """What the worker has not got for certain, oldest first."""
        self._sent = 0
        """How many of these were sent on the connection there is."""
        self._sending = asyncio.Lock()
        self._connecting = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Connect now instead of at the first read or write.

        Raises:
            NotFound: the worker is gone.
            Unavailable: the gateway does not answer.
        """
        await self._connect()

    async def write(self, data: bytes) -> None:
        """Send bytes to the worker's stdin; whole lines, newline included.

        Raises:
            NotFound: the worker is gone.
            Unavailable: the gateway went away and did not come back in time.
        """
        self._input.append(data)
        try:
            while not await self._send_input(await self._connect()):
                pass
        except (NotFound, Unavailable):
            with suppress(ValueError):
                self._input.remove(data)  # the caller was told that it failed
            raise

    async def _send_input(self, connection: ClientConnection) -> bool:
        """Send what was not sent on this connection yet; false when it broke."""
        try:
            async with self._sending:
                while self._connection is connection and self._sent < len(self._input):
                    data = self._input[self._sent]
                    self._sent += 1
                    await connection.send(data)
        except ConnectionClosed:
            self._drop(connection)
        return self._connection is connection

    async def __aiter__(self) -> AsyncIterator[tuple[int, bytes] | WorkerEvent]:
        while not self._closed:
            try:
                connection = await self._connect()
            except NotFound:
                yield WorkerEvent(event="exit", code=-1, reason="gateway")
                return
            await self._send_input(connection)
            try:
                async for message in connection:
                    if isinstance(message, str):
                        event = WorkerEvent.model_validate_json(message)
                        if event.event == "taken":
                            self._forget_input(connection)
                            continue
                        yield event
                        if event.event == "exit":
                            return
                        continue
                    number = int.from_bytes(message[:LINE_HEADER_BYTES], "big")
                    if number > self._after:
                        self._after = number
                        yield number, message[LINE_HEADER_BYTES:]
            except ConnectionClosed:
                pass  # reconnect below: the gateway restarted, or dropped us for reading too slowly
            self._drop(connection)

    async def close(self) -> None:
        """Detach; the worker lives on."""
        self._closed = True
        if self._connection is not None:
            await self._connection.close()

    def _forget_input(self, connection: ClientConnection) -> None:
        if self._connection is connection and self._sent:
            self._input.popleft()
            self._sent -= 1

    def _drop(self, connection: ClientConnection) -> None:
        if self._connection is connection:
            self._connection = None
            self._sent = 0

    async def _connect(self) -> ClientConnection:
        async with self._connecting:
            if self._connection is not None:
                return self._connection
            backoff = Backoff(base_s=0.1, ceiling_s=2.0)
            deadline = asyncio.get_running_loop().time() + _GIVE_UP_AFTER_S
            while True:
                try:
                    self._connection = await unix_connect(
                        str(self._socket),
                        f"ws://gateway{self._path}?after={self._after}",
                        additional_headers=self._headers,
                        compression=None,
                        max_size=MAX_LINE_BYTES + LINE_HEADER_BYTES,
                        proxy=None,
                        open_timeout=10,
                    )
                    return self._connection
                except InvalidStatus as error:
                    if error.response.status_code in {403, 404}:
                        raise NotFound(f"the worker of {self._path} is gone", code="worker.gone") from None
                    reason: Exception = error
                except (OSError, TimeoutError, WebSocketException) as error:
                    reason = error
                if self._closed or asyncio.get_running_loop().time() >= deadline:
                    raise Unavailable(
                        f"the gateway does not answer on {self._socket} ({type(reason).__name__})", code="gateway.down"
                    ) from None
                _log.debug("worker_stream.retried", reason=type(reason).__name__)
                await asyncio.sleep(backoff.next_delay_s())
