"""What a command printed, as a model may read it: bounded, without terminal controls and credentials."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from shared.containment.models import Outcome
from shared.obs.redact import redact_text

STDOUT_CHARS: Final = 24_000
STDERR_CHARS: Final = 6_000
_TAIL_SHARE: Final = 4
_TERMINAL = re.compile(
    r"""
    \x1b\[ [0-?]* [ -/]* [@-~]              # CSI: colours, cursor
    | \x1b[\]PX^_] [^\x07\x1b\x9c]* (?:\x07|\x1b\\|\x9c)?   # OSC, DCS and the like, with their text
    | \x1b [ -/]* [0-~]                     # other escapes
    | \x9b [0-?]* [ -/]* [@-~]              # CSI in one character
    """,
    re.VERBOSE,
)
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_output(data: bytes) -> str:
    """Text of a stream: invalid UTF-8 replaced, terminal sequences and controls gone, credentials hidden."""
    text = _TERMINAL.sub("", data.decode("utf-8", "replace").replace("\r\n", "\n"))
    kept = (c for c in text if c in "\n\t" or not (unicodedata.category(c) == "Cc" or c in _DIRECTION))
    return redact_text("".join(kept))


def bounded(text: str, limit: int) -> str:
    """The beginning and the end of a long text, with a note in between."""
    if len(text) <= limit:
        return text
    tail = limit // _TAIL_SHARE
    return f"{text[: limit - tail]}\n[… {len(text) - limit} characters left out …]\n{text[-tail:]}"


def result_text(outcome: Outcome) -> str:
    """How a command ended, and what it printed."""
    lines = [f"exit code {outcome.exit_code} after {outcome.duration_s:.1f} s"]
    if outcome.problem:
        lines.append(f"problem: {outcome.problem}")
    elif outcome.timed_out:
        lines.append("problem: it was stopped because its time was over")
    if outcome.left_over:
        lines.append(f"{outcome.left_over} process(es) that it left behind were ended")
    if outcome.dropped_bytes:
        lines.append(f"{outcome.dropped_bytes} bytes of output were dropped")
    stdout = bounded(clean_output(outcome.stdout).rstrip("\n"), STDOUT_CHARS)
    stderr = bounded(clean_output(outcome.stderr).rstrip("\n"), STDERR_CHARS)
    if stdout:
        lines += ["", stdout]
    if stderr:
        lines += ["", "standard error:", stderr]
    if not stdout and not stderr:
        lines.append("it printed nothing")
    return "\n".join(lines)
