"""Which of the provider's models a caller means.

Anthropic spells versions with dashes and a date (``claude-sonnet-4-5-20250929``), Copilot with dots
(``claude-sonnet-4.5``). Cutting everything behind the first number would turn 4.5 into 4.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_DATE = re.compile(r"-(20\d{6}|latest)$")
_CONTEXT = re.compile(r"\[\w+\]$")
_DASHED = re.compile(r"^(claude-(?:[a-z]+-)?)(\d+)-(\d{1,2})(?=-|$)")
_OLD_ORDER = re.compile(r"^claude-(\d+(?:\.\d+)?)-([a-z]+)(.*)$")
_PREFIXES = ("github-copilot/", "copilot/")
_PREVIEW = "-preview"


def copilot_model(asked: str, known: Collection[str] = ()) -> str:
    """The id Copilot knows a model by.

    Args:
        asked: as the caller spells it.
        known: ids Copilot lists; without them the spelling alone decides.

    Returns:
        A known id where one fits, else the likeliest spelling; Copilot then says itself that it has none such.
    """
    name = asked.strip()
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    spellings = _spellings(name)
    return next((spelling for spelling in spellings if spelling in known), spellings[-1])


def _spellings(name: str) -> list[str]:
    """Ways to write it, the caller's own first, the best guess last."""
    if not name.startswith("claude-"):
        return [f"{name}{_PREVIEW}", name] if name.startswith("gemini-") else [name]
    plain = _DATE.sub("", _CONTEXT.sub("", name))
    dotted = _DASHED.sub(r"\1\2.\3", plain)
    # 4.0 is written without its zero; and once the number came before the family: claude-3-7-sonnet.
    guess = re.sub(r"(\d)\.0$", r"\1", dotted)
    swapped = _OLD_ORDER.sub(r"claude-\2-\1\3", dotted)
    return [name, plain, dotted, swapped, guess]
