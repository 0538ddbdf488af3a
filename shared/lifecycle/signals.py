"""SIGINT and SIGTERM ask a process to stop; both also when they were inherited as ignored."""

from __future__ import annotations

import asyncio
import signal


def stop_on_signals(event: asyncio.Event | None = None) -> asyncio.Event:
    """Set an event (a new one unless given) at the first SIGINT or SIGTERM; call inside the running loop."""
    event = event or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, event.set)
    return event
