"""Whether the gateway's sign-ins work, and making one from a tenant's command line: never what they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from litestar import Request, get, post
from litestar.datastructures import State
from litestar.params import FromPath, JSONBody
from litestar.types import ControllerRouterHandler

from gateway.credentials.models import CredentialStatus
from gateway.credentials.signins import SignIns
from gateway.notices.decide import name_of
from shared.errors import Denied
from shared.gatewayclient.models import SignInBegun, SignInInfo, SignInPaste, SignInState, SignInStep

_SHARED: Final = "gateway"
_OVER: Final = frozenset({"expired", "login_needed", "unreadable"})
_NOT_THERE: Final = "missing"
_OWN: Final[Mapping[str, frozenset[str]]] = {"openclaw": frozenset({"codex", "copilot"})}
"""At which providers the command line of a kind of tenant signs in: those of the operations document's own lines."""


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


def require_own(tenant: str, kind: str, provider: str) -> None:
    """Let a tenant make sign-ins at the providers of its kind alone.

    Raises:
        Denied: this one is the operator's, at the gateway.
    """
    if provider not in _OWN.get(kind, frozenset()):
        raise Denied(
            f"{tenant} makes no sign-ins at {provider[:40]!r}: that is `clawgate auth login` where the gateway is",
            code="sign_in.not_its_own",
        )


@post("/v1/sign-ins/{provider:str}/begin", status_code=200)
async def begin(request: Request[Any, Any, Any], state: State, provider: FromPath[str]) -> SignInBegun:
    """Start a login; what finishes it, the verifier or the device code, stays here."""
    begun = await _logins(request, state, provider).begin(provider, _SHARED)
    return SignInBegun(**{name: begun[name] for name in SignInBegun.model_fields})


@post("/v1/sign-ins/{provider:str}/complete", status_code=200)
async def complete(
    request: Request[Any, Any, Any], state: State, provider: FromPath[str], data: JSONBody[SignInPaste]
) -> SignInStep:
    """Finish a code flow with what a person pasted."""
    done = await _logins(request, state, provider).complete(provider, _SHARED, data.pasted)
    return await _told(request, state, provider, done)


@post("/v1/sign-ins/{provider:str}/poll", status_code=200)
async def poll(request: Request[Any, Any, Any], state: State, provider: FromPath[str]) -> SignInStep:
    """Ask once whether a device flow is done."""
    return await _told(request, state, provider, await _logins(request, state, provider).poll(provider, _SHARED))


def _logins(request: Request[Any, Any, Any], state: State, provider: str) -> SignIns:
    tenant, services = request.scope["state"]["caller"].tenant, state["services"]
    require_own(tenant, services.kinds.get(tenant, ""), provider)
    logins: SignIns = services.logins
    return logins


async def _told(request: Request[Any, Any, Any], state: State, provider: str, answer: Mapping[str, Any]) -> SignInStep:
    # Field by field, so that nothing which a step may come to answer passes unseen.
    step = SignInStep(**{name: answer[name] for name in SignInStep.model_fields if name in answer})
    if step.done:
        caller = request.scope["state"]["caller"].tenant
        await state["services"].audit.note("sign_in.made", actor=caller, subject=provider)
    return step


def sign_in_routes() -> list[ControllerRouterHandler]:
    """All of them."""
    return [sign_ins, begin, complete, poll]
