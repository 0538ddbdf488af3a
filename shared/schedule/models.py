"""The three kinds of schedule, as frozen values. Every moment is aware; a zone is an IANA zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias
from zoneinfo import ZoneInfo

ScheduleKind = Literal["cron", "interval", "once"]

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression, read on the wall clock of a zone.

    Attributes:
        expression: five fields; a name such as ``@daily`` has been replaced by what it stands for.
    """

    expression: str
    zone: ZoneInfo

    @property
    def kind(self) -> ScheduleKind:
        """Its kind's name."""
        return "cron"

    @property
    def text(self) -> str:
        """What `stored_schedule` reads back."""
        return self.expression

    def describe(self) -> str:
        """For people."""
        from cronsim import CronSim

        return f"{self.expression} ({CronSim(self.expression, _ANY_TIME).explain()}, {self.zone.key})"


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so long, counted from a fixed anchor, so that it does not drift with how long a run takes.

    Attributes:
        anchor: the first occurrence is one interval after it.
    """

    every: timedelta
    anchor: datetime

    @property
    def kind(self) -> ScheduleKind:
        """Its kind's name."""
        return "interval"

    @property
    def text(self) -> str:
        """What `stored_schedule` reads back: ``1h30m``."""
        left = self.every // timedelta(milliseconds=1)
        parts = []
        for unit, size in _UNITS:
            count, left = divmod(left, size)
            if count:
                parts.append(f"{count}{unit}")
        return "".join(parts)

    def describe(self) -> str:
        """For people."""
        return f"every {self.text}"


@dataclass(frozen=True, slots=True)
class Once:
    """A single moment.

    Attributes:
        at: keeps the zone it was given in, for people.
    """

    at: datetime

    @property
    def kind(self) -> ScheduleKind:
        """Its kind's name."""
        return "once"

    @property
    def text(self) -> str:
        """What `stored_schedule` reads back: ISO 8601 with an offset."""
        return self.at.isoformat()

    def describe(self) -> str:
        """For people."""
        return f"once, at {self.at:%Y-%m-%d %H:%M:%S %Z}"


Schedule: TypeAlias = Cron | Interval | Once

_ANY_TIME = datetime(2000, 1, 1)  # noqa: DTZ001 - only the fields are explained, the time is not used
