"""Small knocks at our own doors: what is answered to somebody who shows no key, or a wrong one. Blocks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.audit.facts import Knock
from shared.errors import Unavailable

_LIMIT_S: Final = 5.0
_FORGED: Final = (
    ("without a key", ""),
    ("with a wrong key", "Authorization: Bearer " + "0" * 43 + "\r\n"),
    ("naming another tenant", "X-Clawgate-Tenant: gateway\r\nAuthorization: Bearer x\r\n"),
)


def forged_callers(tenant: str, door: Path) -> Iterator[Knock]:
    """What the gateway answers at a tenant's socket to three who are not that tenant.

    Raises:
        Unavailable: nothing answers there.
    """
    for who, headers in _FORGED:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            yield Knock(f"a caller of {tenant} {who}", _status(channel, str(door), "/v1/startup", headers))


def unsigned_media(host: str, port: int) -> Iterator[Knock]:
    """What the media listener answers to addresses that nobody signed; raises as `forged_callers`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for path in ("/", "/m/", "/m/0/0/0/0.jpg", "/m/../../gateway.db"):
        with socket.socket(family, socket.SOCK_STREAM) as channel:
            yield Knock(path, _status(channel, (host, port), path, ""))


def _status(channel: socket.socket, address: str | tuple[str, int], path: str, headers: str) -> int:
    channel.settimeout(_LIMIT_S)
    try:
        channel.connect(address)
        channel.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n".encode())
        head = channel.recv(4096).split(b"\r\n", 1)[0].split(b" ")
    except OSError as error:
        raise Unavailable(f"{address} does not answer: {error}", code="audit.no_answer") from None
    with suppress(IndexError, ValueError):
        return int(head[1])
    raise Unavailable(f"{address} closed without an answer", code="audit.no_answer")
