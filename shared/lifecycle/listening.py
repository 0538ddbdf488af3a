"""Which addresses of this machine a TCP port listens on, as the kernel says."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LISTEN: Final = "0A"
_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


def listening_on(port: int) -> list[Address]:
    """Addresses that accept connections on `port`, in order, each once.

    Raises:
        OSError: the kernel does not say.
    """
    found: set[Address] = set()
    for table in _TABLES:
        if table.exists():
            for line in table.read_text(encoding="ascii").splitlines()[1:]:
                fields = line.split()
                address, _, number = fields[1].partition(":")
                if fields[3] == _LISTEN and int(number, 16) == port:
                    found.add(_address(address))
    return sorted(found, key=str)


def _address(text: str) -> Address:
    """The kernel writes each 32-bit word in the machine's own order."""
    raw = bytes.fromhex(text)
    words = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    address = ipaddress.ip_address(words)
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
