"""The service manager's notify protocol: how a process says that it is ready, alive, and about to stop.

Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

from shared.errors import GatewayError
from shared.obs.log import get_logger

_log = get_logger(__name__)


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


def watchdog_interval_s() -> float | None:
    """How often the service manager is to hear from us: half of what it waits for; None when it does not listen."""
    owner, wait_us = os.environ.get("WATCHDOG_PID", ""), os.environ.get("WATCHDOG_USEC", "")
    if not wait_us.isdigit() or not int(wait_us) or (owner and owner != str(os.getpid())):
        return None
    return int(wait_us) / 2_000_000


async def keep_watchdog(check: Callable[[], Awaitable[object]]) -> None:
    """Say that we are alive for as long as a check goes well; without a watchdog this ends at once.

    A loop that hangs cannot say it, and one whose check hangs or fails does not: the service manager then ends the
    process and starts it again.

    Args:
        check: touches what the process cannot live without, such as its database.
    """
    interval_s = watchdog_interval_s()
    while interval_s is not None:
        try:
            async with asyncio.timeout(interval_s):
                await check()
        except (TimeoutError, GatewayError) as error:
            _log.error("watchdog.check_failed", reason=str(error) or f"no answer within {interval_s:.0f} s")
        else:
            notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)
