"""When the window of a bucket or budget begins anew; pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from pydantic import Field

from shared.config.strict import Strict

_DECEMBER = 12


class ResetRule(Strict):
    """When a window begins anew; days, weeks (Monday) and months are those of UTC.

    Attributes:
        hours: for ``hours``: how long a window is; it begins with the first call after the last one ended.
        day: for ``month``: its first day.
    """

    every: Literal["never", "hours", "day", "week", "month"] = "never"
    hours: float = Field(default=5.0, gt=0, le=24 * 366)
    day: int = Field(default=1, ge=1, le=28)

    def end_of(self, now: datetime) -> datetime | None:
        """When a window that holds `now` ends; None for never."""
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        match self.every:
            case "never":
                return None
            case "hours":
                return now + timedelta(hours=self.hours)
            case "day":
                return midnight + timedelta(days=1)
            case "week":
                return midnight + timedelta(days=7 - now.weekday())
            case "month":
                this = midnight.replace(day=self.day)
                if now < this:
                    return this
                later = this.month == _DECEMBER
                return this.replace(year=this.year + later, month=1 if later else this.month + 1)

    def start_of(self, now: datetime) -> datetime | None:
        """When the window that holds `now` began, as far as the calendar knows; for ``hours`` that long ago."""
        end = self.end_of(now)
        if end is None:
            return None
        match self.every:
            case "hours":
                return now - timedelta(hours=self.hours)
            case "day":
                return end - timedelta(days=1)
            case "week":
                return end - timedelta(days=7)
            case _:
                first = end.month == 1
                return end.replace(year=end.year - first, month=_DECEMBER if first else end.month - 1)
