"""The protocol as a document and as a JSON Schema, both made from the registry: neither can lag behind the code."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from openclaw.connection import LIMITS
from openclaw.protocol import errors, events
from openclaw.protocol.errors import ErrorCode
from openclaw.protocol.frames import PROTOCOL_VERSION, SERVER_VERSION, ConnectParams, RequestFrame
from openclaw.protocol.methods.unavailable import REASONS
from openclaw.protocol.registry import Method, MethodTable
from openclaw.protocol.scopes import NODE_METHODS, event_scope

_MODE: Final[JsonSchemaMode] = "validation"

_CLOSES: Final = (
    (errors.CLOSE_NORMAL, "", "no first frame in time, or it is no JSON"),
    (errors.CLOSE_PROTOCOL, "protocol mismatch", "the client does not speak version 3"),
    (errors.CLOSE_POLICY, "the answer's message", "first frame, role, origin, device or authentication refused"),
    (errors.CLOSE_POLICY, "pairing required", "a person has to approve this device first"),
    (errors.CLOSE_POLICY, "slow consumer", "unsent frames beyond `maxBufferedBytes`, and one that may not be dropped"),
    (errors.CLOSE_POLICY, "repeated unauthorized calls", "more than ten answers `unauthorized role` in a row"),
    (errors.CLOSE_POLICY, "device access ended", "the device was removed, or its token revoked or rotated"),
    (errors.CLOSE_TOO_BIG, "", "a frame beyond `maxPayload`, or a first frame beyond the handshake's limit"),
    (errors.CLOSE_RESTART, "service restart", "after a `shutdown` event"),
)


_ABOUT: Final = """Its command line and its page work with this gateway.
`docs/protocol.schema.json` has every request as a JSON Schema.

WebSocket on any path of the gateway's port; one JSON object per text frame. The server speaks first:
`connect.challenge` with a nonce. The client's first frame is a `connect` request, signed with its device key (the text
to sign has two versions, v2 and v3; both are taken). The answer is `hello-ok`, or an error and a close.

- request `{type: "req", id, method, params?}`, answer `{type: "res", id, ok, payload? | error?}`
- event `{type: "event", event, payload, seq?, stateVersion?}`; `seq` counts broadcasts, so that a client that may not
  hear all of them sees gaps; events for one connection alone have none
- answers may overtake each other; `agent` and a two-phase `exec.approval.request` are answered twice under one id,
  first with `status: "accepted"`
- keys without a value are absent; unknown keys in a request or its parameters are refused
- `chat.send`, `agent` and `send` carry an idempotency key: it names the run or message in the database, so that a
  request sent again, also after a restart, finds what it began and begins nothing new
"""


def _names(model: type[BaseModel] | None) -> str:
    """Parameter names as they travel; optional ones with a question mark."""
    if model is None:
        return "anything"
    named = [f"{field.alias or name}{'' if field.is_required() else '?'}" for name, field in model.model_fields.items()]
    return f"`{', '.join(named)}`" if named else "none"


def _groups(table: MethodTable) -> Mapping[str, list[Method]]:
    groups: dict[str, list[Method]] = {}
    for name in sorted(table):
        if name not in REASONS:
            groups.setdefault(name.split(".")[0], []).append(table[name])
    return groups


def _methods(table: MethodTable) -> Iterator[str]:
    yield "| method | scope | parameters | |\n| --- | --- | --- | --- |"
    for methods in _groups(table).values():
        for method in methods:
            shown = "" if method.advertised else "not in `features.methods`"
            yield f"| `{method.name}` | {method.scope or 'anybody'} | {_names(method.params)} | {shown} |"


def _limits() -> Iterator[str]:
    yield "| limit | value |\n| --- | --- |"
    yield f"| frame before the handshake is done | {LIMITS.max_hello_bytes} bytes |"
    yield f"| frame after it (`maxPayload`) | {LIMITS.max_payload_bytes} bytes |"
    yield f"| unsent bytes of one client (`maxBufferedBytes`) | {LIMITS.max_buffered_bytes} bytes |"
    yield f"| time for `connect` | {LIMITS.handshake_s:g} s |"
    yield f"| between two `tick` events (`tickIntervalMs`) | {LIMITS.tick_s:g} s |"
    yield f"| requests of one socket at work at once; more wait | {LIMITS.in_flight} |"


def protocol_markdown(table: MethodTable) -> str:
    """``docs/protocol.md``."""
    out = [
        "# Gateway protocol\n",
        f"Version {PROTOCOL_VERSION}, as the original's release {SERVER_VERSION} speaks it.",
        _ABOUT,
        "## Limits\n",
        *_limits(),
        "\nA client that does not read loses droppable events first, then its connection; nobody waits for it.\n",
        "## Errors\n",
        f"Codes: {', '.join(f'`{code}`' for code in get_args(ErrorCode))}. User interfaces choose their help by",
        "`details.code`. An error is answered first, then the socket is closed, where it is:\n",
        "| close | reason | when |\n| --- | --- | --- |",
        *(f"| {code} | {reason} | {when} |" for code, reason, when in _CLOSES),
        "\n## Events\n",
        "| event | heard by | a slow client may miss it |\n| --- | --- | --- |",
        *(
            f"| `{name}` | {event_scope(name) or 'everybody'} | {'yes' if events.is_droppable(name, {}) else 'no'} |"
            for name in events.ADVERTISED
        ),
        '\nOf `chat` events, those with `state: "delta"` may be missed: the next one has the whole text so far.\n',
        "## Methods\n",
        "`operator.admin` covers every scope, `operator.write` covers reading. Methods nobody knows need admin, so",
        "that others learn nothing about what exists. A connection with the role `node` may call `health` and",
        f"{', '.join(f'`{name}`' for name in sorted(NODE_METHODS))}.\n",
        *_methods(table),
        "\n## What is not here\n",
        "These answer `UNAVAILABLE` and say why; they are not in `features.methods`.\n",
        "| method | why |\n| --- | --- |",
        *(f"| `{name}` | {reason} |" for name, (_scope, reason) in sorted(REASONS.items())),
    ]
    return "\n".join(out) + "\n"


def _request(method: Method, references: Mapping[Any, dict[str, Any]]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "type": {"const": "req"},
        "id": {"type": "string", "minLength": 1},
        "method": {"const": method.name},
        "params": references[method.params, _MODE] if method.params is not None else {},
    }
    required = ["type", "id", "method"]
    if method.params is not None and any(field.is_required() for field in method.params.model_fields.values()):
        required.append("params")
    schema = {"title": method.name, "type": "object", "properties": properties, "required": required}
    return {**schema, "additionalProperties": False, "x-scope": method.scope or None}


def protocol_schema(table: MethodTable) -> str:
    """``docs/protocol.schema.json``: a request is one of these."""
    models = {method.params for method in table.values() if method.params is not None}
    ordered = sorted(models | {RequestFrame, ConnectParams}, key=lambda model: (model.__module__, model.__qualname__))
    asked: list[Any] = [(model, _MODE) for model in ordered]
    references, definitions = models_json_schema(asked, by_alias=True)
    connect = _request(Method("connect", "", _nobody, params=ConnectParams), references)
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Requests of the gateway protocol, version {PROTOCOL_VERSION}",
        "oneOf": [connect, *(_request(table[name], references) for name in sorted(table) if name != "connect")],
        "$defs": definitions["$defs"],
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _nobody(_call: object, _params: object) -> object:
    return None
