"""Whatever a client sends, the server stays up and every request it can tell apart is answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import string
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from openclaw.protocol import handshake
from openclaw.protocol.errors import ProtocolError, Refused, cut_reason, problems
from openclaw.protocol.frames import ConnectParams, RequestFrame, encode
from openclaw.protocol.methods.table import method_table
from openclaw.protocol.registry import read_params
from openclaw.sessions import canonical_key
from shared.errors import Invalid
from shared.openclawclient.device import ConnectClaim, DeviceKey, SignatureVersion, decode_bytes, encode_bytes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
METHODS = sorted(method_table())


@given(JSON)
def test_any_json_is_a_frame_or_a_list_of_problems(value: Any) -> None:
    for model in (RequestFrame, ConnectParams):
        refused = None
        try:
            model.model_validate(value)
        except ValidationError as error:
            refused = problems(error)
        assert refused is None or refused.startswith("at ")


@given(st.sampled_from(METHODS), JSON)
def test_any_params_are_taken_or_refused_in_words(method: str, params: Any) -> None:
    refused = None
    try:
        read_params(method_table()[method], params)
    except ProtocolError as error:
        refused = error.message
    assert refused is None or refused.startswith(f"invalid {method} params: at ")


@given(JSON)
def test_whatever_is_encoded_is_json_without_nan(value: Any) -> None:
    json.loads(encode({"type": "event", "payload": value}), parse_constant=lambda name: 1 / 0)


@given(st.text())
def test_a_close_reason_fits(text: str) -> None:
    cut = cut_reason(text)
    assert len(cut.encode()) <= 120
    assert text.startswith(cut)


@given(st.binary(max_size=80))
def test_bytes_survive_their_spelling(raw: bytes) -> None:
    assert decode_bytes(encode_bytes(raw)) == raw


@given(st.text(), st.text(), st.text())
def test_strange_headers_are_never_local(peer: str, host: str, origin: str) -> None:
    headers = {"host": host, "origin": origin, "x-forwarded-for": "127.0.0.1"}
    assert handshake.read_upgrade("127.0.0.1", headers, []).local is False
    if not handshake.is_loopback_ip(peer):
        assert handshake.read_upgrade(peer, {"host": "localhost"}, ["127.0.0.0/8"]).local is False


@given(st.text(max_size=60))
def test_a_session_key_is_canonical_or_refused(text: str) -> None:
    try:
        key = canonical_key(text)
    except Invalid:
        return
    assert canonical_key(key) == key
    assert set(key) <= set(string.ascii_lowercase + string.digits + ":._@-")


FRAMES = st.one_of(
    st.text(max_size=200),
    JSON.map(json.dumps),
    st.builds(
        lambda method, params, request_id: json.dumps(
            {"type": "req", "id": request_id, "method": method, "params": params}
        ),
        st.sampled_from([name for name in METHODS if not name.startswith("device.")]) | st.text(max_size=20),
        JSON,
        st.text(min_size=1, max_size=8),
    ),
)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FRAMES, min_size=1, max_size=40))
def test_no_sequence_of_frames_ends_a_live_connection(tmp_path_factory: Any, frames: list[str]) -> None:
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "openclaw"))
    from openclaw_rig import running_rig

    async def talk() -> None:
        async with running_rig(tmp_path_factory.mktemp("fuzz")) as rig, rig.client() as client:
            for text in frames:
                await client.send_raw(text.encode(errors="replace").decode())
            assert (await client.request("health"))["ok"] is True

    asyncio.run(talk())


KEY = DeviceKey.generate()
NONCE = "11111111-2222-4333-8444-555555555555"
CLAIM = ConnectClaim(
    device_id=KEY.device_id,
    client_id="cli",
    client_mode="cli",
    role="operator",
    scopes=["operator.read", "operator.write"],
    signed_at_ms=1_760_000_000_000,
    token="gateway-token",
    nonce=NONCE,
    platform="linux",
    device_family=None,
)


def signed(version: SignatureVersion, **changed: Any) -> ConnectParams:
    """A connect whose signature covers `CLAIM`, with some fields sent otherwise."""
    client = {"id": "cli", "mode": "cli", "version": "dev", "platform": "linux"}
    device = {"id": KEY.device_id, "publicKey": KEY.public_key, "signedAt": CLAIM.signed_at_ms, "nonce": NONCE}
    params: dict[str, Any] = {
        "minProtocol": 3,
        "maxProtocol": 3,
        "client": client | changed.pop("client", {}),
        "scopes": changed.pop("scopes", list(CLAIM.scopes)),
        "auth": {"token": changed.pop("token", CLAIM.token)},
        "device": device | {"signature": KEY.sign(CLAIM.payload(version))} | changed.pop("device", {}),
    }
    return ConnectParams.model_validate(params | changed)


def is_proved(params: ConnectParams, role: str = "operator", nonce: str = NONCE) -> bool:
    try:
        handshake.verify_device(params, role, nonce=nonce, now_ms=CLAIM.signed_at_ms)  # type: ignore[arg-type]
    except Refused:
        return False
    return True


@given(st.sampled_from(("v2", "v3")))
def test_both_versions_of_the_signed_text_are_taken(version: SignatureVersion) -> None:
    assert is_proved(signed(version))


SIGNED_FIELDS = st.one_of(
    st.fixed_dictionaries({"scopes": st.lists(st.text(min_size=1, max_size=20), max_size=3)}),
    st.fixed_dictionaries({"token": st.text(min_size=1, max_size=20)}),
    st.fixed_dictionaries(
        {"client": st.fixed_dictionaries({"mode": st.sampled_from(["ui", "node", "probe", "test"])})}
    ),
    st.fixed_dictionaries({"client": st.fixed_dictionaries({"id": st.sampled_from(["test", "gateway-client"])})}),
    st.fixed_dictionaries({"device": st.fixed_dictionaries({"signedAt": st.integers(-(2**60), 2**60)})}),
    st.fixed_dictionaries({"device": st.fixed_dictionaries({"nonce": st.text(max_size=40)})}),
    st.fixed_dictionaries({"device": st.fixed_dictionaries({"signature": st.text(min_size=1, max_size=100)})}),
)


@given(st.sampled_from(("v2", "v3")), SIGNED_FIELDS)
def test_no_signed_field_can_be_changed_after_signing(version: SignatureVersion, changed: dict[str, Any]) -> None:
    sent = signed(version, **changed)
    assert is_proved(sent) is (sent == signed(version))


@given(st.text(min_size=1, max_size=40).filter(lambda text: text != NONCE))
def test_a_proof_is_worth_nothing_on_another_socket_or_in_another_role(nonce: str) -> None:
    assert not is_proved(signed("v3"), nonce=nonce)
    assert not is_proved(signed("v3"), role="node")


BEGINNINGS = st.one_of(
    FRAMES,
    JSON.map(lambda params: json.dumps({"type": "req", "id": "1", "method": "connect", "params": params})),
    st.tuples(st.sampled_from(["client", "auth", "scopes", "role", "minProtocol", "caps", "device"]), JSON).map(
        lambda change: json.dumps(
            {"type": "req", "id": "1", "method": "connect", "params": {**PLAIN_CONNECT, change[0]: change[1]}}
        )
    ),
)
PLAIN_CONNECT = {
    "minProtocol": 3,
    "maxProtocol": 3,
    "client": {"id": "cli", "version": "dev", "platform": "linux", "mode": "cli"},
    "auth": {"token": "gateway-token-of-the-test"},
}


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(BEGINNINGS, min_size=1, max_size=15))
def test_any_first_frame_is_answered_and_closed_in_order_or_let_in(
    tmp_path_factory: Any, beginnings: list[str]
) -> None:
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "openclaw"))
    from openclaw_rig import running_rig
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed

    async def knock(url: str, text: str) -> None:
        async with connect(url, compression=None, proxy=None) as socket:
            await socket.recv()
            await socket.send(text.encode(errors="replace").decode())
            answered = None
            async with asyncio.timeout(5):
                with contextlib.suppress(ConnectionClosed):
                    answered = json.loads(await socket.recv())
                    if answered["ok"]:
                        assert answered["payload"]["type"] == "hello-ok"
                        return
                await socket.wait_closed()
            assert socket.close_code in {1000, 1002, 1008, 1009}
            assert socket.close_code == 1000 or answered is not None  # only what is no JSON gets no answer

    async def all_of_them() -> None:
        async with running_rig(tmp_path_factory.mktemp("fuzz")) as rig:
            for text in beginnings:
                await knock(rig.url, text)

    asyncio.run(all_of_them())
