import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.modelproxy.streams import UsageMeter, WholeEvents, said_bytes

WIRE = b"event: a\ndata: 1\n\nevent: b\ndata: 22\n\n: comment\n\ndata: tail"


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    points = [0, *sorted(point % (len(data) + 1) for point in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(points)]


@given(st.lists(st.integers(0, 200), max_size=20), st.booleans())
def test_all_bytes_pass_in_order_and_only_whole_events_before_the_end(cuts: list[int], crlf: bool) -> None:
    wire = WIRE.replace(b"\n", b"\r\n") if crlf else WIRE
    events, passed = WholeEvents(), b""
    for piece in cut(wire, cuts):
        block = events.feed(piece)
        assert not block or block.endswith((b"\n\n", b"\r\n\r\n"))
        passed += block
    assert passed + events.rest() == wire


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_pass_unchanged(pieces: list[bytes]) -> None:
    events = WholeEvents()
    assert b"".join(events.feed(piece) for piece in pieces) + events.rest() == b"".join(pieces)


def test_an_endless_event_is_passed_in_pieces_and_not_kept() -> None:
    events = WholeEvents()
    assert sum(len(events.feed(b"x" * 100_000)) for _ in range(30)) > 1_000_000


def sse(*events: dict) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def counts(meter: UsageMeter) -> tuple[int, int, int]:
    return meter.input_tokens, meter.output_tokens, meter.cached_tokens


def test_usage_is_read_in_all_three_formats() -> None:
    claude = {"input_tokens": 10, "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2, "output_tokens": 1}
    codex = {"input_tokens": 10, "output_tokens": 4, "total_tokens": 14, "input_tokens_details": {"cached_tokens": 3}}
    chat = {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}
    for events, expected in (
        ([{"message": {"usage": claude}}, {"usage": {"output_tokens": 9}}], (17, 9, 5)),
        ([{"type": "response.completed", "response": {"usage": codex}}], (10, 4, 3)),
        ([{"choices": [], "usage": chat}], (10, 4, 3)),
    ):
        meter = UsageMeter()
        meter.feed_events(sse(*events))
        assert counts(meter) == expected


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["usage", "message", "response", "input_tokens", "total_tokens"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_no_answer_breaks_the_meter(value: object) -> None:
    meter = UsageMeter()
    meter.feed_json(json.dumps(value).encode())
    meter.feed_events(b"data:" + json.dumps(value).encode() + b"\n\n")
    assert all(isinstance(count, int) for count in counts(meter))


def event(**fields: object) -> bytes:
    return b"data: " + json.dumps(fields, ensure_ascii=False).encode() + b"\n\n"


def test_the_models_own_words_are_counted_in_every_dialect() -> None:
    said = 'He said "text": "x"\n' + "고"
    written = len(json.dumps(said, ensure_ascii=False).encode()) - 2
    for name, kind in (("text", "text_delta"), ("thinking", "thinking_delta"), ("partial_json", "input_json_delta")):
        delta = event(type="content_block_delta", index=0, delta={"type": kind, name: said})
        assert said_bytes(delta * 3, "anthropic") == 3 * written
    assert said_bytes(event(choices=[{"delta": {"content": said}}]), "openai") == written
    called = {"tool_calls": [{"function": {"name": "f", "arguments": said}}]}
    assert said_bytes(event(choices=[{"delta": called}]), "openai") == written
    spoken = event(type="response.output_text.delta", delta=said) + event(type="response.output_text.done", text=said)
    assert said_bytes(spoken, "responses") == written
    assert said_bytes(b'data: {"text": "' + b'\\"' * 500_000, "anthropic") == 0


def test_only_the_end_of_an_answer_says_how_long_it_was() -> None:
    meter = UsageMeter()
    meter.feed_events(event(type="message_start", message={"usage": {"input_tokens": 25, "output_tokens": 1}}))
    assert not meter.is_final
    meter.feed_events(event(type="message_delta", usage={"output_tokens": 9}))
    assert meter.is_final
    meter = UsageMeter()
    meter.feed_events(event(type="response.created", response={"usage": None}))
    assert not meter.is_final
    meter.feed_events(event(type="response.completed", response={"usage": {"input_tokens": 2, "total_tokens": 3}}))
    assert meter.is_final
