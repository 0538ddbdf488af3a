"""The service manager's notify protocol: how a process says that it is ready. Source: sd_notify(3)."""

from __future__ import annotations

import os
import socket


def notify(message: str) -> None:
    """Send a line such as ``READY=1`` to whoever started us; without ``NOTIFY_SOCKET`` nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(message.encode(), address)
        except OSError:
            return  # the manager went away; a service must not die of that
