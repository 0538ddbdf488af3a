"""What a person pastes back from a browser: ``code#state``, a redirect URL, its query, or a bare code."""

from __future__ import annotations

import re
import secrets
from urllib.parse import parse_qs, urlsplit

from shared.errors import Invalid
from shared.oauth.models import LoginNeeded

_MAX_CHARS = 8192
_CODE = re.compile(r"[A-Za-z0-9._~+/=%-]{4,4096}")


def parse_pasted(text: str, *, state: str, again: str) -> str:
    """The authorization code in what was pasted.

    A bare code is accepted without a state: the proof key of the login ties it to us all the same.

    Args:
        text: what was pasted; line breaks and quotes that terminals add are forgiven.
        state: of the login in progress.
        again: the command that starts the login anew, for messages.

    Raises:
        Invalid: it is none of the four forms, or its state is another login's; nothing was sent.
        LoginNeeded: the page said no, such as ``error=access_denied``.
    """
    clean = re.sub(r"\s+", "", text).strip("\"'<>`")
    if not clean:
        raise Invalid("nothing was pasted: paste the code or the address the browser ended on", code="auth.paste")
    if len(clean) > _MAX_CHARS:
        raise Invalid(f"what was pasted is longer than {_MAX_CHARS} characters and no code", code="auth.paste")
    code, returned = _fields(clean, again)
    if returned is not None and not secrets.compare_digest(returned.encode(), state.encode()):
        raise Invalid(
            "what was pasted belongs to another login (its state differs): open the address shown last and paste "
            f"what that page gives, or start anew with `{again}`",
            code="auth.state",
        )
    if not _CODE.fullmatch(code):
        raise Invalid(
            "no authorization code in what was pasted: paste the code the page shows, or the whole address the "
            "browser ended on, even if that page did not load",
            code="auth.paste",
        )
    return code


def _fields(clean: str, again: str) -> tuple[str, str | None]:
    """Code and, where there is one, state."""
    if "=" in clean and ("://" in clean or clean.startswith(("code=", "state=", "error=", "?"))):
        parts = urlsplit(clean) if "://" in clean else None
        query = parse_qs(parts.query if parts else clean.lstrip("?").partition("#")[0])
        if parts is not None and not query:
            query = parse_qs(parts.fragment)
        if refused := query.get("error"):
            _refused(refused[0], query.get("error_description", [""])[0], again)
        code = query.get("code", [""])[0].partition("#")[0]
        return code, query.get("state", [""])[0]
    code, mark, returned = clean.partition("#")
    return code, returned if mark else None


def _refused(error: str, description: str, again: str) -> None:
    error = re.sub(r"[^a-z0-9_.-]", "", error.lower())[:60]
    if error == "access_denied":
        why = "the login was refused in the browser (access_denied)"
    else:
        shown = re.sub(r"[^\w .,:;()-]", "", description)[:120]
        why = f"the login page answered {error or 'an error'}" + (f": {shown}" if shown else "")
    raise LoginNeeded(f"{why}. Nothing was changed; start anew with `{again}`", code="auth.refused")
