"""Letting a connection in: the handshake's pure decisions in the protocol's order, with what they need and change."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from openclaw.connection import Connection, Grant
from openclaw.devices import Asking, Devices
from openclaw.limiter import AttemptLimiter, source_of
from openclaw.protocol import handshake
from openclaw.protocol.errors import Refused, problems
from openclaw.protocol.frames import ConnectParams, RequestFrame, Role
from openclaw.store import TokenRow
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.errors import NotFound
from shared.secrets.files import Secret


@dataclass(frozen=True, slots=True)
class Admitted:
    """A connection that may go on.

    Attributes:
        token: the device's token for this role; None for a connection without a device.
    """

    grant: Grant
    token: tuple[str, TokenRow] | None = None


class Admission:
    """Decides about ``connect``.

    Args:
        secret: the gateway token.
        limiter: counts failures by address and by device.
        allowed_origins: exact origins beside loopback.
    """

    def __init__(
        self,
        secret: Secret,
        devices: Devices,
        limiter: AttemptLimiter,
        allowed_origins: Collection[str] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._secret = secret
        self._devices = devices
        self._limiter = limiter
        self._allowed_origins = allowed_origins
        self._clock = clock

    def allow(self, origins: Collection[str]) -> None:
        """Let pages of these origins connect from now on, beside loopback."""
        self._allowed_origins = origins

    async def admit(self, connection: Connection, frame: object) -> Admitted:
        """Take the first frame of a socket.

        Raises:
            Refused: with the answer to give and the close that follows.
        """
        params = read_connect(frame)
        handshake.check_protocol(params)
        role = handshake.check_role(params)
        handshake.check_origin(params, connection.upgrade, self._allowed_origins)
        shared = handshake.check_shared_secret(params.auth, self._secret.reveal())
        source = source_of(connection.upgrade)
        if source and self._limiter.locked_for_s(source):
            shared = "rate_limited"
        if params.device is None:
            scopes = handshake.decide_missing_device(
                params, role, local=connection.upgrade.local, shared_ok=shared == "ok"
            )
            self._enforce(shared, params, [source])
            return Admitted(Grant(params.client, role, frozenset(scopes), frozenset(params.caps)))
        handshake.verify_device(params, role, nonce=connection.nonce, now_ms=unix_ms(self._clock.now()))
        # From here on the device is proven: nobody but its owner can make it wait, and its own token opens the door
        # also while strangers behind the same address are made to wait.
        device = f"device:{params.device.id}" if source else ""
        by_token = False
        if device and self._limiter.locked_for_s(device):
            shared = "rate_limited"
        elif shared != "ok":
            by_token = self._by_device_token(params, role)
            if not by_token and params.auth.device_token and shared in {"token_missing", "token_mismatch"}:
                shared = "device_token_mismatch"
        self._enforce("ok" if by_token else shared, params, [device] if by_token else [source, device])
        asking = self._asking(connection, params, role)
        await self._pair(asking, connection.upgrade)
        candidate = params.auth.device_token or params.auth.token
        try:
            issued = await self._devices.admit(asking, by_token=candidate if by_token else None)
        except NotFound:
            raise handshake.refuse_auth("device_token_mismatch", params) from None
        grant = Grant(
            params.client,
            role,
            frozenset(params.scopes),
            frozenset(params.caps),
            device_id=params.device.id,
            by_device_token=by_token,
        )
        return Admitted(grant, issued)

    def _enforce(self, reason: handshake.AuthReason, params: ConnectParams, sources: Sequence[str]) -> None:
        """Count a failure against an address and a device, and refuse; a success forgets their failures."""
        limited = [source for source in sources if source]
        if reason == "ok":
            for source in limited:
                self._limiter.passed(source)
            return
        if reason not in {"token_missing", "rate_limited"}:  # who has no token yet is not guessing
            for source in limited:
                self._limiter.failed(source)
        raise handshake.refuse_auth(reason, params)

    def _by_device_token(self, params: ConnectParams, role: Role) -> bool:
        candidate = params.auth.device_token or params.auth.token
        device = params.device
        return bool(candidate and device and self._devices.check_token(device.id, role, candidate, params.scopes))

    def _asking(self, connection: Connection, params: ConnectParams, role: Role) -> Asking:
        if params.device is None:
            raise ValueError("no device was presented")
        upgrade = connection.upgrade
        remote_ip = None if upgrade.local or handshake.is_loopback_ip(upgrade.client_ip) else upgrade.client_ip
        return Asking(
            device_id=params.device.id,
            public_key=params.device.public_key,
            client=params.client,
            role=role,
            scopes=tuple(params.scopes),
            remote_ip=remote_ip,
        )

    async def _pair(self, asking: Asking, upgrade: handshake.Upgrade) -> None:
        knock = handshake.Knock(
            public_key=asking.public_key,
            role=asking.role,
            scopes=asking.scopes,
            platform=asking.client.platform,
            device_family=asking.client.device_family or "",
            client_id=asking.client.id,
            local=upgrade.local,
            has_origin=bool(upgrade.origin),
        )
        decision = handshake.decide_pairing(knock, self._devices.known(asking.device_id))
        if decision.kind == "approve":
            await self._devices.approve_silently(asking)
        elif decision.kind == "ask":
            request_id = await self._devices.ask(asking)
            raise Refused(
                "NOT_PAIRED",
                "pairing required",
                details={"code": "PAIRING_REQUIRED", "requestId": request_id, "reason": decision.reason},
            )


def read_connect(frame: object) -> ConnectParams:
    """The parameters of a first frame.

    Raises:
        Refused: it is no valid ``connect`` request.
    """
    try:
        request = RequestFrame.model_validate(frame)
    except ValidationError as error:
        raise Refused(
            "INVALID_REQUEST",
            f"invalid request frame: {problems(error)}",
            close_reason="invalid request frame",
        ) from None
    if request.method != "connect":
        raise Refused("INVALID_REQUEST", "invalid handshake: first request must be connect")
    try:
        return ConnectParams.model_validate({} if request.params is None else request.params)
    except ValidationError as error:
        raise Refused("INVALID_REQUEST", f"invalid connect params: {problems(error)}") from None
