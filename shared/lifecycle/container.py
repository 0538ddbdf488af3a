"""What a process in a container of ours may know of its surroundings: is it one, who reaches it, where is it published.

A container's own sockets say little about who reaches them: it has to listen on 0.0.0.0 of its own network, and the
machine forwards one address of its own to it. That address is a fact of compose.yaml, stated to the services by the
very text that publishes the port.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.config.process import environment

PUBLISHED: Final = "OPENCLAW_PUBLISHED"
_INIT: Final = "docker-init"
_UP: Final = 0x1  # IFF_UP
_SIOCGIFADDR: Final = 0x8915
_PAIR_TYPES: Final = frozenset({"", "veth"})
"""Kinds of interface whose other end is the machine's; one of macvlan or ipvlan is on the machine's own network."""


@dataclass(frozen=True, slots=True)
class Published:
    """A port mapping in Compose's short form, such as ``127.0.0.1:18789:18789``.

    Attributes:
        address: of the machine; ``0.0.0.0`` where the mapping names none, as the engine takes it.
        port: of the machine.
        inner: port of the container.
    """

    address: str
    port: int
    inner: int

    @classmethod
    def parse(cls, mapping: str) -> Published | None:
        """The mapping; None when it cannot be read as one."""
        parts = mapping.rsplit(":", 2)
        try:
            port, inner = int(parts[-2]), int(parts[-1])
            address = ipaddress.ip_address(parts[0].strip("[]") if len(parts) == 3 else "0.0.0.0")
        except (IndexError, ValueError):
            return None
        return cls(str(address), port, inner)

    @property
    def is_loopback(self) -> bool:
        """Only programs of the machine itself reach it."""
        return ipaddress.ip_address(self.address).is_loopback


def published() -> Published | None:
    """Where compose.yaml says that OpenClaw is published; None when nothing, or nothing readable, says so."""
    return Published.parse(environment(PUBLISHED))


def is_contained(proc: Path = Path("/proc")) -> bool:
    """The first process is the init that the engine adds (``init: true``)."""
    try:
        return (proc / "1" / "comm").read_text(encoding="utf-8").strip() == _INIT
    except OSError:
        return False


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface that is up, without loopback.

    Attributes:
        address: its IPv4 address; empty for none.
        is_pair: its other end lies outside, in the engine's bridge.
    """

    name: str
    address: str
    is_pair: bool

    @property
    def is_private(self) -> bool:
        """Nobody reaches it but the machine and what shares its bridge."""
        return self.is_pair and (not self.address or ipaddress.ip_address(self.address).is_private)


def links(sysfs: Path = Path("/sys/class/net")) -> Iterator[Link]:
    """The interfaces of this process's network.

    Raises:
        OSError: the kernel does not say.
    """
    for folder in sorted(sysfs.iterdir()):
        if folder.name == "lo" or not int(_read(folder / "flags"), 16) & _UP:
            continue
        told = dict(line.split("=", 1) for line in _read(folder / "uevent").splitlines() if "=" in line)
        is_pair = _read(folder / "iflink") != _read(folder / "ifindex") and told.get("DEVTYPE", "") in _PAIR_TYPES
        yield Link(folder.name, _address(folder.name), is_pair)


def _read(file: Path) -> str:
    return file.read_text(encoding="ascii").strip()


def _address(name: str) -> str:
    """IPv4 only: a container that listens on 0.0.0.0 is reached by nothing else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            answer = fcntl.ioctl(asked, _SIOCGIFADDR, struct.pack("256s", name.encode()))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])
