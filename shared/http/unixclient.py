"""An HTTP client over a unix socket of our own; httpx and its errors stop here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from shared.errors import Unavailable

_CONNECT_TIMEOUT_S = 5.0
_CHUNK_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """An answer as it streams in.

    Attributes:
        status: the HTTP status; anything but 200 has its error as body.
        headers: names in lower case.
    """

    status: int
    headers: Mapping[str, str]
    _response: httpx.Response

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            Unavailable: the connection was cut before the end.
        """
        try:
            async for chunk in self._response.aiter_bytes():
                yield chunk
        except httpx.HTTPError as error:
            raise Unavailable(f"the answer was cut: {type(error).__name__}", code="http.cut") from None

    async def read(self, limit: int = 1 << 20) -> bytes:
        """The whole body, at most `limit` bytes of it."""
        body = bytearray()
        async for chunk in self.aiter_bytes():
            body += chunk
            if len(body) >= limit:
                break
        return bytes(body[:limit])


class UnixClient:
    """Every request goes to one unix socket.

    Args:
        socket: the server's socket.
        headers: sent with every request.
        server: what to call the other side in errors.
    """

    def __init__(self, socket: Path, *, headers: Mapping[str, str], server: str) -> None:
        self._where = f"{server} does not answer on {socket}"
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket), retries=0),
            base_url="http://localhost",
            headers=dict(headers),
            trust_env=False,
        )

    async def close(self) -> None:
        """Close idle connections."""
        await self._http.aclose()

    async def request(self, method: str, path: str, *, json: Any, timeout_s: float) -> tuple[int, bytes]:  # noqa: ANN401 - JSON
        """One call; returns status and body.

        Raises:
            Unavailable: nobody answers, or not in time.
        """
        try:
            timeout = httpx.Timeout(timeout_s, connect=_CONNECT_TIMEOUT_S)
            response = await self._http.request(method, path, json=json, timeout=timeout)
        except httpx.HTTPError as error:
            raise self._down(error) from None
        return response.status_code, response.content

    async def upload(self, path: str, file: Path, *, timeout_s: float) -> tuple[int, bytes]:
        """POST a file as it lies there; returns status and body.

        Raises:
            Unavailable: nobody answers, or not in time.
        """
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_TIMEOUT_S)
        headers = {"content-type": "application/octet-stream"}
        try:
            response = await self._http.post(path, content=_chunks(file), headers=headers, timeout=timeout)
        except httpx.HTTPError as error:
            raise self._down(error) from None
        return response.status_code, response.content

    async def send(self, method: str, path: str, *, body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """One call with a body of bytes; returns status and body.

        Raises:
            Unavailable: nobody answers, or not in time.
        """
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_TIMEOUT_S)
        headers = {"content-type": "application/octet-stream"}
        try:
            response = await self._http.request(method, path, content=body, headers=headers, timeout=timeout)
        except httpx.HTTPError as error:
            raise self._down(error) from None
        return response.status_code, response.content

    @asynccontextmanager
    async def stream(
        self, path: str, *, json: Mapping[str, Any], headers: Mapping[str, str], read_timeout_s: float
    ) -> AsyncIterator[StreamedResponse]:
        """POST, and read the answer as it arrives; leaving the context hangs up.

        Raises:
            Unavailable: nobody answers.
        """
        timeout = httpx.Timeout(read_timeout_s, connect=_CONNECT_TIMEOUT_S)
        request = self._http.build_request("POST", path, json=dict(json), headers=dict(headers), timeout=timeout)
        try:
            response = await self._http.send(request, stream=True)
        except httpx.HTTPError as error:
            raise self._down(error) from None
        try:
            yield StreamedResponse(response.status_code, response.headers, response)
        finally:
            await response.aclose()

    def _down(self, error: httpx.HTTPError) -> Unavailable:
        return Unavailable(f"{self._where} ({type(error).__name__})", code="gateway.down")


async def _chunks(file: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(file.open, "rb") as handle:
        while data := await asyncio.to_thread(handle.read, _CHUNK_BYTES):
            yield data
