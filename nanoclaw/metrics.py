"""``logs/routing-metrics.jsonl``: one line for each batch of messages that was routed (policy N11)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from shared.obs.log import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RoutingLine:
    """One batch. Times are milliseconds; `fallback_from` names the tier that gave up first. No message text."""

    ts: str
    group: str
    chat: str
    message_ids: tuple[str, ...]
    tier: str
    reason: str
    confidence: float
    model: str
    fallback_from: str | None
    queue_ms: float
    start_ms: float
    first_output_ms: float | None
    total_ms: float
    input_tokens: int
    output_tokens: int
    cost_usd: float
    ok: bool
    error: str | None


class RoutingLog:
    """Appends lines; opens the file anew for each, so that rotation may rename it at any time.

    Args:
        path: the file.
        zone: whose clock its times are on.
        count: is shown each line, for the figures.
    """

    def __init__(self, path: Path, zone: tzinfo, count: Callable[[RoutingLine], None] = lambda _line: None) -> None:
        self._path = path
        self._zone = zone
        self._count = count

    def stamp(self, moment: datetime) -> str:
        """A time as it is written here."""
        return moment.astimezone(self._zone).isoformat(timespec="milliseconds")

    async def append(self, line: RoutingLine) -> None:
        """Write one line. A full disk costs the line, never the answer."""
        self._count(line)
        data = json.dumps(asdict(line), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            await asyncio.to_thread(self._write, data)
        except OSError as error:
            _log.warning("routing_metrics.failed", reason=error.strerror)

    def _write(self, data: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
