"""Reading JSON that somebody else wrote: a value is what it should be, or an empty one stands in its place."""

from __future__ import annotations

import json
from typing import Any


def object_of(text: bytes | str) -> dict[str, Any] | None:
    """The object a text is in JSON; None when it is anything else, or nested too deeply to be read."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def mapping(value: object) -> dict[str, Any]:
    """An object, or an empty one in the place of anything else."""
    return value if isinstance(value, dict) else {}


def count(value: object) -> int:
    """A whole number that is not negative, or 0 in the place of anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
