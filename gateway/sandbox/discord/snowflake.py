"""Discord's ids: 42 bits of milliseconds since 2015, then worker, process and a counter."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.clock import Clock, unix_ms

EPOCH_MS = 1_420_070_400_000
"""2015-01-01T00:00Z, in Unix milliseconds."""

_RESTART_GAP_MS = 1_000


class SnowflakeMaker:
    """Makes ids that rise strictly, also when many are made in one millisecond or the clock steps back."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    @property
    def last(self) -> int:
        """The newest id made, 0 before the first."""
        return self._last

    def make(self) -> int:
        """The next id."""
        fresh = (unix_ms(self._clock.now()) - EPOCH_MS) << 22
        self._last = max(fresh, self._last + 1)
        return self._last

    def raise_above(self, last: int) -> None:
        """Start above `last`, with room for ids that were made but not saved before a crash."""
        self._last = max(self._last, last + (_RESTART_GAP_MS << 22))


def created_at(snowflake: int) -> datetime:
    """The moment in an id, aware UTC."""
    return datetime.fromtimestamp(((snowflake >> 22) + EPOCH_MS) / 1000, tz=UTC)


def parse_snowflake(value: object) -> int | None:
    """An id from the wire, where it may be a number or its decimal text; none when it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if 0 <= value < 1 << 64 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    return None
