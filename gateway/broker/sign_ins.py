"""Whether the gateway's sign-ins work, for a tenant to show: never what they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from litestar import Request, get
from litestar.datastructures import State

from gateway.credentials.models import CredentialStatus
from gateway.notices.decide import name_of
from shared.gatewayclient.models import SignInInfo, SignInState

_SHARED: Final = "gateway"
_OVER: Final = frozenset({"expired", "login_needed", "unreadable"})
_NOT_THERE: Final = "missing"


def sign_ins_of(tenant: str, statuses: Iterable[CredentialStatus]) -> list[SignInInfo]:
    """The tenant's own and the shared ones; one that nobody ever made is none."""
    return [
        SignInInfo(
            id=f"{status.tenant}/{status.provider}",
            label=name_of(status),
            state=decide_state(status),
            expires_at=status.expires_at,
            command=status.command,
        )
        for status in statuses
        if status.tenant in (_SHARED, tenant) and status.health != _NOT_THERE
    ]


def decide_state(status: CredentialStatus) -> SignInState:
    """Whether a person has to do something: most tokens end within hours and are renewed without anybody."""
    if status.health in _OVER:
        return "expired"
    return "expiring" if status.failing_since is not None and status.expires_at is not None else "ok"


@get("/v1/sign-ins")
async def sign_ins(request: Request[Any, Any, Any], state: State) -> list[SignInInfo]:
    """Which sign-ins there are, and whether they work."""
    return sign_ins_of(request.scope["state"]["caller"].tenant, await state["services"].sign_ins())
