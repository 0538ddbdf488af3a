"""Who began a request and whether it shows pictures: the two facts of a body that GitHub bills and routes by.

A request counts as the person's only when its last turn is a person's and holds more than tool results and the
reminders that an agent's program adds by itself. Source: reference notes on X-Initiator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

Initiator = Literal["user", "agent"]

_REMINDER, _REMINDER_END = "<system-reminder>", "</system-reminder>"
_TEXTS = {"text", "input_text"}
_PICTURES = {"image_url", "input_image", "image"}


def initiator_of(body: Mapping[str, Any]) -> Initiator:
    """Who began it, for chat completions, Messages and Responses requests alike."""
    turns = list(_turns(body))
    if not turns:
        return "user"
    last = turns[-1]
    role = last.get("role")
    if role is None:
        # A Responses item: a message is the only kind with a role; all others are the agent's own doings.
        return "agent"
    if role != "user":
        return "agent"
    content = last.get("content")
    if not isinstance(content, list):
        return "user"
    results = any(isinstance(part, dict) and part.get("type") == "tool_result" for part in content)
    if not results:
        return "user"
    return "user" if any(_is_the_persons(part) for part in content) else "agent"


def shows_pictures(body: Mapping[str, Any]) -> bool:
    """Whether any turn, or any tool's result in one, holds a picture."""
    return any(_has_picture(turn.get("content")) or _has_picture(turn.get("output")) for turn in _turns(body))


def _turns(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for name in ("messages", "input"):
        turns = body.get(name)
        if isinstance(turns, list):
            yield from (turn for turn in turns if isinstance(turn, dict))


def _is_the_persons(part: object) -> bool:
    if not isinstance(part, dict) or part.get("type") == "tool_result":
        return False
    if part.get("type") in _TEXTS:
        return not _is_reminders(str(part.get("text", "")))
    return True


def _is_reminders(text: str) -> bool:
    """Whether a text is empty or nothing but reminders; each ends at the next end tag."""
    at = 0
    while (begin := text.find(_REMINDER, at)) >= 0:
        end = text.find(_REMINDER_END, begin)
        if end < 0 or text[at:begin].strip():
            return False
        at = end + len(_REMINDER_END)
    return not text[at:].strip()


def _has_picture(content: object) -> bool:
    if not isinstance(content, list):
        return False
    return any(
        isinstance(part, dict)
        and (part.get("type") in _PICTURES or (part.get("type") == "tool_result" and _has_picture(part.get("content"))))
        for part in content
    )
