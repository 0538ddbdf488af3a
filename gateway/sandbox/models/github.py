"""GitHub: device flow, the exchange of a Copilot token, and the account. Source: reference notes on copilot-api."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from gateway.sandbox.models.consent import DECISION, page, refused
from gateway.sandbox.models.tokens import Tokens
from gateway.sandbox.models.wire import Emulator, Operation, Reply, Request
from shared.errors import NotFound

GITHUB_LIFETIME = timedelta(days=3650)
COPILOT_LIFETIME = timedelta(minutes=30)
_CODE_LIFETIME = timedelta(seconds=900)
_INTERVAL_S = 5
_SLOWER_S = 5
_CLIENT_ID = "Iv1.b507a08c87ecfe98"
_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass(slots=True)
class _Device:
    device_code: str
    user_code: str
    expires_at: datetime
    interval_s: int = _INTERVAL_S
    polled_at: datetime | None = None
    decision: Literal["pending", "approved", "denied"] = "pending"


class DeviceFlow:
    """Sign-ins that wait for a person."""

    def __init__(self, tokens: Tokens, verification_uri: str) -> None:
        self._tokens = tokens
        self._verification_uri = verification_uri
        self._devices: dict[str, _Device] = {}

    def decide(self, user_code: str, *, approved: bool) -> None:
        """What the person said on the verification page.

        Raises:
            NotFound: no such code.
        """
        for device in self._devices.values():
            if device.user_code == user_code:
                device.decision = "approved" if approved else "denied"
                return
        raise NotFound(f"no sign-in waits for code {user_code}")

    async def page(self, _request: Request) -> Reply:
        """``GET /login/device``: the person types the code."""
        return page(
            "Emulated GitHub",
            '<p>Type the code that your terminal shows.</p><form method="post">'
            '<p><input name="user_code" autofocus autocomplete="off" size="12" aria-label="Code"></p>'
            f'<button name="{DECISION}" value="allow">Allow</button>'
            f'<button name="{DECISION}" value="refuse">Refuse</button></form>',
        )

    async def decided(self, request: Request) -> Reply:
        """``POST /login/device``: what the person said."""
        form = request.form()
        approved = form.get(DECISION) == "allow"
        try:
            self.decide(form.get("user_code", "").strip().upper(), approved=approved)
        except NotFound:
            return refused("GitHub", "no sign-in waits for this code")
        return page("Emulated GitHub", f"<p>{'Allowed' if approved else 'Refused'}. You may close this page.</p>")

    async def begin(self, request: Request) -> Reply:
        """``POST /login/device/code``."""
        if request.form().get("client_id") != _CLIENT_ID:
            return Reply.of({"error": "Not Found"}, 404)
        user_code = "-".join(secrets.token_hex(2).upper() for _ in range(2))
        device = _Device(secrets.token_hex(20), user_code, self._tokens.now + _CODE_LIFETIME)
        self._devices[device.device_code] = device
        return Reply.of(
            {
                "device_code": device.device_code,
                "user_code": device.user_code,
                "verification_uri": self._verification_uri,
                "expires_in": int(_CODE_LIFETIME.total_seconds()),
                "interval": device.interval_s,
            }
        )

    async def poll(self, request: Request) -> Reply:
        """``POST /login/oauth/access_token``; GitHub says its errors with status 200."""
        form = request.form()
        device = self._devices.get(form.get("device_code", ""))
        if form.get("client_id") != _CLIENT_ID:
            return _error("incorrect_client_credentials")
        if form.get("grant_type") != _GRANT:
            return _error("unsupported_grant_type")
        if device is None:
            return _error("incorrect_device_code")
        now, last = self._tokens.now, device.polled_at
        device.polled_at = now
        if now >= device.expires_at:
            return _error("expired_token")
        if last is not None and now - last < timedelta(seconds=device.interval_s):
            device.interval_s += _SLOWER_S
            return _error("slow_down", interval=device.interval_s)
        if device.decision == "denied":
            return _error("access_denied")
        if device.decision == "pending":
            return _error("authorization_pending")
        del self._devices[device.device_code]
        token = self._tokens.issue("github", lifetime=GITHUB_LIFETIME)
        return Reply.of({"access_token": token.value, "token_type": "bearer", "scope": "read:user"})


def _error(code: str, **more: int) -> Reply:
    return Reply.of({"error": code, "error_description": code.replace("_", " "), **more})


def github_site(flow: DeviceFlow) -> Emulator:
    """``github.com``."""
    return Emulator("github", site_operations(flow), not_found=Reply.of({"error": "Not Found"}, 404))


def site_operations(flow: DeviceFlow) -> list[Operation]:
    """What ``github.com`` understands."""
    return [
        Operation("GET", "/login/device", "device.page", flow.page),
        Operation("POST", "/login/device", "device.decide", flow.decided),
        Operation("POST", "/login/device/code", "device.code", flow.begin),
        Operation("POST", "/login/oauth/access_token", "device.token", flow.poll),
    ]


def github_api(tokens: Tokens, copilot_base: str) -> Emulator:
    """``api.github.com``.

    Args:
        tokens: who is signed in.
        copilot_base: the API address that a Copilot token names.
    """
    return Emulator("github", api_operations(tokens, copilot_base), not_found=Reply.of({"message": "Not Found"}, 404))


def api_operations(tokens: Tokens, copilot_base: str) -> list[Operation]:
    """What ``api.github.com`` understands."""
    api = _Api(tokens, copilot_base)
    return [
        Operation("GET", "/copilot_internal/v2/token", "copilot.token", api.token),
        Operation("GET", "/copilot_internal/user", "copilot.user", api.usage),
        Operation("GET", "/user", "user", api.user),
    ]


class _Api:
    def __init__(self, tokens: Tokens, copilot_base: str) -> None:
        self._tokens = tokens
        self._copilot_base = copilot_base

    async def token(self, request: Request) -> Reply:
        if refused := self._refuse(request):
            return refused
        bearer = self._tokens.issue("copilot", lifetime=COPILOT_LIFETIME)
        return Reply.of(
            {
                "token": bearer.value,
                "expires_at": int(bearer.expires_at.timestamp()),
                "refresh_in": int(COPILOT_LIFETIME.total_seconds()) - 300,
                "endpoints": {"api": self._copilot_base},
                "chat_enabled": True,
                "sku": "sandbox",
                "individual": True,
            }
        )

    async def usage(self, request: Request) -> Reply:
        if refused := self._refuse(request):
            return refused
        plenty = {"entitlement": 300, "remaining": 299, "percent_remaining": 99.6, "unlimited": False}
        snapshots = {name: {**plenty, "quota_id": name} for name in ("chat", "completions", "premium_interactions")}
        return Reply.of({"copilot_plan": "individual", "quota_reset_date": "2030-01-01", "quota_snapshots": snapshots})

    async def user(self, request: Request) -> Reply:
        return self._refuse(request) or Reply.of({"login": "sandbox-owner", "id": 1, "type": "User"})

    def _refuse(self, request: Request) -> Reply | None:
        if self._tokens.valid(request.bearer(), "github") is None:
            return Reply.of({"message": "Bad credentials", "documentation_url": "https://docs.github.com/rest"}, 401)
        request.log.credential = "oauth"
        return None
