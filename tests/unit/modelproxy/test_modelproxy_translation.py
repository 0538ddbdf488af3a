import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.modelproxy.counting import estimate_tokens
from gateway.modelproxy.from_chat import StreamTranslator, error_answer_of, whole_answer
from gateway.modelproxy.initiator import initiator_of, shows_pictures
from gateway.modelproxy.model_ids import copilot_model
from gateway.modelproxy.to_chat import chat_request
from shared.errors import Invalid, UpstreamError
from shared.http.sse import SseParser, encode_sse

KNOWN = {"claude-sonnet-4", "claude-sonnet-4.5", "claude-opus-4.6", "claude-3.7-sonnet", "gemini-3-pro-preview"}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5", "claude-sonnet-4.5"),
        ("claude-sonnet-4.5", "claude-sonnet-4.5"),
        ("claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("claude-opus-4-6[1m]", "claude-opus-4.6"),
        ("claude-3-7-sonnet-latest", "claude-3.7-sonnet"),
        ("gemini-3-pro", "gemini-3-pro-preview"),
        ("github-copilot/gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-11-20", "gpt-4o-2024-11-20"),
    ],
)
def test_model_ids_of_both_spellings(asked: str, meant: str) -> None:
    assert copilot_model(asked, KNOWN) == meant


def translate(**body: object) -> dict:
    return chat_request({"model": "m", "max_tokens": 9, **body}, lambda name: name)


def test_a_conversation_with_tools_and_pictures() -> None:
    result = translate(
        system=[{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": "go"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "x"},
                    {"type": "text", "text": "ok"},
                    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": "ä"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "boom"},
                    PNG,
                    {"type": "text", "text": "see"},
                ],
            },
        ],
        tools=[
            {"name": "f", "description": "d", "input_schema": {"type": "object"}},
            {"type": "web_search_20250305", "name": "web_search"},
        ],
        tool_choice={"type": "any"},
        stop_sequences=["x"],
        stream=True,
        metadata={"user_id": "u"},
        thinking={"type": "enabled"},
        top_k=3,
    )
    assert [message["role"] for message in result["messages"]] == ["system", "user", "assistant", "tool", "user"]
    assert result["messages"][0]["content"] == "a\n\nb"
    assert result["messages"][2]["content"] == "ok"
    assert json.loads(result["messages"][2]["tool_calls"][0]["function"]["arguments"]) == {"a": "ä"}
    assert result["messages"][3] == {"role": "tool", "tool_call_id": "t1", "content": "The tool failed: boom"}
    assert result["messages"][4]["content"][0]["image_url"]["url"] == "data:image/png;base64,AAAA"
    assert [tool["function"]["name"] for tool in result["tools"]] == ["f"]
    assert (result["tool_choice"], result["stop"], result["user"]) == ("required", ["x"], "u")
    assert result["stream_options"] == {"include_usage": True}
    assert not {"thinking", "top_k"} & result.keys()


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [{"type": "hologram"}]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": "x"}], "tools": [3]}, "tools.0"),
    ],
)
def test_what_cannot_be_carried_is_named(body: dict, place: str) -> None:
    with pytest.raises(Invalid, match=place):
        translate(**body)


def chunk(delta: dict, finish: str | None = None, **more: object) -> bytes:
    return encode_sse(
        json.dumps({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more})
    )


def call(number: int, arguments: str, **more: str) -> dict:
    function = {"arguments": arguments, **({"name": more["name"]} if "name" in more else {})}
    return {"index": number, "function": function, **({"id": more["id"]} if "id" in more else {})}


USAGE = {"prompt_tokens": 12, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 2}}
TRAILING = encode_sse(json.dumps({"id": "c", "choices": [], "usage": USAGE})) + b"data: [DONE]\n\n"
TALK = (
    chunk({"role": "assistant", "content": ""})
    + chunk({"content": "Grüße "})
    + chunk({"content": "an alle"})
    + chunk({"tool_calls": [call(0, "", id="a", name="f")]})
    + chunk({"tool_calls": [call(0, '{"x"')]})
    + chunk({"tool_calls": [call(1, "", id="b", name="g")]})  # begins before the first is whole
    + chunk({"tool_calls": [call(0, ":1}")]})
    + chunk({"tool_calls": [call(1, '{"y":2}')]})
    + chunk({"content": " und Schluss"})
    + chunk({}, "tool_calls")
    + TRAILING
)


def read(raw: bytes) -> list[dict]:
    events = SseParser().feed(raw)
    assert all(json.loads(event.data)["type"] == event.event for event in events)
    return [json.loads(event.data) for event in events]


def check_order(events: list[dict]) -> dict[int, str]:
    """The grammar of a Messages stream; returns what each block held."""
    assert events[0]["type"] == "message_start"
    assert [event["type"] for event in events[-2:]] == ["message_delta", "message_stop"]
    held: dict[int, str] = {}
    is_open = False
    for event in events[1:-2]:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(held)
            held[event["index"]], is_open = "", True
        elif event["type"] == "content_block_delta":
            assert is_open
            assert event["index"] == len(held) - 1
            held[event["index"]] += event["delta"].get("text", "") + event["delta"].get("partial_json", "")
        else:
            assert event["type"] == "content_block_stop"
            assert is_open
            is_open = False
    assert not is_open
    return held


@given(st.lists(st.integers(1, len(TALK) - 1), max_size=30))
@settings(max_examples=150, deadline=None)
def test_the_stream_is_the_same_in_whatever_pieces_it_comes(cuts: list[int]) -> None:
    translator = StreamTranslator("claude-x")
    bounds = [0, *sorted(set(cuts)), len(TALK)]
    raw = b"".join(translator.feed(TALK[a:b]) for a, b in itertools.pairwise(bounds)) + translator.rest()
    events = read(raw)
    held = check_order(events)
    assert sorted(held.values()) == sorted(["Grüße an alle", '{"x":1}', '{"y":2}', " und Schluss"])
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    assert events[-2]["usage"] == {"input_tokens": 10, "output_tokens": 7, "cache_read_input_tokens": 2}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("text"), st.text(min_size=1, max_size=5)),
            st.tuples(st.just("call"), st.integers(0, 3)),
        ),
        max_size=25,
    )
)
@settings(max_examples=150, deadline=None)
def test_any_mixture_keeps_the_grammar_and_loses_nothing(steps: list) -> None:
    translator = StreamTranslator("m")
    raw, said, calls = b"", "", {}
    for kind, value in steps:
        if kind == "text":
            said += value
            raw += translator.feed(chunk({"content": value}))
        elif value not in calls:
            calls[value] = '{"n":'
            raw += translator.feed(chunk({"tool_calls": [call(value, '{"n":', id=f"i{value}", name="f")]}))
        elif calls[value] == '{"n":':
            calls[value] += f"{value}}}"
            raw += translator.feed(chunk({"tool_calls": [call(value, f"{value}}}")]}))
    raw += translator.feed(chunk({}, "stop") + TRAILING) + translator.rest()
    events = read(raw)
    held = check_order(events)
    kinds = {event["index"]: event["content_block"]["type"] for event in events if "content_block" in event}
    assert sorted(text for at, text in held.items() if kinds[at] == "tool_use") == sorted(calls.values())
    assert sorted("".join(text for at, text in held.items() if kinds[at] == "text")) == sorted(said)


def test_a_stream_without_an_end_is_an_error() -> None:
    translator = StreamTranslator("m")
    translator.feed(chunk({"content": "half"}))
    with pytest.raises(UpstreamError):
        translator.rest()


def test_an_error_inside_a_stream_is_one() -> None:
    with pytest.raises(UpstreamError, match="too busy"):
        StreamTranslator("m").feed(encode_sse('{"error": {"message": "too busy"}}'))


@pytest.mark.parametrize(
    ("finish", "reason"), [("stop", "end_turn"), ("length", "max_tokens"), ("content_filter", "refusal")]
)
def test_whole_answers(finish: str, reason: str) -> None:
    choice = {"message": {"content": "hi"}, "finish_reason": finish}
    answer = json.loads(whole_answer(json.dumps({"choices": [choice], "usage": USAGE}).encode(), "m"))
    assert (answer["content"], answer["stop_reason"]) == ([{"type": "text", "text": "hi"}], reason)
    assert answer["usage"]["input_tokens"] == 10


def test_broken_tool_arguments_do_not_break_the_answer() -> None:
    message = {"content": None, "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": '{"x":'}}]}
    raw = json.dumps({"choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode()
    [block] = json.loads(whole_answer(raw, "m"))["content"]
    assert block["input"] == {"arguments_not_json": '{"x":'}


def test_refusals_keep_their_words_and_lose_their_wrapping() -> None:
    body = json.loads(error_answer_of(429, b'{"error": {"message": "slow down", "code": "rate_limited"}}'))
    assert body == {"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}
    assert "502" in json.loads(error_answer_of(502, b"<html>nginx</html>"))["error"]["message"]


RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "x"}


@pytest.mark.parametrize(
    ("body", "who"),
    [
        ({"messages": [{"role": "user", "content": "x"}]}, "user"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, "agent"),
        ({"messages": [{"role": "assistant", "content": "y"}, {"role": "user", "content": "x"}]}, "user"),
        ({"messages": [{"role": "tool", "content": "y"}]}, "agent"),
        ({"messages": [{"role": "user", "content": [RESULT]}]}, "agent"),
        ({"messages": [{"role": "user", "content": [RESULT, {"type": "text", "text": "and?"}]}]}, "user"),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [RESULT, {"type": "text", "text": "<system-reminder>a</system-reminder>"}],
                    }
                ]
            },
            "agent",
        ),
        ({"input": "x"}, "user"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "agent"),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]}, "user"),
    ],
)
def test_who_began(body: dict, who: str) -> None:
    assert initiator_of(body) == who


def beside_a_result(text: str) -> dict:
    return {"messages": [{"role": "user", "content": [RESULT, {"type": "text", "text": text}]}]}


REMINDER = "<system-reminder>be\ngood</system-reminder>"


@pytest.mark.parametrize(
    ("text", "who"),
    [
        (f" {REMINDER}\n{REMINDER} ", "agent"),
        (" \n", "agent"),
        (f"{REMINDER} and?", "user"),
        (f"and? {REMINDER}", "user"),
        (f"{REMINDER} and? {REMINDER}", "user"),
        (f"{REMINDER} and?</system-reminder>", "user"),
        ("<system-reminder>for ever", "user"),
        # Each of these was looked at again for every way to divide what stands before it.
        (REMINDER * 20_000, "agent"),
        ("<system-reminder></system-reminder>" * 20_000 + "x", "user"),
        ("<system-reminder>" * 50_000, "user"),
    ],
    ids=range(10),
)
def test_reminders_are_nobodys_words(text: str, who: str) -> None:
    assert initiator_of(beside_a_result(text)) == who


def test_pictures_are_seen_in_results_too() -> None:
    assert shows_pictures({"messages": [{"role": "user", "content": [{**RESULT, "content": [PNG]}]}]})
    assert not shows_pictures({"messages": [{"role": "user", "content": "image_url"}]})


def test_counting_needs_no_tokeniser_and_ignores_picture_bytes() -> None:
    text = {"model": "claude-x", "messages": [{"role": "user", "content": "word " * 1000}]}
    assert 1000 < estimate_tokens(text) < 2500
    picture = {**PNG, "source": {**PNG["source"], "data": "A" * 1_000_000}}
    assert estimate_tokens({"model": "claude-x", "messages": [{"role": "user", "content": [picture]}]}) < 3000
    assert estimate_tokens({}) == 1
