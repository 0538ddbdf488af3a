"""An original's transcript in our form: what people and the agent said to each other; pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

RUN_ID: Final = "import"
_SAID: Final = frozenset({"user", "assistant"})


@dataclass(frozen=True, slots=True)
class Conversation:
    """A transcript that was read.

    Attributes:
        lines: of our file, the header first.
        said: messages that are kept.
        left_out: steps of tools, pictures and notes, which only the original's agent could go on from.
    """

    lines: tuple[str, ...]
    said: int
    left_out: int


def convert(lines: Iterable[str], session_id: str, now: datetime) -> Conversation:
    """Keep the words of both sides in their order; half a line at the end is cut off."""
    out = [_dump({"type": "session", "version": 1, "id": session_id, "timestamp": now.isoformat()})]
    parent: str | None = None
    said = left_out = 0
    for record in _records(lines):
        kind = record.get("type")
        if kind == "session":
            continue
        message = record.get("message") if kind == "message" else None
        text = _text(message) if isinstance(message, dict) else ""
        if not isinstance(message, dict) or message.get("role") not in _SAID or not text:
            left_out += 1
            continue
        said += 1
        entry_id = f"imported{said:08d}"
        at = _time(record.get("timestamp")) or _time(message.get("timestamp")) or now
        kept = {
            "role": message["role"],
            "content": [{"type": "text", "text": text}],
            "timestamp": int(at.timestamp() * 1000),
        }
        entry = {"type": "message", "id": entry_id, "parentId": parent, "timestamp": at.isoformat(), "runId": RUN_ID}
        out.append(_dump({**entry, "message": kept}))
        parent = entry_id
    return Conversation(tuple(out), said, left_out)


def _records(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield record


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))


def _time(value: Any) -> datetime | None:  # noqa: ANN401 - not checked yet
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        at = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _dump(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
