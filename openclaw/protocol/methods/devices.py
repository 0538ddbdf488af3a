"""Methods about paired devices and their tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from openclaw.hub import REVOKED
from openclaw.protocol.errors import CLOSE_POLICY, invalid
from openclaw.protocol.frames import NonEmpty, Wire
from openclaw.protocol.registry import Call, Method
from openclaw.protocol.scopes import PAIRING, allows, covers
from shared.clock import unix_ms

if TYPE_CHECKING:
    from openclaw.connection import Grant


class RequestParams(Wire):
    """A pairing request."""

    request_id: NonEmpty


class DeviceParams(Wire):
    """A device."""

    device_id: NonEmpty


class TokenParams(Wire):
    """A device's token in one role."""

    device_id: NonEmpty
    role: NonEmpty


class RotateParams(TokenParams):
    """``device.token.rotate``: scopes may be narrowed."""

    scopes: list[NonEmpty] | None = None


def _list(call: Call, _params: object) -> object:
    return call.services.devices.listing()


def _require_covered(call: Call, scopes: Iterable[str]) -> None:
    """Nobody hands out more than they have.

    Raises:
        ProtocolError: names the first scope that is missing.
    """
    for scope in scopes:
        if not allows(call.grant.scopes, scope):
            raise invalid(f"missing scope: {scope}")


async def _approve(call: Call, params: RequestParams) -> object:
    _require_covered(call, call.services.devices.asked_scopes(params.request_id))
    device = await call.services.devices.approve(params.request_id)
    return {"requestId": params.request_id, "device": device}


async def _reject(call: Call, params: RequestParams) -> object:
    device_id = await call.services.devices.reject(params.request_id)
    return {"requestId": params.request_id, "deviceId": device_id}


def _end_access(call: Call, which: Callable[[Grant], bool]) -> None:
    """Close the sockets of which this is true; the caller's own one after its answer."""
    call.services.hub.end_device(which, but=call.connection.id)
    if which(call.grant):
        call.after.append(lambda: call.connection.close(CLOSE_POLICY, REVOKED))


async def _remove(call: Call, params: DeviceParams) -> object:
    await call.services.devices.remove(params.device_id)
    _end_access(call, lambda grant: grant.device_id == params.device_id)
    return {"deviceId": params.device_id}


async def _rotate(call: Call, params: RotateParams) -> object:
    wanted = params.scopes or call.services.devices.token_scopes(params.device_id, params.role)
    _require_covered(call, wanted)
    token, row = await call.services.devices.rotate(params.device_id, params.role, params.scopes)

    def is_outdated(grant: Grant) -> bool:
        """It came in with the old token, or holds more than the new one allows."""
        is_this = grant.device_id == params.device_id and grant.role == params.role
        return is_this and (grant.by_device_token or not covers(row.scopes, grant.scopes))

    _end_access(call, is_outdated)
    return {
        "deviceId": row.device_id,
        "role": row.role,
        "token": token,
        "scopes": list(row.scopes),
        "rotatedAtMs": unix_ms(row.rotated_at or row.created_at),
    }


async def _revoke(call: Call, params: TokenParams) -> object:
    row = await call.services.devices.revoke(params.device_id, params.role)
    _end_access(call, lambda grant: grant.device_id == params.device_id and grant.role == params.role)
    revoked_at = row.revoked_at or call.services.clock.now()
    return {"deviceId": row.device_id, "role": row.role, "revokedAtMs": unix_ms(revoked_at)}


METHODS = (
    Method("device.pair.list", PAIRING, _list),
    Method("device.pair.approve", PAIRING, _approve, params=RequestParams),
    Method("device.pair.reject", PAIRING, _reject, params=RequestParams),
    Method("device.pair.remove", PAIRING, _remove, params=DeviceParams),
    Method("device.token.rotate", PAIRING, _rotate, params=RotateParams),
    Method("device.token.revoke", PAIRING, _revoke, params=TokenParams),
)
