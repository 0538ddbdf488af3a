"""The only redactor: by key name and by the shape of the value.

Applied to log events, tracebacks, audit lines and diagnostics alike. It errs towards hiding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[redacted]"

_SECRET_KEY = re.compile(
    r"(token|secret|password|passwd|api[_-]?key|authorization|cookie|credential|private[_-]?key|signature|"
    r"^code$|^state$|verifier|^key$)",
    re.IGNORECASE,
)
_SAFE_KEYS = frozenset({"input_tokens", "output_tokens", "max_tokens", "tokens", "state", "token_file"})
_ERROR_CODE = re.compile(r"[a-z_]{2,20}(\.[a-z_]{2,30}){0,2}")
_UNMISTAKABLE = r"""
    sk-ant-[A-Za-z0-9_-]{8,}                                       # Anthropic
    | gh[opusr]_[A-Za-z0-9]{16,} | github_pat_[A-Za-z0-9_]{20,}    # GitHub
    | xox[abprs]-[A-Za-z0-9-]{10,} | xapp-[A-Za-z0-9-]{10,}        # Slack
    | AGE-SECRET-KEY-1[A-Z0-9]{50,}
    | -----BEGIN[ ][A-Z ]*PRIVATE[ ]KEY-----
"""
_UNMISTAKABLE_VALUE = re.compile(_UNMISTAKABLE, re.VERBOSE)
# Texts of others come through here, so no pattern may look at a run of characters more than a few times. A value that
# can begin anywhere in a run is therefore looked for once a run, from its beginning, and hidden together with what
# stands before it; a private key's last line may touch what follows it.
_SECRET_VALUE = re.compile(
    r"""
      (?:(?<![^\s;"']) | (?<=PRIVATE[ ]KEY-----))
      (?>[^\s;"']*?tid=) [^\s;"']++ ; [^\s"']++                     # Copilot
    | (?:(?<![A-Za-z0-9_-]) | (?<=PRIVATE[ ]KEY-----))
      (?>[A-Za-z0-9_-]*?eyJ) [A-Za-z0-9_-]{8,}+ \. [A-Za-z0-9_-]{8,}+ \. [A-Za-z0-9_-]*+
      (?:\.[A-Za-z0-9_-]++)*+                                         # JWT
    | """
    + _UNMISTAKABLE
    + r"""
    | sk-[A-Za-z0-9_-]{20,}                                        # OpenAI
    | [A-Za-z0-9_-]{23,28}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}   # Discord bot
    | \b(?:TH|IG)[A-Za-z0-9]{40,}                                  # Threads, Instagram
    """,
    re.VERBOSE,
)
_BEARER = re.compile(r"\b(Bearer|Bot|token)\s++[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE)
_PARAMETER = re.compile(r"[?&#]([^=&#\s]*+)(=?)")
"""The name of a parameter; taken as a whole, also where no value follows, so that its parts are not looked at again."""
_SECRET_PARAMETER = re.compile(r"token|key|secret|code|state|auth|sig", re.IGNORECASE)
_PARAMETER_VALUE = re.compile(r"[^&#\s\"']+")


def _is_error_code(key: str, value: object) -> bool:
    """Our own error codes, ``area.reason``, are in a field of the same name as an OAuth code."""
    return key == "code" and isinstance(value, str) and _ERROR_CODE.fullmatch(value) is not None


def is_secret_name(name: str) -> bool:
    """Whether a key's name says that its value is a secret."""
    return name not in _SAFE_KEYS and _SECRET_KEY.search(name) is not None


def looks_secret(text: str) -> bool:
    """Whether a text holds what can only be a key or token: for refusing, where hiding too much would do harm."""
    return _UNMISTAKABLE_VALUE.search(text) is not None


def redact_text(text: str) -> str:
    """Hide anything in a text that looks like a credential."""
    text = _hide_parameters(text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    return _SECRET_VALUE.sub(HIDDEN, text)


def _hide_parameters(text: str) -> str:
    kept: list[str] = []
    shown_to = at = 0
    while name := _PARAMETER.search(text, at):
        at = name.end()
        if not name[2] or not _SECRET_PARAMETER.search(name[1]):
            continue
        if value := _PARAMETER_VALUE.match(text, at):
            kept += (text[shown_to:at], HIDDEN)
            shown_to = at = value.end()
    return "".join(kept) + text[shown_to:] if kept else text


def redact(value: Any, *, key: str = "") -> Any:  # noqa: ANN401 - any JSON-like value
    """A copy of a JSON-like value with secrets hidden; other objects are shown through `str`."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if key and value and is_secret_name(key) and not _is_error_code(key, value):
        return HIDDEN
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {str(k): redact(v, key=str(k)) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    return redact_text(str(value))
