"""Who listens on a port, and whether it answers at an address that strangers could reach."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from shared.doctor.rows import Row
from shared.lifecycle.listening import Listener, net_tables

UI_PORT: Final = 18789
"""Control UI and WebSocket (row O1)."""
BRIDGE_PORT: Final = 18790
"""The original's bridge: reserved, nothing listens (row O1)."""

_PATIENCE_S = 1.0
_LOCAL_V4 = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")


def parse_addresses(fib_trie: str, if_inet6: str) -> list[str]:
    """This machine's own addresses but loopback and link-local ones, from ``/proc/net/fib_trie`` and ``…/if_inet6``."""
    v6 = (ipaddress.IPv6Address(int(line.split()[0], 16)) for line in if_inet6.splitlines() if line.strip())
    v4 = map(ipaddress.IPv4Address, _LOCAL_V4.findall(fib_trie))
    addresses: set[ipaddress.IPv4Address | ipaddress.IPv6Address] = {*v4, *v6}
    return [
        str(a) for a in sorted(addresses, key=lambda a: (a.version, int(a))) if not (a.is_loopback or a.is_link_local)
    ]


def own_addresses(proc: Path = Path("/proc")) -> list[str]:
    """Addresses under which others may reach this machine."""
    return parse_addresses(_read(net_tables(proc) / "fib_trie"), _read(net_tables(proc) / "if_inet6"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""


def answers(address: str, port: int) -> bool:
    """Whether a connection to an address of this machine is taken."""
    with suppress(OSError), socket.create_connection((address, port), timeout=_PATIENCE_S):
        return True
    return False


def examine_port(
    port: int,
    what: str,
    heard: Iterable[Listener],
    addresses: Sequence[str],
    connects: Callable[[str, int], bool] = answers,
    *,
    reserved: bool = False,
) -> Row:
    """Whether a port that belongs on loopback is reached under another address.

    Args:
        port: looked at.
        what: what it is for, in words.
        heard: everything that listens.
        addresses: this machine's own, without loopback.
        connects: tries one.
        reserved: nothing should listen on it at all.
    """
    mine = [listener.address for listener in heard if listener.port == port]
    # A port that Docker publishes without its helper process shows no listener, so each address is tried as well.
    reached = [address for address in addresses if connects(address, port)]
    name = f"HOST-PORT-{port}"
    wide = [address for address in mine if not ipaddress.ip_address(address).is_loopback]
    if reached or wide:
        where = ", ".join(reached or wide)
        return Row(
            name,
            "fail",
            f"port {port} ({what}) answers at {where}, not only at this machine's loopback",
            "bind it to 127.0.0.1 (in Compose: 127.0.0.1:PORT:PORT); a firewall rule is the second lock, not the first",
        )
    if reserved:
        if mine:
            return Row(name, "warn", f"port {port} ({what}) is used by a program", "nothing of ours needs it: stop it")
        return Row(name, "ok", f"port {port} ({what}): nothing listens, as it should be")
    if mine:
        return Row(name, "ok", f"port {port} ({what}) answers at {', '.join(mine)} alone")
    return Row(name, "ok", f"port {port} ({what}): nothing listens now")
