"""An asynchronous client of the v3 protocol: connect with a device key, call methods, listen to events."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit
from uuid import uuid4

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from shared.clock import SYSTEM_CLOCK, Clock, unix_ms
from shared.errors import DeadlineExceeded, GatewayError, Unavailable
from shared.lifecycle.tasks import TaskPool
from shared.openclawclient.device import ConnectClaim, DeviceKey, SignatureVersion
from shared.secrets.files import Secret

CLI_SCOPES: Final = (
    "operator.admin",
    "operator.read",
    "operator.write",
    "operator.approvals",
    "operator.pairing",
)
_MAX_FRAME_BYTES = 26_214_400
_EVENT_BACKLOG = 10_000


class RequestRefused(GatewayError):
    """The gateway answered ``ok: false``.

    Attributes:
        wire_code: the protocol's own code, such as ``INVALID_REQUEST``.
        details: the machine-readable reason, ``details.code`` among it.
    """

    code = "openclaw.refused"

    def __init__(self, message: str, *, wire_code: str, details: dict[str, Any] | None = None) -> None:
        details = details or {}
        name = details.get("code")
        super().__init__(message, code=f"openclaw.{str(name or wire_code).lower()}")
        self.wire_code = wire_code
        self.details = details


class PairingRequired(RequestRefused):
    """This device waits for a person's approval; `request_id` names the request."""

    @property
    def request_id(self) -> str:
        """What to approve."""
        return str(self.details.get("requestId", ""))


class Disconnected(Unavailable):
    """The socket was closed.

    Attributes:
        close_code: WebSocket close code, 1006 when there was none.
        close_reason: the gateway's words.
    """

    code = "openclaw.disconnected"

    def __init__(self, close_code: int, close_reason: str) -> None:
        words = f": {close_reason}" if close_reason else ""
        super().__init__(f"gateway closed ({close_code}{words})")
        self.close_code = close_code
        self.close_reason = close_reason


@dataclass(frozen=True, slots=True)
class ClientProfile:
    """Who this client says it is."""

    id: str = "cli"
    mode: str = "cli"
    version: str = "dev"
    platform: str = "linux"
    display_name: str | None = None
    device_family: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """An event as it came."""

    name: str
    payload: Any
    seq: int | None = None


class OpenClawClient:
    """One connection; use as ``async with``.

    Args:
        url: ``ws://`` or ``wss://`` address. Plain ``ws://`` is refused beyond this machine.
        token: the gateway token.
        device: signs the challenge; None connects without a device.
        device_token: sent as ``auth.deviceToken`` instead of a gateway token.
        signature: which version of the signed text to use.
        origin: the ``Origin`` header a browser would send.
        headers: further headers of the upgrade request.
        instance_id: who is meant among several connections of one program.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Secret | None = None,
        device: DeviceKey | None = None,
        device_token: Secret | None = None,
        profile: ClientProfile | None = None,
        scopes: Sequence[str] = CLI_SCOPES,
        role: str = "operator",
        caps: Sequence[str] = (),
        signature: SignatureVersion = "v3",
        origin: str | None = None,
        headers: dict[str, str] | None = None,
        timeout_s: float = 10.0,
        clock: Clock = SYSTEM_CLOCK,
        instance_id: str | None = None,
    ) -> None:
        self._url = url
        self._token = token
        self._device = device
        self._device_token = device_token
        self._profile = profile or ClientProfile()
        self._scopes = list(scopes)
        self._role = role
        self._caps = list(caps)
        self._signature = signature
        self._origin = origin
        self._headers = headers or {}
        self._timeout_s = timeout_s
        self._clock = clock
        self._instance_id = instance_id or str(uuid4())
        self._socket: ClientConnection | None = None
        self._tasks = TaskPool("openclaw-client")
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(_EVENT_BACKLOG)
        self._ended: Disconnected | None = None
        self.hello: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._open()
        except TimeoutError:
            await self.close()
            raise DeadlineExceeded(f"{self._url} did not answer within {self._timeout_s:g} s") from None
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the socket and stop listening."""
        if self._socket is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(2.0):
                    await self._socket.close()
        await self._tasks.close()

    async def _open(self) -> None:
        host = urlsplit(self._url).hostname or ""
        if self._url.startswith("ws://") and host not in {"127.0.0.1", "::1", "localhost"}:
            raise Unavailable(f"{self._url}: plain ws:// is only for this machine; use wss://", code="openclaw.plain")
        try:
            self._socket = await connect(
                self._url,
                origin=self._origin,  # type: ignore[arg-type] # a NewType over str
                additional_headers=self._headers,
                max_size=_MAX_FRAME_BYTES,
                compression=None,
                proxy=None,
                user_agent_header=None,
                ping_interval=None,
            )
        except (OSError, InvalidHandshake, InvalidURI) as error:
            raise Unavailable(
                f"the OpenClaw gateway does not answer on {self._url} ({type(error).__name__}): is it running?"
                " `clawgate status` says",
                code="openclaw.down",
            ) from None
        try:
            challenge = json.loads(await self._socket.recv())
        except ConnectionClosed as error:
            raise _disconnected(error) from None
        self._tasks.start(self._listen(self._socket), name="listen")
        self.hello = await self.request("connect", self._connect_params(challenge["payload"]["nonce"]))

    def _connect_params(self, nonce: str) -> dict[str, Any]:
        profile = self._profile
        client: dict[str, Any] = {
            "id": profile.id,
            "version": profile.version,
            "platform": profile.platform,
            "mode": profile.mode,
            "instanceId": self._instance_id,
        }
        if profile.display_name:
            client["displayName"] = profile.display_name
        if profile.device_family:
            client["deviceFamily"] = profile.device_family
        auth: dict[str, str] = {}
        if self._token:
            auth["token"] = self._token.reveal()
        if self._device_token:
            auth["deviceToken"] = self._device_token.reveal()
        params: dict[str, Any] = {
            "minProtocol": 3,
            "maxProtocol": 3,
            "client": client,
            "caps": self._caps,
            "auth": auth,
            "role": self._role,
            "scopes": self._scopes,
        }
        if self._device is not None:
            params["device"] = self._proof(self._device, nonce, auth.get("token") or auth.get("deviceToken") or "")
        return params

    def _proof(self, device: DeviceKey, nonce: str, token: str) -> dict[str, Any]:
        profile = self._profile
        claim = ConnectClaim(
            device_id=device.device_id,
            client_id=profile.id,
            client_mode=profile.mode,
            role=self._role,
            scopes=self._scopes,
            signed_at_ms=unix_ms(self._clock.now()),
            token=token,
            nonce=nonce,
            platform=profile.platform,
            device_family=profile.device_family,
        )
        return {
            "id": device.device_id,
            "publicKey": device.public_key,
            "signature": device.sign(claim.payload(self._signature)),
            "signedAt": claim.signed_at_ms,
            "nonce": nonce,
        }

    @property
    def device_id(self) -> str:
        """This client's device id, empty without a device."""
        return self._device.device_id if self._device else ""

    @property
    def issued_token(self) -> Secret | None:
        """The device token the gateway gave at this connect."""
        token = self.hello.get("auth", {}).get("deviceToken")
        return Secret(token) if token else None

    async def request(self, method: str, params: object = None, *, timeout_s: float | None = None) -> Any:  # noqa: ANN401 - the method's own payload
        """Call a method and wait for its answer.

        Raises:
            RequestRefused: the gateway said no; `PairingRequired` when a person must approve this device.
            Disconnected: the socket closed before the answer.
            DeadlineExceeded: no answer in time.
        """
        if self._ended is not None:
            raise self._ended
        if self._socket is None:
            raise Unavailable("not connected", code="openclaw.down")
        request_id = str(uuid4())
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[request_id] = answer
        frame = {"type": "req", "id": request_id, "method": method}
        if params is not None:
            frame["params"] = params  # type: ignore[assignment] # any JSON
        try:
            async with asyncio.timeout(timeout_s or self._timeout_s):
                await self._send(json.dumps(frame, ensure_ascii=False, separators=(",", ":")))
                message = await answer
        except TimeoutError:
            raise DeadlineExceeded(f"{method} was not answered within {timeout_s or self._timeout_s:g} s") from None
        finally:
            self._answers.pop(request_id, None)
        if message.get("ok"):
            return message.get("payload")
        error = message.get("error") or {}
        details = error.get("details") or {}
        kind = PairingRequired if details.get("code") == "PAIRING_REQUIRED" else RequestRefused
        raise kind(str(error.get("message", "refused")), wire_code=str(error.get("code", "")), details=details)

    async def _send(self, text: str) -> None:
        if self._socket is None:
            raise Unavailable("not connected", code="openclaw.down")
        try:
            await self._socket.send(text)
        except ConnectionClosed as error:
            raise _disconnected(error) from None

    async def send_raw(self, text: str) -> None:
        """Send any text as one frame."""
        await self._send(text)

    async def _listen(self, socket: ClientConnection) -> None:
        ended = Disconnected(1006, "")
        try:
            async for text in socket:
                self._take(json.loads(text))
            ended = Disconnected(socket.close_code or 1006, socket.close_reason or "")
        except ConnectionClosed as error:
            ended = _disconnected(error)
        finally:
            self._ended = ended
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(ended)
            self._queue(None)

    def _take(self, frame: dict[str, Any]) -> None:
        if frame.get("type") == "event":
            self._queue(Event(frame["event"], frame.get("payload"), frame.get("seq")))
            return
        answer = self._answers.get(str(frame.get("id")))
        if answer is not None and not answer.done():
            answer.set_result(frame)

    def _queue(self, event: Event | None) -> None:
        if self._events.full():
            self._events.get_nowait()  # nobody listens: the oldest event is of least use
        self._events.put_nowait(event)

    async def events(self) -> AsyncIterator[Event]:
        """Events in order, those that came before the first call included; ends when the socket closes."""
        while True:
            event = await self._events.get()
            if event is None:
                self._queue(None)
                return
            yield event

    async def wait_closed(self) -> Disconnected:
        """Wait until the socket is closed, by whomever; says how."""
        async for _ in self.events():
            continue
        return self._ended or Disconnected(1006, "")


def _disconnected(error: ConnectionClosed) -> Disconnected:
    close = error.rcvd or error.sent
    return Disconnected(close.code if close else 1006, close.reason if close else "")
