"""Fetches one file from a checked address: bounded, without redirects, the name still proven by its certificate."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import httpx

from shared.errors import Unavailable
from shared.http.client import USER_AGENT


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """What was answered.

    Attributes:
        content_type: as the server said.
        body: cut after the limit; longer than it by a byte at most when there was more.
    """

    status: int
    content_type: str
    body: bytes


async def fetch_file(
    url: str, *, address: str = "", limit: int, timeout_s: float = 20.0, headers: Mapping[str, str] | None = None
) -> FetchedFile:
    """Get a file.

    Args:
        url: absolute http or https address.
        address: the host's IP address that was checked; it is called instead of asking for the name once more.
        limit: bytes of the body to keep.
        timeout_s: for all of it.
        headers: sent along.

    Raises:
        Unavailable: it could not be fetched in time.
    """
    try:
        target = httpx.URL(url)
        pinned = target.copy_with(host=address) if address else target
        body = bytearray()
        trusted = await asyncio.to_thread(_trusted)
        client = httpx.AsyncClient(verify=trusted, timeout=timeout_s, trust_env=False, follow_redirects=False)
        async with asyncio.timeout(timeout_s), client:
            call = client.stream(
                "GET",
                pinned,
                headers={"user-agent": USER_AGENT, "host": target.netloc.decode("ascii"), **(headers or {})},
                extensions={"sni_hostname": target.host},
            )
            async with call as answer:
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > limit:
                        break
                return FetchedFile(answer.status_code, answer.headers.get("content-type", ""), bytes(body[: limit + 1]))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
        raise Unavailable(f"it could not be fetched ({type(error).__name__})", code="http.fetch") from None


@cache
def _trusted() -> ssl.SSLContext:
    """Reading the certificates of all authorities takes 40 ms."""
    return httpx.create_ssl_context(trust_env=False)
