"""The turn in which an agent notes what it must not forget, before its conversation is shortened. Pure.

Source: OpenClaw 2026.2.26, which does it once for each compaction, 4,000 tokens ahead of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from openclaw.transcript import COMPACTION, Entry

AHEAD_TOKENS: Final = 4000
MARK: Final = "memoryFlush"
ASKED: Final = (
    "[System event, not written by a person] This conversation will soon be shortened. Write what must not be lost "
    "(decisions, names, numbers, open work) into memory/{day}.md with the write or edit tool, beside what it holds "
    "already. Then answer NO_REPLY, also when there is nothing to keep. Nobody reads this turn."
)


def is_nearly_full(context_tokens: int, room_tokens: int) -> bool:
    """Whether a conversation will soon be shortened.

    Args:
        context_tokens: what the last call of a model read.
        room_tokens: where compaction begins.
    """
    return context_tokens >= room_tokens - AHEAD_TOKENS


def has_flushed(entries: Sequence[Entry]) -> bool:
    """Whether the end of a transcript holds such a turn since its last summary."""
    for entry in reversed(entries):
        if is_flush(entry.message):
            return True
        if entry.role == COMPACTION:
            break
    return False


def is_flush(message: dict[str, Any]) -> bool:
    """Whether a message belongs to such a turn."""
    return message.get(MARK) is True
