"""Which TCP ports of this machine are listened on, and at which addresses, as the kernel says."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.errors import Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LISTEN: Final = "0A"
_PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True, order=True)
class Listener:
    """A TCP port that a program listens on.

    Attributes:
        address: numeric; ``0.0.0.0`` and ``::`` mean every address of the machine.
    """

    address: str
    port: int


def parse_listeners(table: str) -> list[Listener]:
    """Listening sockets of the kernel's table ``tcp`` or ``tcp6``."""
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == _LISTEN:
            address, _, port = fields[1].partition(":")
            found.add(Listener(str(_address(address)), int(port, 16)))
    return sorted(found)


def net_tables(proc: Path = _PROC) -> Path:
    """Folder of the kernel's network tables.

    Reached by our own process: our units see nothing of ``/proc`` but processes (``ProcSubset=pid``), so that the
    shorter ``/proc/net`` is not there.
    """
    return proc / "self" / "net"


def listeners(proc: Path = _PROC) -> list[Listener]:
    """What listens on this machine now, in order.

    Raises:
        Unavailable: the kernel does not say; nobody may take that for "nothing listens".
    """
    tables = [net_tables(proc) / "tcp"]
    if (six := net_tables(proc) / "tcp6").exists():  # a kernel without IPv6 has no such table
        tables.append(six)
    try:
        texts = [table.read_text(encoding="ascii") for table in tables]
    except OSError as error:
        raise Unavailable(
            f"{error.filename}: {error.strerror}: nobody can say what listens on this machine", code="machine.ports"
        ) from None
    return sorted({found for text in texts for found in parse_listeners(text)})


def listening_on(port: int, proc: Path = _PROC) -> list[Address]:
    """Addresses that accept connections on `port`, in order, each once.

    Raises:
        Unavailable: the kernel does not say.
    """
    return [ipaddress.ip_address(found.address) for found in listeners(proc) if found.port == port]


def _address(text: str) -> Address:
    """The kernel prints each group of four bytes as one number in its own byte order."""
    raw = b"".join(struct.pack("=I", int(text[at : at + 8], 16)) for at in range(0, len(text), 8))
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
