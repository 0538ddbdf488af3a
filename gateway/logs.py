"""``clawgate logs``: the lines of every process in the order of their time, and those to come."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Final

_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_POLL_S = 0.25
_TAIL_BYTES = 4 << 20
_SHOWN_FIRST: Final = ("ts", "level", "process", "event", "logger")
_RUN_FIELDS: Final = ("run_id", "run", "task_run")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines.

    Attributes:
        processes: empty for all.
        run: id of a run, or its beginning; empty for all.
        level: least severe.
    """

    processes: frozenset[str] = frozenset()
    run: str = ""
    level: str = "debug"

    def takes(self, line: dict[str, Any]) -> bool:
        """Whether a line is one of them."""
        if self.processes and line.get("process") not in self.processes:
            return False
        if _LEVELS.index(self.level) > _rank(str(line.get("level", "info"))):
            return False
        return not self.run or any(str(line.get(name, "")).startswith(self.run) for name in _RUN_FIELDS)


def _rank(level: str) -> int:
    return _LEVELS.index(level) if level in _LEVELS else _LEVELS.index("info")


@dataclass
class Source:
    """One file, read on from where we were, also after it was set aside.

    Attributes:
        position: bytes read so far.
    """

    path: Path
    position: int = 0
    _identity: tuple[int, int] = (0, 0)
    _rest: bytes = field(default=b"", repr=False)

    def skip_to_tail(self) -> None:
        """Begin near the end: older lines are what rotation is for."""
        try:
            facts = self.path.stat()
        except OSError:
            return
        self._identity = (facts.st_dev, facts.st_ino)
        self.position = max(0, facts.st_size - _TAIL_BYTES)

    def lines(self) -> Iterator[dict[str, Any]]:
        """What was written since; a line that is still being written waits."""
        try:
            with self.path.open("rb") as handle:
                facts = self.path.stat()
                if (facts.st_dev, facts.st_ino) != self._identity or facts.st_size < self.position:
                    self._identity, self.position, self._rest = (facts.st_dev, facts.st_ino), 0, b""
                handle.seek(self.position)
                data = handle.read(_TAIL_BYTES)
        except OSError:
            return
        self.position += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        for raw in whole:
            try:
                line = json.loads(raw)
            except ValueError:
                continue  # the first one after a jump into the file, or no line of ours
            if isinstance(line, dict):
                yield line


def newest(sources: Sequence[Source], wanted: Wanted, count: int) -> list[dict[str, Any]]:
    """The newest lines of all files, oldest first."""
    for source in sources:
        source.skip_to_tail()
    found = [line for source in sources for line in source.lines() if wanted.takes(line)]
    return heapq.nlargest(count, found, key=_moment)[::-1]


def follow(
    sources: Sequence[Source], wanted: Wanted, sleep: Callable[[float], None] = time.sleep
) -> Iterator[dict[str, Any]]:
    """Lines as they are written, for ever."""
    while True:
        fresh = [line for source in sources for line in source.lines() if wanted.takes(line)]
        yield from sorted(fresh, key=_moment)
        sleep(_POLL_S)


def _moment(line: dict[str, Any]) -> float:
    # Not the text: lines of before and after a change of the zone, or of daylight saving, lie side by side.
    try:
        return datetime.fromisoformat(str(line["ts"])).timestamp()
    except (KeyError, ValueError, OverflowError, OSError):
        return 0.0


def readable(line: dict[str, Any], zone: tzinfo) -> str:
    """One line for people: time on the owner's clock, process, level where it matters, event, and its facts."""
    try:
        at = datetime.fromisoformat(str(line["ts"]))
        moment = f"{at.astimezone(zone):%m-%d %H:%M:%S.%f}"[:-3]
    except (KeyError, ValueError):
        moment = "?"
    level = str(line.get("level", "info"))
    mark = "" if level in {"info", "debug"} else f"{level.upper()} "
    rest = " ".join(f"{key}={_value(value)}" for key, value in line.items() if key not in _SHOWN_FIRST)
    return f"{moment} {line.get('process', '?'):<9} {mark}{line.get('event', '')} {rest}".rstrip()


def _value(value: Any) -> str:  # noqa: ANN401 - JSON
    if not isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    text = "".join(character if character.isprintable() else " " for character in value)
    return text if text and " " not in text else json.dumps(text, ensure_ascii=False)
