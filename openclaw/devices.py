"""Paired devices, their tokens, and the requests that wait for a person.

Kept in memory and written through: this process is the only writer, and every frame asks. A token is derived from the
gateway token, the device, the role and a serial number, so what is stored opens nothing; a new gateway token ends all
device tokens.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

from openclaw import store
from openclaw.protocol.frames import ClientInfo, Role, compact
from openclaw.protocol.handshake import KnownDevice
from openclaw.protocol.scopes import covers, tidy
from openclaw.store import DeviceRow, PairRequestRow, TokenRow
from shared.audit.reporting import Note, unnoted
from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.errors import Invalid, NotFound
from shared.obs.log import get_logger
from shared.openclawclient.device import encode_bytes
from shared.secrets.files import Secret
from shared.storage import Database

_log = get_logger(__name__)

REQUEST_LIFETIME_S = 300
_MAX_REQUESTS = 100
_LAST_USED_STEP_S = 60

Decision = Literal["approved", "rejected"]
Announce = Callable[[str, dict[str, Any]], None]
"""Called with an event's name and payload."""


@dataclass(frozen=True, slots=True)
class Asking:
    """A device that proved its key and wants in."""

    device_id: str
    public_key: str
    client: ClientInfo
    role: Role
    scopes: tuple[str, ...]
    remote_ip: str | None
    silent: bool = False


def _quiet(_event: str, _payload: dict[str, Any]) -> None:
    return None


class Devices:
    """Who is paired, and in which roles they may connect.

    Args:
        secret: the gateway token; device tokens are derived from it.
    """

    def __init__(self, db: Database, secret: Secret, clock: Clock = SYSTEM_CLOCK) -> None:
        self._db = db
        self._secret = secret
        self._clock = clock
        self._devices: dict[str, DeviceRow] = {}
        self._tokens: dict[tuple[str, str], TokenRow] = {}
        self._requests: dict[str, PairRequestRow] = {}
        self._lock = asyncio.Lock()
        self.announce: Announce = _quiet
        self.note: Note = unnoted

    async def load(self) -> None:
        """Read everything from the database; call once."""
        devices, tokens, requests = await self._db.read(store.all_devices)
        self._devices = {row.device_id: row for row in devices}
        self._tokens = {(row.device_id, row.role): row for row in tokens}
        self._requests = {row.request_id: row for row in requests}

    # --- reading -----------------------------------------------------------------

    def known(self, device_id: str) -> KnownDevice | None:
        """What was approved for a device."""
        row = self._devices.get(device_id)
        if row is None:
            return None
        return KnownDevice(row.public_key, frozenset(row.roles), frozenset(row.scopes), row.platform, row.device_family)

    def listing(self) -> dict[str, list[dict[str, Any]]]:
        """Pending requests and paired devices, newest first, without any token."""
        self._forget_expired()
        pending = sorted(self._requests.values(), key=lambda row: row.knocked_at, reverse=True)
        paired = sorted(self._devices.values(), key=lambda row: row.approved_at, reverse=True)
        return {"pending": [row.record for row in pending], "paired": [self.view(row) for row in paired]}

    def view(self, row: DeviceRow) -> dict[str, Any]:
        """A paired device as clients see it."""
        tokens = [token for (device_id, _), token in sorted(self._tokens.items()) if device_id == row.device_id]
        return compact(
            deviceId=row.device_id,
            publicKey=row.public_key,
            displayName=row.display_name,
            platform=row.platform,
            deviceFamily=row.device_family or None,
            clientId=row.client_id,
            clientMode=row.client_mode,
            role=row.role,
            roles=list(row.roles),
            scopes=list(row.scopes),
            remoteIp=row.remote_ip,
            createdAtMs=unix_ms(row.created_at),
            approvedAtMs=unix_ms(row.approved_at),
            tokens=[
                compact(
                    role=token.role,
                    scopes=list(token.scopes),
                    createdAtMs=unix_ms(token.created_at),
                    rotatedAtMs=unix_ms(token.rotated_at) if token.rotated_at else None,
                    revokedAtMs=unix_ms(token.revoked_at) if token.revoked_at else None,
                    lastUsedAtMs=unix_ms(token.last_used_at) if token.last_used_at else None,
                )
                for token in tokens
            ],
        )

    def check_token(self, device_id: str, role: str, token: str, scopes: Iterable[str]) -> bool:
        """Whether a token lets this device connect in this role with these scopes; constant time in the token."""
        row = self._tokens.get((device_id, role))
        expected = self._token(row) if row else "-" * 43
        same = hmac.compare_digest(token.encode(), expected.encode())
        return bool(row and same and device_id in self._devices and not row.revoked_at and covers(row.scopes, scopes))

    def _token(self, row: TokenRow) -> str:
        text = "\0".join(("device-token", row.device_id, row.role, row.serial))
        return encode_bytes(hmac.digest(self._secret.reveal().encode(), text.encode(), hashlib.sha256))

    def asked_scopes(self, request_id: str) -> list[str]:
        """The scopes a pending request asks for; empty when there is no such request."""
        request = self._requests.get(request_id)
        return list(request.record.get("scopes", [])) if request else []

    def token_scopes(self, device_id: str, role: str) -> list[str]:
        """The scopes of a device's token; empty when it has none."""
        row = self._tokens.get((device_id, role))
        return list(row.scopes) if row else []

    # --- pairing -----------------------------------------------------------------

    def _forget_expired(self) -> datetime:
        """Drop requests that nobody decided in time; returns the moment before which one is too old."""
        oldest = self._clock.now() - timedelta(seconds=REQUEST_LIFETIME_S)
        self._requests = {key: row for key, row in self._requests.items() if row.knocked_at >= oldest}
        return oldest

    async def ask(self, asking: Asking) -> str:
        """Record that a device waits for a person; repeats merge into one request. Returns the request id."""
        async with self._lock:
            oldest = self._forget_expired()
            now = self._clock.now()
            old = next((row for row in self._requests.values() if row.device_id == asking.device_id), None)
            crowded_out = ""
            if old is None and len(self._requests) >= _MAX_REQUESTS:
                crowded_out = min(self._requests.values(), key=lambda row: row.knocked_at).request_id
                del self._requests[crowded_out]
            row = PairRequestRow(
                request_id=old.request_id if old else str(uuid4()),
                device_id=asking.device_id,
                record={},
                knocked_at=now,
            )
            row = replace(row, record=self._record(row.request_id, asking, old, unix_ms(now)))
            await self._db.write(lambda c: store.save_pair_request(c, row, oldest=oldest, gone=crowded_out))
            self._requests[row.request_id] = row
        if old is None:
            _log.info("device.knocked", device=asking.device_id[:12], request=row.request_id, role=asking.role)
            self.announce("device.pair.requested", row.record)
        return row.request_id

    def _record(self, request_id: str, asking: Asking, old: PairRequestRow | None, now_ms: int) -> dict[str, Any]:
        before = old.record if old else {}
        return compact(
            requestId=request_id,
            deviceId=asking.device_id,
            publicKey=asking.public_key,
            displayName=asking.client.display_name or before.get("displayName"),
            platform=asking.client.platform,
            deviceFamily=asking.client.device_family,
            clientId=asking.client.id,
            clientMode=asking.client.mode,
            role=asking.role,
            roles=sorted({*before.get("roles", []), asking.role}),
            scopes=tidy([*before.get("scopes", []), *asking.scopes]),
            remoteIp=asking.remote_ip,
            silent=asking.silent,
            isRepair=asking.device_id in self._devices,
            ts=now_ms,
        )

    async def approve(self, request_id: str) -> dict[str, Any]:
        """Pair the device of a request.

        Raises:
            NotFound: there is no such request, or it expired.
        """
        async with self._lock:
            self._forget_expired()
            request = self._requests.get(request_id)
            if request is None:
                raise NotFound("unknown requestId", code="device.unknown_request")
            row = await self._pair(request.record, request)
        self._resolved(request_id, row.device_id, "approved")
        await self.note("device.approved", subject=row.device_id, detail=f"{row.role}: {', '.join(row.scopes)}")
        return self.view(row)

    async def approve_silently(self, asking: Asking) -> None:
        """Pair a device of a person at this machine."""
        async with self._lock:
            now_ms = unix_ms(self._clock.now())
            old = next((row for row in self._requests.values() if row.device_id == asking.device_id), None)
            request_id = old.request_id if old else str(uuid4())
            await self._pair(self._record(request_id, replace(asking, silent=True), None, now_ms), old)
        self._resolved(request_id, asking.device_id, "approved")
        await self.note("device.approved", actor="a person at this machine", subject=asking.device_id)

    async def _pair(self, record: dict[str, Any], request: PairRequestRow | None) -> DeviceRow:
        now = self._clock.now()
        device_id = record["deviceId"]
        known = self._devices.get(device_id)
        row = DeviceRow(
            device_id=device_id,
            public_key=record["publicKey"],
            display_name=record.get("displayName") or (known.display_name if known else None),
            platform=record["platform"],
            device_family=record.get("deviceFamily", ""),
            client_id=record["clientId"],
            client_mode=record["clientMode"],
            role=record["role"],
            roles=tuple(sorted({*(known.roles if known else ()), *record["roles"]})),
            scopes=tuple(tidy([*(known.scopes if known else ()), *record["scopes"]])),
            remote_ip=record.get("remoteIp"),
            created_at=known.created_at if known else now,
            approved_at=now,
        )
        tokens = [self._fresh_token(device_id, role, row.scopes) for role in record["roles"]]
        settled = [request.request_id] if request else []
        await self._db.write(lambda c: store.save_device(c, row, tokens, settled=settled))
        self._devices[device_id] = row
        for token in tokens:
            self._tokens[device_id, token.role] = token
        if request is not None:
            self._requests.pop(request.request_id, None)
        return row

    async def reject(self, request_id: str) -> str:
        """Turn a request down; returns the device's id.

        Raises:
            NotFound: there is no such request, or it expired.
        """
        async with self._lock:
            self._forget_expired()
            request = self._requests.get(request_id)
            if request is None:
                raise NotFound("unknown requestId", code="device.unknown_request")
            await self._db.write(lambda c: store.remove_pair_request(c, request_id))
            del self._requests[request_id]
        self._resolved(request_id, request.device_id, "rejected")
        await self.note("device.rejected", subject=request.device_id)
        return request.device_id

    def _resolved(self, request_id: str, device_id: str, decision: Decision) -> None:
        _log.info("device.resolved", device=device_id[:12], request=request_id, decision=decision)
        payload = {"requestId": request_id, "deviceId": device_id, "decision": decision}
        self.announce("device.pair.resolved", {**payload, "ts": unix_ms(self._clock.now())})

    async def remove(self, device_id: str) -> None:
        """Forget a device; it must be paired again.

        Raises:
            NotFound: it is not paired.
        """
        async with self._lock:
            if device_id not in self._devices:
                raise NotFound("unknown deviceId", code="device.unknown")
            await self._db.write(lambda c: store.remove_device(c, device_id))
            del self._devices[device_id]
            for key in [key for key in self._tokens if key[0] == device_id]:
                del self._tokens[key]
        _log.info("device.removed", device=device_id[:12])
        await self.note("device.revoked", subject=device_id, detail="removed")

    # --- tokens ------------------------------------------------------------------

    def _fresh_token(self, device_id: str, role: str, scopes: Iterable[str]) -> TokenRow:
        now = self._clock.now()
        old = self._tokens.get((device_id, role))
        return TokenRow(
            device_id=device_id,
            role=role,
            serial=secrets.token_hex(12),
            scopes=tuple(tidy(scopes)),
            created_at=old.created_at if old else now,
            rotated_at=now if old else None,
            last_used_at=old.last_used_at if old else None,
        )

    async def admit(self, asking: Asking, *, by_token: str | None = None) -> tuple[str, TokenRow]:
        """Note a successful connect and give the device its token for this role: the same one while it still fits.

        Args:
            asking: who connects.
            by_token: the device token it came in with, looked at once more: it may have been revoked since.

        Raises:
            NotFound: the device was removed meanwhile, or its token ended.
        """
        async with self._lock:
            known = self._devices.get(asking.device_id)
            if known is None:
                raise NotFound("unknown deviceId", code="device.unknown")
            if by_token and not self.check_token(asking.device_id, asking.role, by_token, asking.scopes):
                raise NotFound("the device token ended", code="device.unknown_role")
            now = self._clock.now()
            device = replace(
                known,
                display_name=asking.client.display_name or known.display_name,
                client_id=asking.client.id,
                client_mode=asking.client.mode,
                role=asking.role,
                remote_ip=asking.remote_ip,
            )
            old = self._tokens.get((asking.device_id, asking.role))
            token = old
            if token is None or token.revoked_at or not covers(token.scopes, asking.scopes):
                scopes = [*(old.scopes if old and not old.revoked_at else ()), *asking.scopes]
                token = self._fresh_token(asking.device_id, asking.role, scopes)
            if token.last_used_at is None or (now - token.last_used_at).total_seconds() >= _LAST_USED_STEP_S:
                token = replace(token, last_used_at=now)
            if device != known or token != old:
                used = [token]
                await self._db.write(lambda c: store.save_device(c, device, used))
                self._devices[asking.device_id] = device
                self._tokens[asking.device_id, asking.role] = token
            return self._token(token), token

    async def rotate(self, device_id: str, role: str, scopes: Iterable[str] | None) -> tuple[str, TokenRow]:
        """Replace a token; its scopes may shrink by that, never grow.

        Raises:
            Invalid: no such device or role, or scopes beyond the token's.
        """
        async with self._lock:
            device, old = self._entry(device_id, role)
            wanted = list(scopes) if scopes is not None else list(old.scopes)
            if not (covers(old.scopes, wanted) and covers(device.scopes, wanted)):
                raise Invalid("unknown deviceId/role", code="device.unknown_role")
            row = self._fresh_token(device_id, role, wanted)
            await self._db.write(lambda c: store.save_token(c, row))
            self._tokens[device_id, role] = row
        _log.info("device.token_rotated", device=device_id[:12], role=role)
        return self._token(row), row

    async def revoke(self, device_id: str, role: str) -> TokenRow:
        """End a token; the device stays paired and gets a new one at its next connect with the gateway token.

        Raises:
            Invalid: no such device or role.
        """
        async with self._lock:
            _, old = self._entry(device_id, role)
            row = replace(old, revoked_at=old.revoked_at or self._clock.now())
            await self._db.write(lambda c: store.save_token(c, row))
            self._tokens[device_id, role] = row
        _log.info("device.token_revoked", device=device_id[:12], role=role)
        await self.note("device.revoked", subject=device_id, detail=f"token of {role}")
        return row

    def _entry(self, device_id: str, role: str) -> tuple[DeviceRow, TokenRow]:
        device, token = self._devices.get(device_id), self._tokens.get((device_id, role))
        if device is None or token is None:
            raise Invalid("unknown deviceId/role", code="device.unknown_role")
        return device, token
