"""What several audits look for in texts: hidden or planted instructions, and whether the redactor hides secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from shared.obs.redact import redact

_HIDDEN_TEXT: Final = re.compile("[\u200b\u2060\ufeff\u202a-\u202e\u2066-\u2069]|[\U000e0000-\U000e007f]")
_PHRASES: Final = re.compile(
    r"ignore (all |any )?(previous|prior|above) (instructions|rules)|do not tell (the )?(user|owner)"
    r"|you are now (in )?(developer|jailbreak)|[A-Za-z0-9+/]{400,}={0,2}",
    re.IGNORECASE,
)
_CANARIES: Final = (
    "sk-ant-" + "canary" * 4,
    "ghp_" + "canary" * 5,
    "eyJ" + "c" * 12 + "." + "d" * 12 + ".e",
    "xoxb-" + "1" * 12,
)


def planted(places: Iterable[Path]) -> Iterator[str]:
    """What in these texts looks as if somebody hid instructions in it, a sentence each."""
    for place in places:
        text = place.read_text(encoding="utf-8", errors="replace")
        if _HIDDEN_TEXT.search(text.lstrip("\ufeff")):
            yield f"{place} has invisible characters"
        if match := _PHRASES.search(text):
            yield f"{place}: {match[0][:40]!r}"


def shown_canaries() -> Iterator[str]:
    """Kinds of secret that the redactor would let through, as values, in texts or in addresses."""
    for secret in _CANARIES:
        shown = str(redact({"text": f"a {secret} b", "token": secret, "url": f"https://x.example/?token={secret}"}))
        if secret in shown:
            yield f"a {secret[:4]}… would be shown"
