"""What people choose for one conversation with a command: queue, thinking, activation. Kept with its session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from openclaw.agent.thinking import THINKING_LEVELS
from openclaw.queueing import QUEUE_MODES
from openclaw.sessions import Sessions

ACTIVATIONS: Final[Sequence[str]] = ("always", "mention")
_CLEAR: Final = frozenset({"default", "inherit"})


@dataclass(frozen=True, slots=True)
class Choice:
    """Something that can be chosen.

    Attributes:
        setting: its name among the session's settings.
        allowed: values.
        words: what it is, as the beginning of a sentence.
    """

    setting: str
    allowed: Sequence[str]
    words: str


CHOICES: Final = {
    "queue": Choice("queueMode", QUEUE_MODES, "Words that come while I work are treated as"),
    "think": Choice("thinkingLevel", THINKING_LEVELS, "The model's thinking here is set to"),
    "activation": Choice("activation", ACTIVATIONS, "In this channel I answer to"),
}
"""By command."""


def activation_of(sessions: Sessions, key: str) -> str:
    """What was chosen about mentions in a conversation; empty for the policy's rule."""
    row = sessions.get(key)
    return str(row.settings.get("activation", "")) if row is not None else ""


async def choose(sessions: Sessions, key: str, command: str, wanted: str, by_policy: str) -> str:
    """Show a choice of a session, or make it; returns what the person is told.

    Args:
        sessions: keep it.
        key: the session.
        command: of `CHOICES`.
        wanted: what was written behind the command.
        by_policy: what holds where nothing is chosen.
    """
    choice = CHOICES[command]
    value = wanted.lower()
    others = ", ".join(f"`{one}`" for one in choice.allowed)
    if value and value not in choice.allowed and value not in _CLEAR:
        return f"I do not know `{value[:40]}`: choose one of {others}, or `default`."
    if value:
        await sessions.patch(key, {choice.setting: None if value in _CLEAR else value})
    row = sessions.get(key)
    own = row.settings.get(choice.setting) if row is not None else None
    shown = f"`{own}`" if own else f"what the policy says ({by_policy})"
    if value:
        return f"Done. {choice.words} {shown}."
    return f"{choice.words} {shown}. `/{command}` takes {others} or `default`."
