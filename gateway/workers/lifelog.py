"""The log of a worker's life: ``groups/<folder>/logs/container-<time>.log``, one file from its start to its end.

It says which runs it had and how it ended, and never what was said. The folder lies inside what the agent works in, so
files are opened without following links, and the agent has the folder read-only.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.beneath import append_beneath
from shared.obs.redact import redact_text

LOGS = "logs"
"""The folder of these files, in the group's own."""
_SIZE_LIMIT = 4 * 1024 * 1024
"""A worker with thousands of runs writes no more than this; its end is still noted."""


def log_name(moment: datetime, zone_name: str) -> str:
    """File name for a worker that starts now, in local time: ``container-2026-03-01T21-00-00-123.log``."""
    local = moment.astimezone(_zone(zone_name))
    return f"container-{local:%Y-%m-%dT%H-%M-%S}-{local.microsecond // 1000:03d}.log"


def _zone(name: str) -> ZoneInfo:
    with suppress(ZoneInfoNotFoundError, ValueError):
        return ZoneInfo(name)
    return ZoneInfo("UTC")


class LifeLog:
    """Appends to one worker's log. All methods only compose a text; `append` is the one that writes.

    Args:
        group: the group's folder.
        name: the file's.
        zone_name: of the times written.
    """

    def __init__(self, group: Path, name: str, *, zone_name: str) -> None:
        self._group = group
        self._name = name
        self._zone = _zone(zone_name)

    def append(self, text: str, *, final: bool = False) -> None:
        """Write a text to the end of the file, making it if need be; it belongs to whom the group belongs to. Blocks.

        Raises:
            GatewayError: a link or no file stands in the way, or the folder is gone.
        """
        limit = None if final else _SIZE_LIMIT
        append_beneath(self._group, (LOGS,), self._name, text.encode(errors="replace"), limit_bytes=limit)

    def stamp(self, moment: datetime) -> str:
        """A time as it is written here."""
        return moment.astimezone(self._zone).isoformat(timespec="milliseconds")

    def event(self, moment: datetime, text: str) -> str:
        """One line with its time."""
        return f"{self.stamp(moment)} {text}\n"

    @staticmethod
    def facts(pairs: Sequence[tuple[str, str]], mounts: Sequence[str], notes: Sequence[str]) -> str:
        """The head of the file."""
        lines = [f"{name}: {value}" for name, value in pairs]
        lines += ["mounts:", *(f"  {mount}" for mount in mounts)]
        if notes:
            lines += ["without:", *(f"  {note}" for note in notes)]
        return "\n".join(lines) + "\n\n"

    @staticmethod
    def stderr(text: str) -> str:
        """The last words of the worker, with anything that looks like a credential hidden; empty for silence."""
        shown = redact_text(text.strip())
        return f"stderr:\n{textwrap.indent(shown, '  ')}\n" if shown else ""
