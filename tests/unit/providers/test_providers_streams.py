import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.modelproxy.dialects import error_event, refusal_event
from shared.errors import Invalid, RateLimited, Unavailable
from shared.http.sse import encode_sse
from shared.providers import (
    Completed,
    Failed,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolSpec,
    Usage,
    messages,
    responses,
)
from shared.providers import chat_completions as chat
from shared.providers.failures import parse_failure


async def pieces(*parts: bytes | Exception) -> AsyncIterator[bytes]:
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part


def collect(parse, *parts: bytes | Exception) -> list[ProviderEvent]:
    async def run() -> list[ProviderEvent]:
        return [event async for event in parse(pieces(*parts))]

    return asyncio.run(run())


def codex(*events: dict) -> bytes:
    return b"".join(encode_sse(json.dumps(event), event=event["type"]) for event in events)


def openai(*chunks: dict | str) -> bytes:
    return b"".join(encode_sse(chunk if isinstance(chunk, str) else json.dumps(chunk)) for chunk in chunks)


PARSERS = {
    "openai": chat.parse_events,
    "responses": responses.parse_events,
    "anthropic": messages.parse_events,
}
CACHED = {"cached_tokens": 2}
END = {responses.parse_events: b"response.completed", chat.parse_events: b'"finish_reason": "tool_calls"'}
CALL = {"type": "function_call", "call_id": "c1", "name": "exec", "arguments": '{"command":"ls"}'}
CODEX = codex(
    {"type": "response.created", "response": {}},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "안녕 "},
    {"type": "response.output_text.delta", "output_index": 0, "delta": "there"},
    {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": {"type": "message", "content": [{"type": "output_text", "text": "안녕 there"}]},
    },
    {"type": "response.output_item.done", "output_index": 1, "item": CALL},
    {
        "type": "response.completed",
        "response": {"usage": {"input_tokens": 7, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 2}}},
    },
)
CHAT = openai(
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "안녕 "}}]},
    {"choices": [{"index": 0, "delta": {"content": "there"}}]},
    {
        "choices": [
            {
                "index": 0,
                "delta": {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "exec", "arguments": ""}}]},
            }
        ]
    },
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"command"'}}]}}]},
    {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": ':"ls"}'}}]}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    {
        "choices": [],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}},
    },
    "[DONE]",
)
MESSAGES = codex(
    {
        "type": "message_start",
        "message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 2, "output_tokens": 1}},
    },
    {"type": "ping"},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "안녕 "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "there"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "content_block_start",
        "index": 1,
        "content_block": {"type": "tool_use", "id": "c1", "name": "exec", "input": {}},
    },
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"command"'}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": ':"ls"}'}},
    {"type": "content_block_stop", "index": 1},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
)
END[messages.parse_events] = b'"message_stop"'
FORMATS = pytest.mark.parametrize(
    ("parse", "wire"),
    [(responses.parse_events, CODEX), (chat.parse_events, CHAT), (messages.parse_events, MESSAGES)],
)


@FORMATS
def test_text_calls_and_usage_come_out_typed(parse, wire: bytes) -> None:
    *deltas, call, done = collect(parse, wire)
    assert deltas == [TextDelta("안녕 "), TextDelta("there")]
    assert call == ToolCall("c1", "exec", '{"command":"ls"}')
    assert call.parsed() == {"command": "ls"}
    assert (done.usage, done.stop) == (Usage(7, 3, cached_tokens=2), "tool_calls")


@FORMATS
@given(cuts=st.lists(st.integers(0, 2000), max_size=30))
def test_any_cut_of_the_bytes_gives_the_same_events(parse, wire: bytes, cuts: list[int]) -> None:
    points = [0, *sorted(point % len(wire) for point in cuts), len(wire)]
    assert collect(parse, *(wire[a:b] for a, b in itertools.pairwise(points))) == collect(parse, wire)


@FORMATS
@given(end=st.integers(0, 2000))
def test_a_stream_that_breaks_off_is_never_a_success(parse, wire: bytes, end: int) -> None:
    events = collect(parse, wire[: end % wire.index(END[parse])])
    assert isinstance(events[-1], Failed)
    assert events[-1].kind == "cut"
    assert not any(isinstance(event, Completed | Failed) for event in events[:-1])


@FORMATS
@given(noise=st.lists(st.one_of(st.binary(max_size=80), st.just(b'data: {"choices":[{"delta":3}]}\n\n')), max_size=8))
def test_garbage_ends_in_exactly_one_verdict(parse, wire: bytes, noise: list[bytes]) -> None:
    events = collect(parse, *noise)
    assert [isinstance(event, Completed | Failed) for event in events].count(True) == 1
    assert isinstance(events[-1], Completed | Failed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "delta",
                    "item",
                    "response",
                    "error",
                    "choices",
                    "usage",
                    "tool_calls",
                    "function",
                    "index",
                    "message",
                    "content_block",
                    "partial_json",
                    "thinking",
                    "signature",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
BLOCKS = ["content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"]
ITEMS = ["response.output_item.done", "response.completed", "response.failed", "error", "x", "message_start"]
KINDS = st.sampled_from([*BLOCKS, *ITEMS])


@FORMATS
@given(values=st.lists(st.tuples(KINDS, JSON), max_size=5))
def test_json_of_any_shape_ends_in_exactly_one_verdict(parse, wire: bytes, values) -> None:
    bodies = [{"type": kind, **value} if isinstance(value, dict) else value for kind, value in values]
    events = collect(parse, b"".join(encode_sse(json.dumps(body)) for body in bodies))
    assert [isinstance(event, Completed | Failed) for event in events].count(True) == 1
    assert isinstance(events[-1], Completed | Failed)


@FORMATS
def test_a_cut_connection_is_a_failure_and_keeps_what_came_before(parse, wire: bytes) -> None:
    events = collect(parse, wire[: wire.index(b"there")], Unavailable("the model's answer was cut"))
    assert events == [TextDelta("안녕 "), Failed("cut", "the model's answer was cut", code="unavailable")]


def test_our_proxys_error_event_is_understood_in_every_format() -> None:
    for dialect, parse in PARSERS.items():
        [end] = collect(parse, error_event(dialect, Unavailable("m", code="http.cut")))
        # Anthropic's errors have no code.
        assert (end.kind, end.message) == ("server" if dialect == "anthropic" else "cut", "m")


@pytest.mark.parametrize("dialect", ["openai", "responses", "anthropic"])
def test_a_refusal_told_in_an_event_loses_nothing_that_the_status_and_headers_would_have_said(dialect) -> None:
    limit = {"type": "usage_limit_reached", "message": "the limit", "resets_at": 1_800_000_000}
    [end] = collect(PARSERS[dialect], refusal_event(dialect, 429, json.dumps({"error": limit}).encode(), "7"))
    assert (end.kind, end.status, end.message) == ("usage_limit", 429, "the limit")
    assert (end.resets_at, end.retry_after_s) == (datetime(2027, 1, 15, 8, tzinfo=UTC), 7)
    [end] = collect(PARSERS[dialect], refusal_event(dialect, 403, b"<html>no</html>", ""))
    assert (end.kind, end.status, end.message) == ("denied", 403, "the provider answered 403 and no stream")
    [end] = collect(PARSERS[dialect], error_event(dialect, RateLimited("later", retry_after_s=9), status=429))
    assert (end.kind, end.retry_after_s) == ("rate_limited", 9)


def test_thinking_is_shown_as_such_and_goes_back_signed() -> None:
    thought = {"type": "thinking", "thinking": "", "signature": ""}
    events = collect(
        messages.parse_events,
        codex(
            {"type": "content_block_start", "index": 0, "content_block": thought},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        ),
    )
    assert events[0] == ReasoningDelta("hm")
    assert events[-1].items == ({"type": "thinking", "thinking": "hm", "signature": "sig"},)
    assert events[-1].stop == "length"


def test_an_incomplete_answer_says_that_it_was_too_long() -> None:
    event = {
        "type": "response.incomplete",
        "response": {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
    }
    [done] = collect(responses.parse_events, codex(event))
    assert done.stop == "length"


def test_text_that_comes_only_with_the_finished_item_is_not_lost() -> None:
    item = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "late"}]}
    events = collect(
        responses.parse_events, codex({"type": "response.output_item.done", "output_index": 0, "item": item})
    )
    assert events[0] == TextDelta("late")


def test_arguments_that_are_no_object_are_the_models_fault() -> None:
    assert ToolCall("1", "t", "").parsed() == {}
    for text in ("[1]", "{", "3"):
        with pytest.raises(Invalid):
            ToolCall("1", "t", text).parsed()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"error": {"type": "usage_limit_reached", "message": "m", "resets_at": 1_800_000_000}}, "usage_limit"),
        (429, {"error": {"code": "rate_limit_exceeded"}}, "rate_limited"),
        (429, "<html>", "rate_limited"),
        (401, {"error": "invalid_grant"}, "auth"),
        (402, {}, "billing"),
        (403, {"error": {"code": "denied", "detail": "no"}}, "denied"),
        (400, {"detail": "Store must be set to false"}, "invalid_request"),
        (400, {"error": {"code": "context_length_exceeded"}}, "context_too_long"),
        (500, [], "server"),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "o"}}, "overloaded"),
    ],
)
def test_refusals_of_every_shape_have_a_kind(status: int, body: object, kind: str) -> None:
    failed = parse_failure(status, {"retry-after": "3"}, json.dumps(body).encode() if body != "<html>" else b"<html>")
    assert (failed.kind, failed.status, failed.retry_after_s) == (kind, status, 3.0)
    assert failed.message


@pytest.mark.parametrize("resets_at", [1_800_000_000, "2027-01-15T08:00:00Z", "2027-01-15T08:00:00"])
def test_a_usage_limit_says_when_it_ends(resets_at: object) -> None:
    body = {"error": {"type": "usage_limit_reached", "resets_at": resets_at, "resets_in_seconds": 9}}
    failed = parse_failure(429, {}, json.dumps(body).encode())
    assert (failed.resets_at, failed.retry_after_s) == (datetime(2027, 1, 15, 8, tzinfo=UTC), 9)


@given(st.integers(100, 599), st.binary(max_size=200))
def test_no_error_body_breaks_the_reader(status: int, body: bytes) -> None:
    assert parse_failure(status, {}, body).message


def test_requests_have_what_the_backends_insist_on() -> None:
    tool = ToolSpec("exec", "run", {"type": "object"})
    body = responses.build_request("gpt-5.1", "", [responses.user_item("hi")], [tool], session_id="s")
    assert (body["store"], body["stream"], bool(body["instructions"]), body["prompt_cache_key"]) == (
        False,
        True,
        True,
        "s",
    )
    body = chat.build_request("gpt-5-mini", "be kind", [chat.user_message("hi")])
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert "tools" not in body
