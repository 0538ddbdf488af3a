"""Values and the one protocol of all sign-ins, and the errors by which their outcomes are told apart.

========================  =================================================================================
`LoginNeeded`             final: the provider took the grant away; only a person can help
`Unavailable`             transient: network, 5xx, 429, a page instead of JSON, an edge's 403; try later
`EdgeBlocked`             transient, and of a kind another client may get through
`TooYoung`                not yet: the token is fine, and asking again soon is of no use
`Invalid`                 what a person pasted is not what was asked for; they may paste again
========================  =================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, Protocol

from shared.errors import AuthRequired, Unavailable
from shared.secrets.files import Secret

Flow = Literal["code", "device"]

LOGIN_LIFETIME = timedelta(minutes=10)
"""How long a login in progress may take before it has to be begun anew."""

CLOCK_AHEAD = "clock_ahead_s"
"""Member of `Token.extra`: how far our clock was ahead of the provider's when the token came, in whole seconds."""

_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Token:
    """One stored credential. Its secrets never print.

    Attributes:
        access: what is sent to the provider's API.
        refresh: what buys the next one; None when the provider gives none. Most providers let it be used once.
        expires_at: aware UTC; None when the provider does not say.
        scopes: as granted.
        account: for a person: an e-mail address, a user name or an id.
        extra: facts that are not secret, such as Codex's account id and plan.
        id_token: the raw OpenID token where there is one.
    """

    access: Secret
    refresh: Secret | None = None
    expires_at: datetime | None = None
    scopes: tuple[str, ...] = ()
    account: str = ""
    extra: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    id_token: Secret | None = None

    def __post_init__(self) -> None:
        # A naive moment would be compared with aware ones hours later, in the refresher, where nobody expects it.
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise ValueError("expires_at must be aware")


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """What a login in progress needs to finish. Lives at most ten minutes, in memory or in a 0600 file.

    Attributes:
        url: what the person opens in a browser, anywhere.
        instructions: one or two sentences for that person.
        state: guards a code flow against a foreign answer; empty in a device flow.
        verifier: of PKCE.
        expires_at: aware UTC.
        device_code: the secret half of a device flow.
        user_code: the half that the person types.
        interval_s: seconds between polls.
    """

    provider: str
    url: str
    instructions: str
    state: str
    verifier: Secret | None
    expires_at: datetime
    device_code: Secret | None = None
    user_code: str = ""
    interval_s: float = 0


class OAuthProvider(Protocol):
    """One provider's sign-in. Implementations keep no state: what they need comes in and goes out as values.

    Attributes:
        name: ``claude``, ``codex``, ``copilot``, ``threads`` or ``instagram``.
        flow: ``code``: the person pastes something back; ``device``: we ask until they have said yes.
        lead_s: refresh this many seconds before expiry.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def flow(self) -> Flow: ...  # noqa: D102

    @property
    def lead_s(self) -> float: ...  # noqa: D102

    async def begin(self) -> PendingLogin:
        """Start a login.

        Raises:
            Unavailable: a device flow's provider does not answer.
        """
        ...

    async def complete(self, pending: PendingLogin, pasted: str) -> Token:
        """Finish a code flow with what the person pasted: ``code#state``, a redirect URL, or a bare code.

        Raises:
            Invalid: it is not that, or belongs to another login; nothing was sent.
            LoginNeeded: the provider refuses the code, or the person said no.
            Unavailable: the provider does not answer usefully; the code may still count.
        """
        ...

    async def poll(self, pending: PendingLogin) -> Token | float:
        """Ask once whether a device flow is done: a token, or the seconds to wait before asking again.

        Raises:
            LoginNeeded: the person said no, or the code expired.
            Unavailable: the provider does not answer usefully; ask again later.
        """
        ...

    async def refresh(self, token: Token) -> Token:
        """Buy the next token. What the answer leaves out, such as the refresh token, is kept from `token`.

        Raises:
            LoginNeeded: the grant is gone for good.
            Unavailable: anything else; the old token is untouched.
        """
        ...

    async def revoke(self, token: Token) -> None:
        """Tell the provider to forget the grant. A grant it does not know any more counts as done.

        Raises:
            Unavailable: it could not be told.
        """
        ...


class LoginNeeded(AuthRequired):
    """The provider's final no: the grant is gone and a person has to sign in again."""

    code = "auth.login_needed"


class TooYoung(Unavailable):
    """It cannot be renewed yet, which is no failure: the token is fine."""

    code = "auth.too_young"
    retryable = False


class EdgeBlocked(Unavailable):
    """A page or a 403 from the provider's edge, which may let another kind of client pass."""

    code = "auth.edge"
