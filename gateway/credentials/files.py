"""The operator's credential files, re-read whenever they change. Formats: reference notes on Claude, Codex, Copilot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from shared.errors import AuthRequired
from shared.json_values import mapping
from shared.oauth.codex import claims_of
from shared.secrets.files import Secret

T = TypeVar("T")

MAX_FILE_BYTES = 1 << 20


def fingerprint(secret: str) -> str:
    """A short name for a secret that says nothing about it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class ClaudeLogin:
    """``claudeAiOauth`` of Claude Code's credential file."""

    access_token: Secret
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CodexLogin:
    """``tokens`` of the Codex command line's ``auth.json``.

    Attributes:
        expires_at: from the token itself; None when it does not say.
    """

    access_token: Secret
    account_id: str
    expires_at: datetime | None


class WatchedFile(Generic[T]):
    """A parsed file that is read again when it is replaced or written to.

    Args:
        path: the file.
        parse: from its text; raises ValueError, KeyError or TypeError when it is not what it should be.
        what: for a person, such as "Claude sign-in".
        fix: the command that mends it.
    """

    def __init__(self, path: Path, parse: Callable[[str], T], *, what: str, fix: str) -> None:
        self._path = path
        self._parse = parse
        self._what = what
        self._fix = fix
        self._stamp: tuple[int, int, int] | None = None
        self._value: T | None = None

    def read(self) -> T:
        """The file's current content.

        Raises:
            AuthRequired: it is missing or unusable; the detail says what to run.
        """
        try:
            info = self._path.stat()
            stamp = (info.st_ino, info.st_mtime_ns, info.st_size)
            if stamp == self._stamp and self._value is not None:
                return self._value
            if info.st_size > MAX_FILE_BYTES:
                raise ValueError("too large")
            value = self._parse(self._path.read_text("utf-8"))
        except FileNotFoundError:
            raise AuthRequired(
                f"no {self._what}: {self._path} does not exist. {self._fix}", code="auth.missing"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            # The error's text may quote the file, which holds a secret.
            raise AuthRequired(
                f"no usable {self._what}: {self._path} cannot be used ({type(error).__name__}). {self._fix}",
                code="auth.unreadable",
            ) from None
        self._stamp, self._value = stamp, value
        return value


def parse_claude(text: str) -> ClaudeLogin:
    """Parse ``.credentials.json``; expiry is in milliseconds there, and a logged-out file has empty strings."""
    login = json.loads(text)["claudeAiOauth"]
    return ClaudeLogin(Secret(_text(login["accessToken"])), datetime.fromtimestamp(login["expiresAt"] / 1000, UTC))


def parse_codex(text: str) -> CodexLogin:
    """Parse ``auth.json``."""
    tokens = json.loads(text)["tokens"]
    access = _text(tokens["access_token"])
    claims = claims_of(access)
    account = tokens.get("account_id") or mapping(claims.get("https://api.openai.com/auth")).get("chatgpt_account_id")
    expiry = claims.get("exp")
    return CodexLogin(
        Secret(access), _text(account), datetime.fromtimestamp(expiry, UTC) if isinstance(expiry, int | float) else None
    )


def parse_github_token(text: str) -> Secret:
    """Parse copilot-api's ``github_token``: the bare token."""
    token = text.strip()
    if any(character.isspace() for character in token):
        raise ValueError("not a token")
    return Secret(_text(token))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.strip() or "\n" in value or "\r" in value:
        raise ValueError("not a token")
    return value
