"""Values as people write them in ``.env``: counts, lengths of time (``1800000``, ``30m``, ``90 s``), time zones."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import ConfigError

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
_TEXT = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[a-z]*)")
_SHORTEST_BARE_MS = 10_000


def parse_duration_s(name: str, text: str) -> float:
    """Seconds for a setting's text.

    A bare number is milliseconds, as in the original system. One below 10,000 is refused, since whoever wrote it meant
    seconds; with a unit (``ms s m h d``) every number is accepted.

    Args:
        name: the setting, for the message.
        text: its value.

    Raises:
        ConfigError: it is no length of time, or a bare number that cannot be milliseconds.
    """
    match = _TEXT.fullmatch(text.strip().lower())
    number = float(match["number"]) if match else 0.0
    unit = match["unit"] if match else ""
    if match is None or number <= 0 or (unit and unit not in _UNITS_S):
        raise ConfigError(
            f"{name}={text} is not a length of time: write milliseconds (1800000) or a unit (30m, 90s, 1h)",
            code="config.setting",
        )
    if not unit and number < _SHORTEST_BARE_MS:
        raise ConfigError(
            f"{name}={text} would be {number / 1000:g} seconds, since a bare number is milliseconds: "
            f"write {text.strip()}s if you mean seconds",
            code="config.setting",
        )
    return number * _UNITS_S[unit or "ms"]


def parse_count(name: str, text: str) -> int:
    """A whole number of at least 1.

    Raises:
        ConfigError: it is none.
    """
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise ConfigError(f"{name}={text} is not a whole number of at least 1, such as 5", code="config.setting")
    return int(text)


def parse_zone(text: str) -> str:
    """A time zone's name; the leading colon that POSIX allows is dropped.

    Raises:
        ConfigError: there is no such zone.
    """
    name = text.removeprefix(":")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"TZ={text} is not a time zone such as Asia/Seoul, or this machine lacks the tzdata package",
            code="config.setting",
        ) from None
    return name
