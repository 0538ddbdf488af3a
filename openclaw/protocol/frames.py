"""Frames and connect parameters as they travel; the only module where wire names (camelCase) become ours.

Source: OpenClaw 2026.2.26 gateway protocol, version 3.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import to_json

PROTOCOL_VERSION: Final = 3
SERVER_VERSION: Final = "2026.2.26"

NonEmpty = Annotated[str, Field(min_length=1)]

Role = Literal["operator", "node"]
ClientId = Literal[
    "webchat-ui",
    "openclaw-control-ui",
    "webchat",
    "cli",
    "gateway-client",
    "openclaw-macos",
    "openclaw-ios",
    "openclaw-android",
    "node-host",
    "test",
    "fingerprint",
    "openclaw-probe",
]
ClientMode = Literal["webchat", "cli", "ui", "backend", "node", "probe", "test"]
CONTROL_UI: Final = "openclaw-control-ui"
BROWSER_CLIENTS: Final = frozenset({CONTROL_UI, "webchat-ui", "webchat"})


class Wire(BaseModel):
    """A closed wire object: camelCase outside, snake_case inside, no coercion, no unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel, populate_by_name=True)


class RequestFrame(Wire):
    """A request; `params` is checked by its method."""

    type: Literal["req"]
    id: NonEmpty
    method: NonEmpty
    params: Any = None


class ClientInfo(Wire):
    """Which program connects."""

    id: ClientId
    mode: ClientMode
    version: NonEmpty
    platform: NonEmpty
    display_name: NonEmpty | None = None
    device_family: NonEmpty | None = None
    model_identifier: NonEmpty | None = None
    instance_id: NonEmpty | None = None


class ConnectAuth(Wire):
    """The shared secret or a device token; `token` may hold either."""

    token: str | None = Field(default=None, repr=False)
    device_token: str | None = Field(default=None, repr=False)
    password: str | None = Field(default=None, repr=False)


class ConnectDevice(Wire):
    """A device's proof: its key, and a signature over the claim."""

    id: NonEmpty
    public_key: NonEmpty
    signature: NonEmpty
    signed_at: int
    nonce: str


class ConnectParams(Wire):
    """Parameters of the first request."""

    min_protocol: Annotated[int, Field(ge=1)]
    max_protocol: Annotated[int, Field(ge=1)]
    client: ClientInfo
    role: str | None = None
    scopes: list[NonEmpty] = []
    caps: list[NonEmpty] = []
    commands: list[NonEmpty] | None = None
    permissions: dict[str, bool] | None = None
    path_env: str | None = None
    auth: ConnectAuth = ConnectAuth()
    device: ConnectDevice | None = None
    locale: str | None = None
    user_agent: str | None = None


def encode(frame: dict[str, Any]) -> str:
    """One frame as the text of one WebSocket message."""
    return to_json(frame, inf_nan_mode="null").decode()


class Encoded:
    """A payload that is JSON text already, so that one encoding serves many answers."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    @classmethod
    def of(cls, payload: object) -> Encoded:
        """Encode a payload."""
        return cls(to_json(payload, inf_nan_mode="null").decode())


def request_id_of(frame: object) -> str:
    """The id to answer a frame under, also when the rest of it is no good."""
    request_id = frame.get("id") if isinstance(frame, dict) else None
    return request_id if isinstance(request_id, str) and request_id else "invalid"


def encode_response(request_id: str, payload: object) -> str:
    """A successful answer as the text of one message."""
    text = payload.text if isinstance(payload, Encoded) else to_json(payload, inf_nan_mode="null").decode()
    return f'{{"type":"res","id":{to_json(request_id).decode()},"ok":true,"payload":{text}}}'


def response(request_id: str, payload: object) -> dict[str, Any]:
    """A successful answer."""
    return {"type": "res", "id": request_id, "ok": True, "payload": payload}


def event(
    name: str, payload: object, *, seq: int | None = None, state_version: dict[str, int] | None = None
) -> dict[str, Any]:
    """An event; keys without a value are absent, because clients drop frames they do not expect."""
    frame: dict[str, Any] = {"type": "event", "event": name, "payload": payload}
    if seq is not None:
        frame["seq"] = seq
    if state_version is not None:
        frame["stateVersion"] = state_version
    return frame


def compact(**fields: object) -> dict[str, Any]:
    """A payload without the fields that are None: absent and null mean different things to clients."""
    return {name: value for name, value in fields.items() if value is not None}
