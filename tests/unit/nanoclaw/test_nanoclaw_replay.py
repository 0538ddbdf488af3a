"""The past of a worker is put in order before it is heard again."""

from __future__ import annotations

from nanoclaw.agent.replay import Replay


def call(request_id: str, tool: str = "send_message") -> dict:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
    body = {"subtype": "mcp_message", "server_name": "nanoclaw", "message": message}
    return {"type": "control_request", "request_id": request_id, "request": body}


def answer(request_id: str) -> dict:
    return {"type": "control_response", "response": {"subtype": "success", "request_id": request_id}}


def delta(text: str, parent: str | None = None) -> dict:
    event = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}
    return {"type": "stream_event", "event": event, "parent_tool_use_id": parent}


def replayed(*messages: dict) -> tuple[list[dict], Replay]:
    replay = Replay()
    for message in messages:
        replay.take(message)
    return replay.release(), replay


def test_only_a_request_that_was_not_answered_is_heard_again():
    heard, replay = replayed(call("a"), call("b"), answer("b"), call("c", "schedule_task"), answer("c"), call("d"))
    assert [message["request_id"] for message in heard] == ["a", "d"]
    assert replay.dealt_with == {"send_message": {2}, "schedule_task": {1}}


def test_a_request_the_agent_took_back_is_not_heard_and_keeps_its_number():
    heard, replay = replayed(call("a"), {"type": "control_cancel_request", "request_id": "a"}, call("b"))
    assert [message["request_id"] for message in heard] == ["b"]
    assert replay.dealt_with == {"send_message": {1}}


def test_answers_to_requests_of_the_earlier_process_are_nobodys():
    heard, _ = replayed(answer("req_1_of_somebody_else"), {"type": "result"})
    assert heard == [{"type": "result"}]


def test_a_long_answer_becomes_one_piece():
    heard, _ = replayed(delta("The "), delta("answer "), delta("is 42"))
    assert [message["event"]["delta"]["text"] for message in heard] == ["The answer is 42"]


def test_pieces_of_different_speakers_and_texts_around_other_messages_stay_apart():
    heard, _ = replayed(delta("a"), delta("b", "toolu_1"), {"type": "assistant"}, delta("c"))
    texts = [message["event"]["delta"]["text"] if "event" in message else "-" for message in heard]
    assert texts == ["a", "b", "-", "c"]


def test_a_tools_input_and_other_events_of_the_stream_are_left_out():
    tool_input = {"type": "content_block_delta", "delta": {"type": "input_json_delta", "partial_json": "{"}}
    heard, _ = replayed({"type": "stream_event", "event": tool_input}, {"type": "stream_event", "event": "odd"})
    assert heard == []
