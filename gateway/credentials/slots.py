"""Where one credential lives: Claude's own file in Claude's own format, or an entry of the store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Hashable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from gateway.credentials.codec import decode_token, encode_token
from gateway.credentials.files import MAX_FILE_BYTES
from gateway.credentials.store import CredentialStore
from shared.clock import Clock, unix_ms
from shared.errors import Unavailable
from shared.oauth.models import Token
from shared.secrets.files import Secret, write_private

_LOOK_AGAIN_S = 3.0
_LOGIN_KEY = "claudeAiOauth"


class Slot(Protocol):
    """One credential's place. Writers hold the lease on `lock`."""

    @property
    def place(self) -> str:
        """For a person."""
        ...

    @property
    def lock(self) -> Path:
        """The lease's file, beside the credential, the same for every process that shares it."""
        ...

    @property
    def journal(self) -> Path:
        """The write-ahead file, beside the credential."""
        ...

    def stamp(self) -> Hashable:
        """Changes when the content may have; cheap."""
        ...

    async def load(self) -> Token | None:
        """What is stored; None when nobody is signed in.

        Raises:
            Unavailable: it cannot be read or makes no sense; it is left as it is.
        """
        ...

    async def save(self, token: Token) -> None:
        """Replace it in one step.

        Raises:
            OSError: it could not be written; the old one is whole.
            Unavailable: what is there cannot be understood, and is left as it is.
        """
        ...

    async def clear(self) -> None:
        """Forget it."""
        ...


class ClaudeFileSlot:
    """``claudeAiOauth`` in Claude Code's ``.credentials.json``, whose other members survive every write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        """The file."""
        return str(self._path)

    @property
    def lock(self) -> Path:
        """Not ``<file>.lock``: other programs make a folder of that name."""
        return self._path.with_name(f"{self._path.name}.clawgate-lock")

    @property
    def journal(self) -> Path:
        """Beside the file, so that every installation that shares the file finds it."""
        return self._path.with_name(f"{self._path.name}.clawgate-journal")

    def stamp(self) -> Hashable:
        """The file's identity, time and size."""
        try:
            info = self._path.stat()
        except OSError:
            return None
        return info.st_ino, info.st_mtime_ns, info.st_size

    async def load(self) -> Token | None:
        """Parse the file; a logged-out one has empty texts and counts as nobody being signed in."""
        document = await asyncio.to_thread(self._document)
        return None if document is None else claude_token(document.get(_LOGIN_KEY), place=self.place)

    async def save(self, token: Token) -> None:
        """Write our members into what is there now."""
        await asyncio.to_thread(self._merge, token)

    async def clear(self) -> None:
        """Take the login out; the rest stays."""
        await asyncio.to_thread(self._merge, None)

    def _merge(self, token: Token | None) -> None:
        document = self._document() or {}
        before = document.get(_LOGIN_KEY)
        if token is None:
            document.pop(_LOGIN_KEY, None)
        else:
            document[_LOGIN_KEY] = {**(before if isinstance(before, dict) else {}), **claude_fields(token)}
        # A link is kept a link: the real file is replaced.
        write_private(self._path.resolve(), json.dumps(document, indent=2))

    def _document(self) -> dict[str, Any] | None:
        try:
            if self._path.stat().st_size > MAX_FILE_BYTES:
                raise ValueError("too large")
            document = json.loads(self._path.read_text("utf-8"))
            if not isinstance(document, dict):
                raise TypeError("not an object")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, RecursionError) as error:
            raise Unavailable(
                f"{self._path} cannot be used ({type(error).__name__}) and was left as it is: mend or remove it, then "
                "run `clawgate auth login claude`",
                code="auth.unreadable",
                retryable=False,
            ) from None
        return document


def claude_token(login: object, *, place: str) -> Token | None:
    """A token from ``claudeAiOauth``; expiry is in milliseconds there.

    Raises:
        Unavailable: it is neither a login nor an empty one.
    """
    if not isinstance(login, dict) or not login.get("accessToken"):
        return None
    try:
        access, refresh = _word(login["accessToken"]), login.get("refreshToken")
        scopes = login.get("scopes")
        extra = {
            name: str(login[key])
            for name, key in (("plan", "subscriptionType"), ("tier", "rateLimitTier"))
            if isinstance(login.get(key), str)
        }
        return Token(
            access=Secret(access),
            refresh=Secret(_word(refresh)) if refresh else None,
            expires_at=datetime.fromtimestamp(float(login["expiresAt"]) / 1000, UTC),
            scopes=tuple(str(scope) for scope in scopes) if isinstance(scopes, list) else (),
            extra=extra,
        )
    except (ValueError, KeyError, TypeError, OverflowError, OSError) as error:
        raise Unavailable(
            f"{place}: {_LOGIN_KEY} makes no sense ({type(error).__name__}) and was left as it is. "
            "Run: clawgate auth login claude",
            code="auth.unreadable",
            retryable=False,
        ) from None


def claude_fields(token: Token) -> dict[str, Any]:
    """Claude's members for a token; what we do not know of is not among them and survives."""
    fields: dict[str, Any] = {
        "accessToken": token.access.reveal(),
        "refreshToken": token.refresh.reveal() if token.refresh else "",
        "expiresAt": unix_ms(token.expires_at) if token.expires_at else 0,
        "scopes": list(token.scopes),
    }
    if plan := token.extra.get("plan"):
        fields["subscriptionType"] = plan
    return fields


class StoreSlot:
    """An entry of the store.

    Args:
        store: keeps it.
        tenant: whose it is.
        name: the provider's.
        folder: for lease and journal; private to the gateway.
        clock: says when to look whether another process has written.
    """

    def __init__(self, store: CredentialStore, tenant: str, name: str, *, folder: Path, clock: Clock) -> None:
        self._store = store
        self._tenant = tenant
        self._name = name
        self._folder = folder
        self._clock = clock

    @property
    def place(self) -> str:
        """The store's entry."""
        return f"vault:{self._tenant}/{self._name}"

    @property
    def lock(self) -> Path:
        """In the gateway's folder."""
        return self._folder / f".{self._tenant}.{self._name}.lock"

    @property
    def journal(self) -> Path:
        """In the gateway's folder."""
        return self._folder / f".{self._tenant}.{self._name}.journal"

    def stamp(self) -> Hashable:
        """A new one every few seconds: a store does not tell when it changed."""
        return int(self._clock.monotonic() / _LOOK_AGAIN_S)

    async def load(self) -> Token | None:
        """Ask the store."""
        data = await self._store.get(self._tenant, self._name)
        return None if data is None else decode_token(data, where=self.place)

    async def save(self, token: Token) -> None:
        """Give it to the store."""
        await self._store.put(self._tenant, self._name, encode_token(token))

    async def clear(self) -> None:
        """Let the store forget it."""
        await self._store.delete(self._tenant, self._name)


def _word(value: object) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("not a token")
    return value
