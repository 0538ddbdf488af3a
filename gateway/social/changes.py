"""Who waits for news about posts is woken by it."""

from __future__ import annotations

import asyncio
import contextlib


class Changes:
    """News of this process; those of another process are seen at the next look.

    Attributes:
        is_closed: the gateway is stopping.
    """

    def __init__(self) -> None:
        self._news = asyncio.Event()
        self.is_closed = False

    def close(self) -> None:
        """Answer all who wait, now and from now on."""
        self.is_closed = True
        self.note()

    def note(self) -> None:
        """Something changed."""
        self._news.set()
        self._news = asyncio.Event()

    @property
    def next(self) -> asyncio.Event:
        """The event of the next change; take it before looking, so that none is missed."""
        return self._news

    @staticmethod
    async def wait(news: asyncio.Event, most_s: float) -> None:
        """Wait for a change, or at most this many seconds."""
        with contextlib.suppress(TimeoutError):
            # Not wait_for: in Python 3.11 it loses a cancellation that comes together with the event.
            async with asyncio.timeout(most_s):
                await news.wait()
