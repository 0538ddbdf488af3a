"""How much a model thinks before it answers, in the words each model knows. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from shared.providers.catalog import Model

THINKING_LEVELS: Final[Sequence[str]] = ("off", "minimal", "low", "medium", "high", "xhigh")
"""What a session may be set to; ``off`` leaves it to the model's default. Source: protocol v3, ``sessions.patch``."""

_ONLY: Final[Mapping[str, Mapping[str, str]]] = {
    "gpt-5.1-codex-mini": {"minimal": "medium", "low": "medium", "xhigh": "high"},
    "gpt-5.2": {"minimal": "low"},
    "gpt-5.3": {"minimal": "low"},
    "gpt-5.1": {"minimal": "low", "xhigh": "high"},
    "gpt-5": {"xhigh": "high"},
}
"""By the beginning of a model's name, the first that fits: levels it does not know, and the nearest it does.

Source: the original's clamps (reference §7.5), and that only the first gpt-5 knows ``minimal``.
"""


def effort_of(model: Model, level: str) -> str:
    """The reasoning effort to ask a model for; empty for its default, also when it does not reason."""
    if not model.reasoning or level not in THINKING_LEVELS or level == "off":
        return ""
    clamped = next((known for start, known in _ONLY.items() if model.id.startswith(start)), {})
    return clamped.get(level, level)
