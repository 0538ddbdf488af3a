"""What ``openclaw onboard`` asks of the running tenant: steps of a sign-in, which the gateway makes and keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from shared.errors import Unavailable
from shared.gatewayclient.models import SignInBegun, SignInStep
from shared.lifecycle.control import Operation, required_text


class SignInGateway(Protocol):
    """Makes sign-ins and keeps them; decides by itself at which providers a tenant may."""

    async def begin_sign_in(self, provider: str) -> SignInBegun:
        """Start a login."""
        ...

    async def complete_sign_in(self, provider: str, pasted: str) -> SignInStep:
        """Finish a code flow."""
        ...

    async def poll_sign_in(self, provider: str) -> SignInStep:
        """Ask once whether a device flow is done."""
        ...


def sign_in_operations(gateway: SignInGateway | None) -> Mapping[str, Operation]:
    """The table of operations.

    Args:
        gateway: None where there is none.
    """

    def asked() -> SignInGateway:
        if gateway is None:
            raise Unavailable("there is no gateway to sign in at", code="sign_in.no_gateway")
        return gateway

    async def begin(params: dict[str, Any]) -> dict[str, Any]:
        return (await asked().begin_sign_in(required_text(params, "provider"))).model_dump(mode="json")

    async def complete(params: dict[str, Any]) -> dict[str, Any]:
        provider, pasted = required_text(params, "provider"), required_text(params, "pasted")
        return (await asked().complete_sign_in(provider, pasted)).model_dump(mode="json")

    async def poll(params: dict[str, Any]) -> dict[str, Any]:
        return (await asked().poll_sign_in(required_text(params, "provider"))).model_dump(mode="json")

    return {"sign_in.begin": begin, "sign_in.complete": complete, "sign_in.poll": poll}
