"""Cloudflare Access at the origin: the signed assertion that its edge adds to every request it lets through.

A further gate in front of token and pairing, never instead of them. Sources: Cloudflare's documentation of application
tokens (RS256, ``kid`` among the team's certificates, audience, issuer), edge notes §1.3 (how long keys are kept).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from openclaw.protocol.handshake import Upgrade, is_in, is_loopback_host
from shared.clock import SYSTEM_CLOCK, Clock
from shared.errors import Denied
from shared.http.client import http_client
from shared.obs.log import get_logger

_log = get_logger(__name__)

ASSERTION_HEADER: Final = "cf-access-jwt-assertion"
KEYS_MAX_AGE_S: Final = 3600.0
REFETCH_S: Final = 60.0
LEEWAY_S: Final = 60.0
_MAX_ASSERTION_CHARS: Final = 16_384
_FETCH_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class AccessPass:
    """A visitor that Access let through.

    Attributes:
        who: e-mail of a person, or the name of a service token.
        expires_at: Unix seconds; an open socket ends then, since the edge does not look at it again.
    """

    who: str
    expires_at: float


class AccessGate:
    """Checks assertions against the team's keys.

    Args:
        team_domain: such as ``example.cloudflareaccess.com``; issuer and key address follow from it.
        audiences: application tags, of which an assertion must name one.
        direct_from: networks whose requests may come without an assertion when nothing forwarded them and ``Host`` is
            loopback, beside this machine itself: the container bridge behind which an SSH forward ends.
        keys_url: where the keys are, if not at the team's own address.
    """

    def __init__(
        self,
        team_domain: str,
        audiences: Sequence[str],
        *,
        direct_from: Sequence[str] = (),
        keys_url: str = "",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._issuer = f"https://{team_domain}"
        self._audiences = frozenset(audiences)
        self._direct_from = direct_from
        self._keys_url = keys_url or f"{self._issuer}/cdn-cgi/access/certs"
        self._clock = clock
        self._keys: dict[str, Any] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._lock = asyncio.Lock()

    def is_needed(self, upgrade: Upgrade) -> bool:
        """Everything needs a pass but what comes from this machine, or straight from a network named for that."""
        if upgrade.local:
            return False
        is_direct = not upgrade.forwarded and is_loopback_host(upgrade.host)
        return not (is_direct and is_in(upgrade.peer, self._direct_from))

    async def check(self, headers: Mapping[str, str]) -> AccessPass:
        """Read and verify the assertion of a request.

        Raises:
            Denied: it is missing, forged, meant for somebody else, or over; or the keys were never to be had.
        """
        assertion = headers.get(ASSERTION_HEADER, "")
        if not assertion:
            raise _denied("missing", "the request did not come through Cloudflare Access")
        if len(assertion) > _MAX_ASSERTION_CHARS:
            raise _denied("malformed", "the Access assertion is too long")
        from joserfc import jwt
        from joserfc.errors import JoseError

        key = await self._key(_key_id(assertion))
        try:
            claims = jwt.decode(assertion, key, algorithms=["RS256"]).claims
        except (JoseError, ValueError, TypeError, KeyError):
            raise _denied("signature", "the Access assertion is not signed by this team") from None
        return self._judge(claims)

    def _judge(self, claims: Mapping[str, Any]) -> AccessPass:
        now = self._clock.now().timestamp()
        audience: Any = claims.get("aud")
        named = {audience} if isinstance(audience, str) else set(audience) if _is_texts(audience) else set()
        if not named & self._audiences:
            raise _denied("audience", "the Access assertion is for another application")
        if claims.get("iss") != self._issuer:
            raise _denied("issuer", "the Access assertion is from another team")
        if claims.get("type") != "app":
            raise _denied("type", "the Access assertion is not one of an application")
        expires_at: Any = claims.get("exp")
        if not _is_time(expires_at) or expires_at + LEEWAY_S < now:
            raise _denied("expired", "the Access assertion is over; sign in again")
        for name in ("nbf", "iat"):
            if name in claims and (not _is_time(claims[name]) or claims[name] - LEEWAY_S > now):
                raise _denied("early", "the Access assertion is not valid yet; is this machine's clock right?")
        return AccessPass(str(claims.get("email") or claims.get("common_name") or claims.get("sub") or ""), expires_at)

    async def _key(self, key_id: str) -> Any:  # noqa: ANN401 - joserfc's key
        now = self._clock.monotonic()
        if key_id not in self._keys or now - self._fetched_at > KEYS_MAX_AGE_S:
            async with self._lock:
                await self._refresh(key_id)
        key = self._keys.get(key_id)
        if key is None:
            reason = "the Access assertion names an unknown key" if self._keys else "Access keys could not be loaded"
            raise _denied("unknown_key" if self._keys else "no_keys", reason)
        return key

    async def _refresh(self, key_id: str) -> None:
        """Load the keys when they are old or one is unknown, at most once a minute; old ones serve on if that fails."""
        now = self._clock.monotonic()
        is_fresh = key_id in self._keys and now - self._fetched_at <= KEYS_MAX_AGE_S
        if is_fresh or now - self._tried_at < REFETCH_S:
            return
        self._tried_at = now
        from joserfc.jwk import KeySet

        try:
            async with http_client(timeout_s=_FETCH_TIMEOUT_S) as http:
                answer = await http.get(self._keys_url)
            answer.raise_for_status()
            keys = KeySet.import_key_set({"keys": answer.json()["keys"]})
            self._keys = {key.kid: key for key in keys.keys if key.kid and key.key_type == "RSA"}
            self._fetched_at = now
        except Exception as error:  # noqa: BLE001 - any failure means the same: serve on with what is known
            _log.warning("access.keys_failed", reason=type(error).__name__, known=len(self._keys))


def _key_id(assertion: str) -> str:
    from joserfc.errors import JoseError
    from joserfc.jws import extract_compact

    try:
        return str(extract_compact(assertion.encode()).headers()["kid"])
    except (JoseError, ValueError, TypeError, KeyError):
        raise _denied("malformed", "the Access assertion cannot be read") from None


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(part, str) for part in value)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _denied(reason: str, words: str) -> Denied:
    return Denied(f"Cloudflare Access: {words}", code=f"access.{reason}")
