"""Credentials the emulators hand out, and what became of them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from shared.clock import Clock

TokenKind = Literal[
    "claude_access", "claude_refresh", "claude_key", "codex_access", "codex_refresh", "github", "copilot"
]

ACCOUNT_ID = "sandbox-account"
EMAIL = "owner@sandbox.invalid"


@dataclass(slots=True)
class Issued:
    """One credential.

    Attributes:
        spent: a rotating refresh token that has been used.
    """

    kind: TokenKind
    value: str
    expires_at: datetime
    revoked: bool = False
    spent: bool = False


class Tokens:
    """All credentials of the offline world."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issued: dict[str, Issued] = {}
        self._codes: dict[str, str] = {}

    def issue(self, kind: TokenKind, *, lifetime: timedelta) -> Issued:
        """A new credential, spelled as the real one is."""
        expires_at = self._clock.now() + lifetime
        issued = Issued(kind, _spell(kind, expires_at, self._clock.now()), expires_at)
        self._issued[issued.value] = issued
        return issued

    def valid(self, value: str, kind: TokenKind) -> Issued | None:
        """The credential, when it is of that kind and still counts."""
        issued = self._issued.get(value)
        if issued is None or issued.kind != kind or issued.revoked or issued.spent:
            return None
        return issued if self._clock.now() < issued.expires_at else None

    def known(self, value: str) -> Issued | None:
        """The credential, whatever its state."""
        return self._issued.get(value)

    def revoke(self, value: str) -> None:
        """Let a credential no longer count."""
        if issued := self._issued.get(value):
            issued.revoked = True

    def revoke_all(self, kind: TokenKind) -> int:
        """Revoke every credential of a kind and say how many that were."""
        found = [issued for issued in self._issued.values() if issued.kind == kind and not issued.revoked]
        for issued in found:
            issued.revoked = True
        return len(found)

    def issue_code(self, challenge: str) -> str:
        """An authorization code, as the login page gives one out.

        Args:
            challenge: the S256 code challenge of the login.
        """
        code = secrets.token_urlsafe(24)
        self._codes[code] = challenge
        return code

    def redeem_code(self, code: str, verifier: str) -> bool:
        """Use up an authorization code; false when it is unknown or the verifier does not belong to it."""
        challenge = self._codes.pop(code, None)
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        return challenge is not None and secrets.compare_digest(challenge, digest)

    def dump(self) -> list[dict[str, Any]]:
        """What a later `restore` needs; codes under way are not part of it."""
        return [asdict(issued) | {"expires_at": issued.expires_at.isoformat()} for issued in self._issued.values()]

    def restore(self, rows: list[dict[str, Any]]) -> None:
        """Remember what an earlier world handed out."""
        for row in rows:
            issued = Issued(**{**row, "expires_at": datetime.fromisoformat(row["expires_at"])})
            self._issued[issued.value] = issued

    @property
    def now(self) -> datetime:
        """The emulators' time."""
        return self._clock.now()


def _spell(kind: TokenKind, expires_at: datetime, now: datetime) -> str:
    random = secrets.token_urlsafe(48)
    match kind:
        case "claude_access":
            return f"sk-ant-oat01-{random}"
        case "claude_refresh":
            return f"sk-ant-ort01-{random}"
        case "claude_key":
            return f"sk-ant-api03-{random}"
        case "codex_refresh":
            return f"rt_{random}"
        case "github":
            return f"ghu_{secrets.token_hex(18)}"
        case "copilot":
            expiry = int(expires_at.timestamp())
            return f"tid={secrets.token_hex(8)};exp={expiry};sku=sandbox;chat=1:{secrets.token_hex(16)}"
        case "codex_access":
            moments = {"iat": int(now.timestamp()), "exp": int(expires_at.timestamp())}
            return jwt({**moments, "jti": secrets.token_hex(8)})


def jwt(claims: dict[str, Any]) -> str:
    """A token in the form OpenAI's has; its signature is random, as nobody here checks it."""
    full = {
        "iss": "https://auth.openai.com",
        "https://api.openai.com/profile": {"email": EMAIL},
        "https://api.openai.com/auth": {"chatgpt_account_id": ACCOUNT_ID, "chatgpt_plan_type": "plus"},
        **claims,
    }
    parts = [{"alg": "RS256", "typ": "JWT"}, full]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, secrets.token_urlsafe(32)])
