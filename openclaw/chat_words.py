"""The commands of a chat as they are written: names, what they are for, and how a text is read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CHAT_COMMANDS: Final[dict[str, str]] = {
    "help": "Show what I can do here",
    "commands": "List all commands",
    "status": "Show how I am doing and what this conversation uses",
    "whoami": "Show who you are to me",
    "new": "Begin a new conversation here",
    "reset": "Begin a new conversation here",
    "stop": "Stop what is running here",
    "model": "Show which models answer, or choose one for this conversation",
    "models": "List the models",
    "usage": "Show what this conversation has used",
    "queue": "Show what waits here, or choose what becomes of words that come while I work",
    "think": "Show or choose how much the model thinks: off, minimal, low, medium, high, xhigh",
    "activation": "Show or choose when I answer here: always, or mention",
    "compact": "Replace the beginning of this conversation by a summary",
    "approve": "Decide about a command: <id> allow, always or deny",
}
"""Name → description; each works as a slash command of Discord and as text. Source of the names: OpenClaw 2026.2.26."""

_WITH_WORD: Final = frozenset({"queue", "think", "activation"})
_WORDS: Final = {"stop": "stop", "abort": "stop", "/abort": "stop"}
"""What means a command although it is not written as one of them."""
IN_ORDER: Final = frozenset({"new", "reset", "compact"})
"""Commands that wait for what was written before them; all others are carried out at once."""


@dataclass(frozen=True, slots=True)
class ChatCommand:
    """A command as somebody gave it."""

    name: str
    rest: str = ""


def read_chat_command(text: str) -> ChatCommand | None:
    """The command of a message; None when it is something else."""
    stripped = text.strip()
    if (word := _WORDS.get(stripped.lower())) is not None:
        return ChatCommand(word)
    head, _, rest = stripped.partition(" ")
    name = head.removeprefix("/").lower()
    if not head.startswith("/") or name not in CHAT_COMMANDS:
        return None
    words = rest.split()
    if len(words) > (1 if name in _WITH_WORD else 0) and name not in ("approve", "model"):
        return None  # a sentence that begins like one
    return ChatCommand(name, rest.strip())
