"""One GET over the open net: to a checked address, bounded in time and size."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.egress.addresses import checked_addresses
from gateway.egress.decide import Target
from gateway.egress.readable import check_readable, unpack
from shared.errors import Invalid, Unavailable
from shared.http.client import Headers, StreamedAnswer
from shared.http.pinned import PinnedHttp

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS: Headers = (
    # Some sites answer nothing to an unknown program; we say who we are all the same.
    (b"User-Agent", b"Mozilla/5.0 (compatible; Clawgate)"),
    (b"Accept", b"text/html,application/xhtml+xml,application/json,application/xml;q=0.9,text/*;q=0.8,*/*;q=0.1"),
    (b"Accept-Encoding", b"identity"),
)


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one address answered.

    Attributes:
        body: unpacked; empty for a redirect.
        size_bytes: of the body as it came.
        location: where a redirect leads, as the server says it; empty for anything else.
    """

    status: int
    content_type: str
    body: bytes
    size_bytes: int
    location: str = ""


class WebClient:
    """Fetches single addresses.

    Args:
        max_bytes: largest body.
        allow_loopback: see `EgressPolicy`.
    """

    def __init__(self, *, max_bytes: int, allow_loopback: bool) -> None:
        self._http = PinnedHttp()
        self._max_bytes = max_bytes
        self._allow_loopback = allow_loopback

    async def get(self, target: Target, *, timeout_s: float) -> Fetched:
        """Fetch one address without following redirects.

        Raises:
            Denied: its name leads to a place that is not public.
            Invalid: what is there is not text, or too large.
            Unavailable: nobody answers.
            DeadlineExceeded: nothing was sent for too long.
        """
        addresses = await checked_addresses(target, allow_loopback=self._allow_loopback)
        for address in addresses[:-1]:
            try:
                return await self._get(target, address, timeout_s)
            except Unavailable as error:
                if error.code != "http.connect":
                    raise
        return await self._get(target, addresses[-1], timeout_s)

    async def post(self, target: Target, body: bytes, headers: Headers, *, timeout_s: float) -> int:
        """Send a body to one address; returns the status. What it answers beyond that is not read.

        Raises:
            Denied: its name leads to a place that is not public.
            Unavailable: nobody answers.
            DeadlineExceeded: nothing was sent for too long.
        """
        address = (await checked_addresses(target, allow_loopback=self._allow_loopback))[0]
        sent = ((b"User-Agent", b"Clawgate"), (b"Content-Type", b"application/json"), *headers)
        stream = self._http.stream("POST", target.url, address=address, headers=sent, body=body, timeout_s=timeout_s)
        async with stream as answer:
            return answer.status

    async def _get(self, target: Target, address: str, timeout_s: float) -> Fetched:
        stream = self._http.stream("GET", target.url, address=address, headers=_HEADERS, timeout_s=timeout_s)
        async with stream as answer:
            content_type = answer.header("content-type")
            location = answer.header("location")
            if answer.status in _REDIRECTS and location:
                return Fetched(answer.status, content_type, b"", 0, location)
            check_readable(content_type)
            packed = await self._read(answer)
        body = unpack(packed, answer.header("content-encoding"), self._max_bytes)
        return Fetched(answer.status, content_type, body, len(packed))

    async def _read(self, answer: StreamedAnswer) -> bytes:
        declared = answer.header("content-length")
        if declared.isdecimal() and int(declared) > self._max_bytes:
            raise self._too_large()
        body = bytearray()
        async for chunk in answer.aiter_bytes():
            body += chunk
            if len(body) > self._max_bytes:
                raise self._too_large()
        return bytes(body)

    def _too_large(self) -> Invalid:
        return Invalid(f"the page is larger than {self._max_bytes:,} bytes", code="egress.too_large")
