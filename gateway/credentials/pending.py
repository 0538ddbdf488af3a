"""Logins in progress: 0600 files that live ten minutes.

A login may so be begun in one process and ended in another, as when its paste comes through a pipe.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

from shared.clock import Clock
from shared.errors import NotFound
from shared.ids import parse_name
from shared.oauth.models import PendingLogin
from shared.secrets.files import Secret, write_private


class PendingLogins:
    """At most one for each provider and tenant; a new one replaces it.

    Args:
        folder: private to the gateway.
        clock: for expiry.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def put(self, tenant: str, pending: PendingLogin) -> None:
        """Keep a login in progress."""
        fields = {
            "provider": pending.provider,
            "url": pending.url,
            "instructions": pending.instructions,
            "state": pending.state,
            "verifier": pending.verifier.reveal() if pending.verifier else None,
            "expires_at": pending.expires_at.isoformat(),
            "device_code": pending.device_code.reveal() if pending.device_code else None,
            "user_code": pending.user_code,
            "interval_s": pending.interval_s,
        }
        write_private(self._path(tenant, pending.provider), json.dumps(fields))

    def get(self, tenant: str, provider: str, *, again: str) -> PendingLogin:
        """The login in progress.

        Raises:
            NotFound: there is none, or it took longer than its ten minutes.
        """
        path = self._path(tenant, provider)
        try:
            fields = json.loads(path.read_text("utf-8"))
            for name in ("verifier", "device_code"):
                fields[name] = Secret(fields[name]) if fields[name] else None
            pending = PendingLogin(**(fields | {"expires_at": datetime.fromisoformat(fields["expires_at"])}))
        except FileNotFoundError:
            raise NotFound(
                f"no {provider} login is in progress. Start one with: {again}", code="auth.no_login"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            path.unlink(missing_ok=True)
            raise NotFound(
                f"the {provider} login in progress cannot be read. Start anew with: {again}", code="auth.no_login"
            ) from None
        if self._clock.now() >= pending.expires_at:
            path.unlink(missing_ok=True)
            raise NotFound(f"the {provider} login took too long. Start anew with: {again}", code="auth.no_login")
        return pending

    def drop(self, tenant: str, provider: str) -> None:
        """Forget it."""
        self._path(tenant, provider).unlink(missing_ok=True)

    def _path(self, tenant: str, provider: str) -> Path:
        return self._folder / f".{parse_name('tenant', tenant)}.{parse_name('provider', provider)}.login"
