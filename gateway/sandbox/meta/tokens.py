"""Apps, people, codes and tokens of the two networks, as far as signing in goes."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from shared.clock import Clock

Network = Literal["threads", "instagram"]

CODE_LIFETIME = timedelta(hours=1)
SHORT_LIFETIME = timedelta(hours=1)
LONG_LIFETIME = timedelta(seconds=5_183_944)
YOUNGEST = timedelta(hours=24)
_PREFIX: dict[Network, str] = {"threads": "TH", "instagram": "IG"}


@dataclass(frozen=True, slots=True)
class App:
    """One registered app."""

    app_id: str
    secret: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Account:
    """The one person of a network. The id is larger than a float holds exactly, as real ones are."""

    user_id: int
    username: str


ACCOUNTS: dict[Network, Account] = {
    "threads": Account(20_000_000_000_000_003, "sandbox.threads"),
    "instagram": Account(30_000_000_000_000_005, "sandbox.insta"),
}


@dataclass(slots=True)
class Grant:
    """One token.

    Attributes:
        generated: it came from the dashboard's generator and cannot be exchanged.
    """

    network: Network
    value: str
    app_id: str
    scopes: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    long: bool
    generated: bool = False
    revoked: bool = False


@dataclass(slots=True)
class _Code:
    app: App
    redirect_uri: str
    scopes: tuple[str, ...]
    expires_at: datetime


class MetaTokens:
    """What was handed out and what became of it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.apps: dict[Network, dict[str, App]] = {"threads": {}, "instagram": {}}
        self._codes: dict[tuple[Network, str], _Code] = {}
        self._grants: dict[str, Grant] = {}

    @property
    def now(self) -> datetime:
        """The emulators' time."""
        return self._clock.now()

    def register(self, network: Network, app: App) -> None:
        """Let an app sign people in."""
        self.apps[network][app.app_id] = app

    def issue_code(self, network: Network, app: App, scopes: tuple[str, ...]) -> str:
        """What the authorization page appends to the redirect address."""
        code = f"AQ{secrets.token_urlsafe(30)}"
        self._codes[network, code] = _Code(app, app.redirect_uri, scopes, self.now + CODE_LIFETIME)
        return code

    def redeem(self, network: Network, code: str, app: App, redirect_uri: str) -> tuple[str, ...] | None:
        """The scopes of a code, which is used up by this; None when it does not count."""
        found = self._codes.get((network, code))
        if found is None or found.app != app or found.redirect_uri != redirect_uri or self.now >= found.expires_at:
            return None
        del self._codes[network, code]
        return found.scopes

    def issue(
        self, network: Network, app_id: str, scopes: tuple[str, ...], *, long: bool, generated: bool = False
    ) -> Grant:
        """A new token."""
        value = f"{_PREFIX[network]}AA{secrets.token_hex(40)}"
        lifetime = LONG_LIFETIME if long else SHORT_LIFETIME
        grant = Grant(network, value, app_id, scopes, self.now, self.now + lifetime, long, generated)
        self._grants[value] = grant
        return grant

    def find(self, network: Network, value: str) -> Grant | None:
        """A token, whatever its state."""
        grant = self._grants.get(value)
        return grant if grant is not None and grant.network == network else None

    def revoke(self, value: str) -> None:
        """Let a token no longer count."""
        if grant := self._grants.get(value):
            grant.revoked = True

    def dump(self) -> list[dict[str, Any]]:
        """What a later `restore` needs; apps and codes under way are not part of it."""
        moments = ("issued_at", "expires_at")
        return [
            asdict(grant) | {name: getattr(grant, name).isoformat() for name in moments}
            for grant in self._grants.values()
        ]

    def restore(self, rows: list[dict[str, Any]]) -> None:
        """Remember what an earlier world handed out."""
        for row in rows:
            moments = {name: datetime.fromisoformat(row[name]) for name in ("issued_at", "expires_at")}
            grant = Grant(**{**row, **moments, "scopes": tuple(row["scopes"])})
            self._grants[grant.value] = grant
