"""Whatever a client sends, the server stays up and every request it can tell apart is answered."""

from __future__ import annotations

import asyncio
import json
import string
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from openclaw.protocol import handshake
from openclaw.protocol.errors import ProtocolError, cut_reason, problems
from openclaw.protocol.frames import ConnectParams, RequestFrame, encode
from openclaw.protocol.methods.table import method_table
from openclaw.protocol.registry import read_params
from openclaw.sessions import canonical_key
from shared.errors import Invalid
from shared.openclawclient.device import decode_bytes, encode_bytes

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
