"""What Threads and Instagram share: authorization code → token of an hour → token of 60 days, and its renewal.

Neither knows proof keys, so the state is what ties an answer to its question, and a bare code is not accepted. There
is no refresh token: the long token buys its successor while it is still valid and at least a day old, which is why
`Token.refresh` is the access token once more. A lost answer costs nothing, because the old one goes on counting.
Source: reference notes on the Meta APIs, §1 §2 §4.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import urlencode, urlsplit

from pydantic import Field

from shared.clock import SYSTEM_CLOCK, Clock
from shared.config.strict import Strict
from shared.errors import ConfigError, GatewayError, Invalid, Unavailable
from shared.http.client import Answer, Headers, HttpPool
from shared.json_values import object_of
from shared.oauth.jsonflow import text_of
from shared.oauth.models import LOGIN_LIFETIME, EdgeBlocked, Flow, LoginNeeded, PendingLogin, Token, TooYoung
from shared.oauth.paste import parse_pasted
from shared.secrets.files import Secret

HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s]+$")]

LONG_LIFETIME = timedelta(days=60)
SHORT_LIFETIME = timedelta(hours=1)
YOUNGEST = timedelta(hours=24)
LEAD = timedelta(days=7)
"""A long token is renewed when it has this long to live."""

_TIMEOUT_S = 30.0
_MAX_BYTES = 1 << 20
_LONGEST_S = 366 * 86400
_HTML = re.compile(rb"^\s*<(!doctype|html|head|body)", re.IGNORECASE)
_TOKEN_SHAPE = re.compile(r"(?:TH|IG)[A-Za-z0-9_-]{40,}")

_AUTH_CODES = frozenset({102, 190, 463, 467})
_WAIT_CODES = frozenset({1, 2, 4, 17, 32, 341, 613, 80002})
_PERMISSION_CODES = frozenset({10, *range(200, 300)})


class MetaOAuthSettings(Strict):
    """One network's section of policies/oauth.toml."""

    authorize_url: HttpUrl
    token_base: HttpUrl
    """Where a code is exchanged; ``/oauth/access_token`` is appended."""
    graph_base: HttpUrl
    """Where tokens are exchanged and renewed."""
    version: str = Field(pattern=r"^v[0-9]+(\.[0-9]+)?$")
    """Of the API, for the question whose a token is."""
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetaApp:
    """A registered app.

    Attributes:
        app_id: the network's own id of the app; an app has another one at Facebook.
        redirect_uri: exactly as registered, a slash at its end included.
        owner: the tenant it belongs to, for the commands that messages name; empty when there is none.
    """

    app_id: str
    app_secret: Secret
    redirect_uri: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """What tells the networks apart."""

    name: str
    title: str
    exchange_grant: str
    refresh_grant: str
    me_fields: str


class MetaOAuth:
    """`OAuthProvider` for one of the two networks; a subclass says which."""

    network: ClassVar[Network]
    flow: Flow = "code"
    lead_s = LEAD.total_seconds()

    def __init__(
        self, settings: MetaOAuthSettings, app: MetaApp, http: HttpPool, *, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._settings = settings
        self._app = app
        self._http = http
        self._clock = clock
        self._graph = settings.graph_base.rstrip("/")

    @property
    def name(self) -> str:
        """``threads`` or ``instagram``."""
        return self.network.name

    @property
    def again(self) -> str:
        """The command that signs in anew."""
        return self._command("login")

    def _command(self, verb: str) -> str:
        return f"clawgate auth {verb} {self.network.name}" + (f" --tenant {self._app.owner}" if self._app.owner else "")

    async def begin(self) -> PendingLogin:
        """The address to open; nothing is sent yet."""
        state = secrets.token_urlsafe(32)
        query = {
            "client_id": self._app.app_id,
            "redirect_uri": self._app.redirect_uri,
            "scope": ",".join(self._settings.scopes),
            "response_type": "code",
            "state": state,
        }
        return PendingLogin(
            provider=self.name,
            url=f"{self._settings.authorize_url}?{urlencode(query)}",
            instructions=(
                "Open this address in any browser and allow the app. The browser then ends on "
                f"{self._app.redirect_uri} with an error page, which is right: paste that page's whole address here."
            ),
            state=state,
            verifier=None,
            expires_at=self._clock.now() + LOGIN_LIFETIME,
        )

    async def complete(self, pending: PendingLogin, pasted: str) -> Token:
        """Exchange the pasted redirect address for a long token.

        When the second half of the exchange fails for now, the token of an hour is returned, so that the code, which
        counts once, is not lost; `refresh` finishes the job.

        Raises:
            Invalid: it is no redirect address of this login; nothing was sent. A token of the dashboard's User Token
                Generator is recognised and explained.
            LoginNeeded: the code is used up or the person said no.
            ConfigError: the app's id, secret or redirect address is wrong.
            Unavailable: no usable answer.
        """
        self._refuse_what_is_no_redirect(pasted)
        code = parse_pasted(pasted, state=pending.state, again=self.again)
        short = await self._short(code)
        try:
            return await self._named(await self._long(short))
        except Unavailable:
            return short

    async def poll(self, pending: PendingLogin) -> Token | float:  # noqa: ARG002 - the protocol's
        """There is nothing to wait for in this flow.

        Raises:
            Invalid: always.
        """
        raise Invalid(f"{self.network.title} signs in by a pasted address, not by waiting")

    async def refresh(self, token: Token) -> Token:
        """Buy the next long token, or finish an exchange that was cut.

        The new token is tried before it is returned: one that does not work does not replace one that does.

        Raises:
            LoginNeeded: it has expired, or was taken back.
            Unavailable: it is younger than a day, or no usable answer; the old token goes on counting.
        """
        now = self._clock.now()
        if token.expires_at is not None and token.expires_at <= now:
            raise LoginNeeded(
                f"the {self.network.title} token expired on {token.expires_at:%Y-%m-%d}; an expired one cannot be "
                f"renewed. Run: {self.again}",
                code="auth.expired",
            )
        if token.extra.get("stage") == "short":
            return await self._named(await self._long(token))
        age = now - issued if (issued := issued_at(token)) else None
        if age is not None and age < YOUNGEST:
            hours = (YOUNGEST - age).total_seconds() / 3600
            raise TooYoung(
                f"the {self.network.title} token is younger than a day and cannot be renewed yet: again in "
                f"{hours:.0f} h"
            )
        body = await self._ask(
            "/refresh_access_token",
            {"grant_type": self.network.refresh_grant, "access_token": token.access.reveal()},
            what="renewal",
        )
        fresh = self._from_answer(body, before=token)
        try:
            account, user = await self._whose(fresh)
        except LoginNeeded:
            raise Unavailable(
                f"{self.network.title} answered the renewal with a token it does not accept; the old one is kept",
                code="auth.answer",
            ) from None
        except Unavailable:
            return fresh
        return _owned(fresh, account, user)

    async def revoke(self, token: Token) -> None:  # noqa: ARG002 - the protocol's
        """Neither network lets an app end its grant.

        Raises:
            Unavailable: always; the detail says where a person does it.
        """
        raise Unavailable(
            f"{self.network.title} cannot be told from here: remove the app in the account's settings under "
            "'Website permissions' (Apps and websites)",
            code="auth.revoke",
            retryable=False,
        )

    async def adopt(self, value: str) -> Token:
        """Take over a long token that was bought elsewhere, such as the one in ``.env``.

        Raises:
            Invalid: it has not the shape of a token.
            LoginNeeded: the network does not accept it.
            Unavailable: no usable answer.
        """
        text = value.strip()
        if not _is_token(text):
            raise Invalid(f"that is no {self.network.title} token: it has to be one line of letters and digits")
        now = self._clock.now()
        # Nothing says when it ends. A week means: renew as soon as it is a day old for certain, and then we know.
        secret = Secret(text)
        extra = {"stage": "long", "adopted": "yes"}
        token = Token(access=secret, refresh=secret, expires_at=now + LEAD, extra=extra)
        account, user = await self._whose(token)
        expires_at, issued = await self._lifetime(token)
        if expires_at is not None:
            token = replace(token, expires_at=expires_at)
        extra = {**token.extra, "issued_at": (issued or now).isoformat()}
        return _owned(replace(token, extra=extra), account, user)

    async def _lifetime(self, token: Token) -> tuple[datetime | None, datetime | None]:  # noqa: ARG002 - see Threads
        """Expiry and issue of an adopted token, where the network tells."""
        return None, None

    def _refuse_what_is_no_redirect(self, pasted: str) -> None:
        text = re.sub(r"\s+", "", pasted).strip("\"'<>`")
        if _TOKEN_SHAPE.fullmatch(text):
            raise Invalid(
                "that is an access token, probably of the User Token Generator in Meta's dashboard. Such a token is "
                "already a long one and cannot be exchanged, so it cannot finish this login: open the address above "
                "and paste the address the browser ends on. To use the token as it is: "
                f"{self._command('import')}",
                code="auth.generator_token",
            )
        if text and "error=" not in text and "state=" not in text and "#" not in text.removesuffix("#_"):
            raise Invalid(
                "a code alone is not enough here, because nothing ties it to this login: paste the whole address the "
                "browser ended on, from https:// to its end",
                code="auth.paste",
            )

    async def _short(self, code: str) -> Token:
        app = self._app
        form = {
            "client_id": app.app_id,
            "client_secret": app.app_secret.reveal(),
            "code": code,
            "grant_type": "authorization_code",
            "redirect_uri": app.redirect_uri,
        }
        url = f"{self._settings.token_base.rstrip('/')}/oauth/access_token"
        headers: Headers = [(b"Content-Type", b"application/x-www-form-urlencoded"), (b"Accept", b"application/json")]
        answer = await self._request("POST", url, headers, urlencode(form).encode())
        body = self._answer(answer, "sign-in")
        granted = body.get("data")
        # One of the two networks has wrapped this answer in a list, and the other may follow.
        inner = granted[0] if isinstance(granted, list) and granted and isinstance(granted[0], dict) else body
        access, now = text_of(inner.get("access_token")), self._clock.now()
        if not access:
            raise Unavailable(f"{self.network.title} answered the sign-in without a token", code="auth.answer")
        permissions = inner.get("permissions")
        if isinstance(permissions, str):
            permissions = permissions.split(",")
        scopes = tuple(str(scope).strip() for scope in permissions) if isinstance(permissions, list) else ()
        user = _user_id(inner.get("user_id"))
        return Token(
            access=Secret(access),
            refresh=Secret(access),
            expires_at=now + SHORT_LIFETIME,
            scopes=scopes or self._settings.scopes,
            account=user,
            extra={"stage": "short", "user_id": user, "issued_at": now.isoformat()},
        )

    async def _long(self, short: Token) -> Token:
        query = {
            "grant_type": self.network.exchange_grant,
            "client_secret": self._app.app_secret.reveal(),
            "access_token": short.access.reveal(),
        }
        return self._from_answer(await self._ask("/access_token", query, what="exchange"), before=short)

    def _from_answer(self, body: Mapping[str, Any], *, before: Token) -> Token:
        access, now = text_of(body.get("access_token")), self._clock.now()
        if not access:
            raise Unavailable(f"{self.network.title} answered 200 without a token; the old one is kept")
        extra = {**before.extra, "stage": "long", "issued_at": now.isoformat(), "last_refresh_at": now.isoformat()}
        extra.pop("adopted", None)
        fresh = Secret(access)
        return replace(before, access=fresh, refresh=fresh, expires_at=now + _lifetime_of(body), extra=extra)

    async def _named(self, token: Token) -> Token:
        try:
            return _owned(token, *await self._whose(token))
        except (Unavailable, LoginNeeded):
            # The sign-in is done; that nobody says whose must not lose it.
            return token

    async def _whose(self, token: Token) -> tuple[str, str]:
        headers: Headers = [(b"Authorization", f"Bearer {token.access.reveal()}".encode())]
        url = f"{self._graph}/{self._settings.version}/me?fields={self.network.me_fields}"
        body = self._answer(await self._request("GET", url, headers), "question whose the token is")
        user = _user_id(body.get("user_id")) or _user_id(body.get("id"))
        if not user:
            raise Unavailable(f"{self.network.title} does not say whose the token is", code="auth.answer")
        return text_of(body.get("username")) or user, user

    async def _ask(self, path: str, query: Mapping[str, str], *, what: str) -> Mapping[str, Any]:
        return self._answer(await self._request("GET", f"{self._graph}{path}?{urlencode(query)}", ()), what)

    async def _request(self, method: str, url: str, headers: Headers, body: bytes = b"") -> Answer:
        try:
            return await self._http.request(
                method, url, headers=headers, body=body, read_timeout_s=_TIMEOUT_S, max_bytes=_MAX_BYTES
            )
        except Invalid:
            # Its text quotes the address, and ours may hold a token.
            host = urlsplit(url).hostname
            raise ConfigError(f"{host} is no usable address: see policies/oauth.toml", code="config.oauth") from None
        except Unavailable:
            raise
        except GatewayError as error:
            raise Unavailable(
                f"{self.network.title} gave no usable answer: {error.detail}", code="auth.no_answer"
            ) from None

    def _answer(self, answer: Answer, what: str) -> Mapping[str, Any]:
        """The JSON object of an answer; no message quotes it, as it may hold or echo a token."""
        title, body = self.network.title, object_of(answer.body)
        error = body.get("error") if body else None
        code, subcode, transient = _error_of(error if isinstance(error, dict) else body or {})
        failed = answer.status != 200 or isinstance(error, dict) or (body is not None and "error_type" in body)
        if not failed and body is not None:
            return body
        named = f"code {code}/{subcode}" if subcode else f"code {code}" if code else f"status {answer.status}"
        trace = _trace(error)
        if answer.status == 429 or transient or code in _WAIT_CODES:
            wait = answer.header("retry-after")
            raise Unavailable(
                f"{title} cannot serve the {what} now ({named}{trace}); tried again later",
                code="auth.limited",
                retry_after_s=int(wait) if wait.isdigit() else None,
            )
        if body is None:
            page = "html" in answer.header("content-type").lower() or _HTML.match(answer.body)
            kind = EdgeBlocked if page and answer.status < 500 else Unavailable
            shape = "a page" if page else "no whole JSON object"
            raise kind(f"{title} answered the {what} with {shape} ({answer.status}); tried again later")
        if answer.status >= 500:
            raise Unavailable(f"{title} answered the {what} with {answer.status}{trace}; tried again later")
        if code == 101 or (what != "sign-in" and code == 100 and "client" in _message(error)):
            raise ConfigError(
                f"{title} does not know the app ({named}{trace}): check its id and secret", code="config.oauth"
            )
        if what == "sign-in":
            raise LoginNeeded(
                f"{title} does not accept the code ({named}{trace}): it counts once and for an hour, and only with the "
                f"redirect address {self._app.redirect_uri} exactly as registered. Run: {self.again}",
                code="auth.refused",
            )
        if code in _AUTH_CODES or code in _PERMISSION_CODES or answer.status == 401:
            raise LoginNeeded(
                f"{title} no longer accepts this sign-in ({named}{trace}): {_reason(code, subcode)}. Run: {self.again}",
                code="auth.refused",
            )
        raise Unavailable(
            f"{title} refused the {what} ({named}{trace}), which does not end the sign-in; the old token is kept",
            code="auth.request",
        )


def issued_at(token: Token) -> datetime | None:
    """When a Meta token was issued; None when nobody knows."""
    try:
        moment = datetime.fromisoformat(token.extra.get("issued_at", ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def is_due(token: Token, now: datetime) -> bool:
    """Whether a token should be renewed now: a week or less to live, and at least a day old (or still a short one)."""
    if token.extra.get("stage") == "short":
        return True
    issued = issued_at(token)
    old_enough = issued is None or now - issued >= YOUNGEST
    return old_enough and token.expires_at is not None and token.expires_at - now <= LEAD


def _owned(token: Token, account: str, user: str) -> Token:
    return replace(token, account=account, extra={**token.extra, "user_id": user})


def _is_token(text: str) -> bool:
    return 20 <= len(text) <= 4096 and bool(text_of(text))


def _user_id(value: object) -> str:
    """An id as text; it may be a JSON number larger than a float holds exactly."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    return value if isinstance(value, str) and value.isascii() and value.isdigit() else ""


def _lifetime_of(body: Mapping[str, Any]) -> timedelta:
    seconds = body.get("expires_in")
    if isinstance(seconds, str) and seconds.isdigit():
        seconds = int(seconds)
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= _LONGEST_S:
        return timedelta(seconds=seconds)
    # Missing, zero or absurd: too short rather than for ever. Just over the lead, so that it is tried again tomorrow.
    return LEAD + YOUNGEST


def _error_of(error: Mapping[str, Any]) -> tuple[int, int, bool]:
    code, subcode = error.get("code"), error.get("error_subcode")
    return (
        code if isinstance(code, int) else 0,
        subcode if isinstance(subcode, int) else 0,
        error.get("is_transient") is True,
    )


def _trace(error: object) -> str:
    """Meta's own name of the failed call, for its support; nothing else of an error is quoted."""
    trace = error.get("fbtrace_id") if isinstance(error, dict) else None
    return f", trace {trace}" if isinstance(trace, str) and re.fullmatch(r"[A-Za-z0-9_-]{6,24}", trace) else ""


def _message(error: object) -> str:
    text = error.get("message") if isinstance(error, dict) else ""
    return text.lower() if isinstance(text, str) else ""


def _reason(code: int, subcode: int) -> str:
    reasons = {
        458: "the app was removed from the account",
        459: "the account has to pass a check first",
        460: "the password was changed",
        463: "it has expired",
        464: "the account is not confirmed",
        467: "it is not valid",
        492: "the account lost its role in the app",
        493: "it was not used for 90 days",
    }
    if code in _PERMISSION_CODES:
        return "a permission is missing"
    return reasons.get(subcode, "it was taken back")
