"""What ``clawgate auth`` asks of the running gateway."""

from __future__ import annotations

from typing import Any

from gateway.credentials.refresher import SHARED_TENANT
from gateway.credentials.signins import SignIns
from shared.errors import Invalid
from shared.lifecycle.control import Operation


def operations(service: SignIns) -> dict[str, Operation]:
    """The operations by name, for the control socket's table."""

    async def begin(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return await service.begin(*_who(params))

    async def resume(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return await service.resume(*_who(params))

    async def complete(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return await service.complete(*_who(params), _text(params, "pasted"))

    async def poll(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return await service.poll(*_who(params))

    async def status(_params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return await service.status()

    async def refresh(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return await service.refresh(*_who(params))

    async def logout(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return await service.logout(*_who(params), revoke=params.get("revoke") is not False)

    async def take(params: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        return await service.take(*_who(params), _text(params, "text"), user=str(params.get("user", "")))

    return {
        "auth_begin": begin,
        "auth_resume": resume,
        "auth_complete": complete,
        "auth_poll": poll,
        "auth_status": status,
        "auth_refresh": refresh,
        "auth_logout": logout,
        "auth_import": take,
    }


def _who(params: dict[str, Any]) -> tuple[str, str]:
    return _text(params, "provider"), str(params.get("tenant") or SHARED_TENANT)


def _text(params: dict[str, Any], name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise Invalid(f"{name} is missing")
    return value
